"""The command line and conf/ become one checked Config, or one line that says what is wrong.

Hydra resolves the choices of the groups and parses the overrides; every check is made here, in `choices` and in
`config.resolve`. Only rank 0 calls ``compose`` and broadcasts what it returns. A configuration is data: ``_target_``
and ``${...}`` are refused, nothing in it is executed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.choices import choice
from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.keys import read
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.config.catalogue import mended, not_an_override
from nqs_hpc.config.defaults import FIELDS, check_choice, compose_groups, filled, is_group, refuse_code
from nqs_hpc.config.files import check_folder, check_packages, check_source
from nqs_hpc.config.identity import run_folder, to_plain
from nqs_hpc.config.lower import plain_config, with_waves
from nqs_hpc.config.observables import KEY
from nqs_hpc.config.resolve import resolve
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import InputError, Unknown, bad, show, unknown
from nqs_hpc.system.lattice import Lattice


def compose(overrides: list[str], n_ranks: int | None) -> Config:
    """The checked configuration of a command line; raises InputError, one line, and nothing else for bad input.

    ``n_ranks`` will run it; None: as many as resources.ranks asks the queue for.
    """
    config = checked(overrides, n_ranks)
    check_packages(config)
    if (source := config.task.source()) is not None:
        check_source(*source)
    for path, _ in config.task.others():
        check_source("task.below", path)
    key = ("run_dir", config.run_dir) if config.run_dir else ("experiment", config.experiment)
    check_folder(run_folder(config), *key)
    return config


def checked(overrides: list[str], n_ranks: int | None) -> Config:
    """``compose`` for those who start no job with it: neither its folder nor the packages it loads are asked for."""
    try:
        return _checked(overrides, n_ranks)
    except Unknown as error:
        raise mended(error) from None


def _checked(overrides: list[str], n_ranks: int | None) -> Config:
    parsed = [_parse(text) for text in overrides]
    given: dict[str, str] = {}
    for one in parsed:
        text = show(one.value)  # compared as text: a NaN does not equal itself
        if given.setdefault(one.key, text) != text:
            raise InputError(f"{one.key} is given twice, as {given[one.key]} and {text}; valid: one value")
    picked = {one.key: one.value for one in parsed if one.is_group}
    whole = _Given(picked, [(one.key, one.value) for one in parsed if not one.is_group])
    source = _source(whole)
    if source is None:
        config = _made(whole, n_ranks)
    else:
        own = _split(source)
        for key, value in [*whole.picked.items(), *whole.assigned]:
            if key.partition(".")[0] in ("lattice", "sector", "symmetrize"):
                raise bad(key, value, "nothing: the wave function that is measured is that of the run")
        _check_couplings(whole)
        config = _made(_beneath(own, whole), n_ranks)
        _check_wave_function(whole, config, _made(own, 1))
    for key, value in whole.assigned:
        if key.removeprefix("hamiltonian.") in config.task.swept and key.startswith("hamiltonian."):
            raise bad(key, value, f"left out: task.couplings has the values of {key.removeprefix('hamiltonian.')}")
    if not config.task.optimizes:
        for key, value in [*whole.picked.items(), *whole.assigned]:
            if key.partition(".")[0] == "optimizer":
                raise bad(key, value, f"nothing: task={config.task.name} moves no parameters")
    imported = config.allow_import and "allow_import" in given
    for path, wave in config.task.others():
        if wave.ansatz.runs_code and not imported:
            raise bad("task.below", path, f"with allow_import=true, for it runs {wave.ansatz.module}")
    allowed = "ansatz.module" in given or imported
    if config.ansatz.runs_code and not allowed:
        # what is imported is run: a file of the configuration, perhaps another's, does not decide that
        module = getattr(config.ansatz, "module", None)
        raise bad("ansatz.module", module, "the same on the command line, or allow_import=true")
    return config


def from_plain(given: Mapping[str, Any]) -> Config:
    """The checked configuration, for one rank, of plain data: what config.yaml holds, or a command line as a mapping.

    A group is its choice, ``{"lattice": "square"}``, or a mapping with the choice as ``name``; keys stand in such a
    mapping or are dotted, ``{"lattice.length": 4}``. What is not given is as in conf/. Of a resolved configuration no
    file is read again: bonds and terms are those that were read from it. Raises InputError.
    """
    try:
        return _made(_split(given), 1)
    except Unknown as error:
        raise mended(error) from None


class _Given(NamedTuple):
    """What a configuration is made from, beside conf/."""

    picked: dict[str, str | None]  # the choices of groups
    assigned: list[tuple[str, Any]]  # dotted keys and their values
    # what a run has read from files, so that they are not read again
    read: Mapping[str, Any] = MappingProxyType({})  # fields of the lattice
    permutations: Any = None  # of symmetrize.file
    sources: Mapping[str, Any] = MappingProxyType({})  # the files that hamiltonian.terms came from, by their keys
    waves: Any = ()  # of the runs that the task computes with (`config.lower`)


def _split(given: Mapping[str, Any]) -> _Given:
    """Plain data, as `from_plain` takes it, in its parts."""
    picked: dict[str, str | None] = {}
    assigned: list[tuple[str, Any]] = []
    for key, value in given.items():
        top = str(key).partition(".")[0]
        if top not in FIELDS:
            raise unknown(str(key), value, top, "the configuration", FIELDS)
        if key != top or not (is_group(top) or isinstance(value, Mapping)):
            assigned.append((str(key), value))
            continue
        below = dict(value) if isinstance(value, Mapping) else {"name": value}
        if is_group(top) and "name" in below:
            picked[top] = check_choice(top, below.pop("name"))
        assigned += [(f"{top}.{name}", inside) for name, inside in below.items()]
    values = dict(assigned)
    waves = values.get("task.waves") or ()
    for group, name in picked.items():  # what is worked out follows from the rest
        if name is not None and group not in ("experiment", "lattice"):
            for field in dataclasses.fields(choice(group, name)):
                if field.name != "name" and "check" not in field.metadata:
                    values.pop(f"{group}.{field.name}", None)
    # what a run has read from lattice.file; without its mark these are keys
    kept = choice("lattice", picked["lattice"]).read if picked.get("lattice") else ()
    if not kept or f"lattice.{kept[0]}" not in values:
        kept = ()
    read_before = {name: values.pop(f"lattice.{name}") for name in kept if f"lattice.{name}" in values}
    permutations = values.pop("symmetrize.permutations", None)
    values.pop("symmetrize.names", None)  # follows from the rest
    named = choice("hamiltonian", picked["hamiltonian"]).sources if picked.get("hamiltonian") else ()
    named = named if values.get("hamiltonian.terms") is not None else ()
    sources = {name: values.pop(f"hamiltonian.{name}", None) for name in named}
    return _Given(picked, list(values.items()), read_before, permutations, sources, waves)


def _made(given: _Given, n_ranks: int | None) -> Config:
    """The checked, resolved configuration."""
    config = filled(given.picked, given.assigned)
    if given.read:
        config = dataclasses.replace(config, lattice=dataclasses.replace(config.lattice, **given.read))
    if given.permutations is not None:
        own = dataclasses.replace(config.symmetrize, permutations=given.permutations)
        config = dataclasses.replace(config, symmetrize=own)
    config = resolve(config, n_ranks)
    if given.sources:
        config = dataclasses.replace(config, hamiltonian=dataclasses.replace(config.hamiltonian, **given.sources))
    return with_waves(config, given.waves, lambda plain: _made(_split(plain), 1))


# what a task takes over from a run: the system and its wave function, not how long or where the run ran
_TAKEN = ("lattice", "hamiltonian", "ansatz", "sampler", "sector", "seed", "symmetrize", "precision")


def _source(given: _Given) -> dict[str, Any] | None:
    """The configuration of the run that the task takes over, as plain data; None for tasks that take none.

    Raises InputError if that cannot be read.
    """
    found = _named(given)
    return None if found is None else plain_config(*found, _TAKEN)


def _named(given: _Given) -> tuple[str, str] | None:
    """The key and the value that name the run that the task takes over."""
    key = choice("task", compose_groups(given.picked)[1]["task"]).source_key
    path = dict(given.assigned).get(f"task.{key}") if key is not None else None
    # None: not given, or not valid, which is said where the value is checked
    return (f"task.{key}", path) if isinstance(path, str) else None


def _check_couplings(given: _Given) -> None:
    """Raise InputError if the run that the task takes over has several Hamiltonians, and ``given`` names none."""
    found = _named(given)
    task = None if found is None else plain_config(*found, ("task",)).get("task")
    if found is None or not isinstance(task, Mapping):
        return
    try:
        own = _split({"task": task})
        swept = filled(own.picked, own.assigned).task.swept
    except InputError as error:
        raise bad(*found, f"the folder of a run, or one of its checkpoints (config.yaml: {error})") from None
    missing = [name for name in swept if f"hamiltonian.{name}" not in dict(given.assigned)]
    if missing and "hamiltonian" not in given.picked:
        told = ", ".join(f"hamiltonian.{name}" for name in missing)
        raise bad(*found, f"with a value of {told}: the run has several, and the network needs one")


def at_coupling(config: Config, coupling: Mapping[str, Any]) -> Config:
    """What one wave function of a run is made from, of a network of couplings: at those of ``coupling``, by
    name, whether it was trained there or not. Raises InputError.
    """
    swept = config.task.swept
    names = {str(key).removeprefix("hamiltonian."): value for key, value in coupling.items()}
    told = config.ansatz.told_names
    if not told:
        valid = f"None: ansatz={config.ansatz.name} takes no couplings"
        raise bad("coupling", dict(coupling), valid)
    if set(names) - set(told) or set(swept) - set(names):
        least = f"; of {', '.join(swept)} the run has several" if swept else ""
        raise bad("coupling", dict(coupling), f"values of the couplings of the network, {', '.join(told)}{least}")
    plain = to_plain(config)
    plain["task"] = {"name": "ground_state"}
    if (n := config.task.samples_of_end) is not None:
        plain["task"]["final_samples"] = n
    return from_plain(plain | {"hamiltonian": plain["hamiltonian"] | names})


def _check_wave_function(given: _Given, config: Config, own: Config) -> None:
    """Raise InputError if ``given`` makes another wave function than that of the run, which is ``own``."""
    for key, value in [*given.picked.items(), *given.assigned]:
        if key.partition(".")[0] == "ansatz" and config.ansatz != own.ansatz:
            raise bad(key, value, "nothing: the wave function that is measured is that of the run")
    lattice, hamiltonian = config.make_sites(), config.hamiltonian
    taken, before = hamiltonian.signs(lattice), own.hamiltonian.signs(own.make_sites())
    same_signs = taken is before if taken is None or before is None else np.array_equal(taken, before)
    if own.ansatz.told_names:
        _check_untold(config, own)
    if not same_signs or hamiltonian.space(lattice.n_sites) != own.hamiltonian.space(lattice.n_sites):
        why = "the network of the run is a function in its own basis; observables.LABEL=pauli measures any operator"
        valid = "that of the run, or one on the same sites with the same signs of basis states"
        raise bad("hamiltonian", hamiltonian.name, f"{valid}: {why}")


def _check_untold(config: Config, own: Config) -> None:
    """Raise InputError if a coupling has another value than in the run, whose network does not take it as input."""
    told, here = own.ansatz.told_names, config.hamiltonian
    for name in own.hamiltonian.couplings():
        value, before = getattr(here, name, None), getattr(own.hamiltonian, name)
        if name not in told and value != before:
            what = f"{show(before)}, as in the run, whose network takes only {', '.join(told)}"
            raise bad(f"hamiltonian.{name}", value, what)


def _beneath(below: _Given, above: _Given) -> _Given:
    """``above`` on the ground of ``below``: a group that ``above`` sets to another choice has nothing of ``below``."""
    other = {group for group, name in above.picked.items() if below.picked.get(group) not in (None, name)}
    kept = [(key, value) for key, value in below.assigned if key.partition(".")[0] not in other]
    return _Given(
        {**below.picked, **above.picked},
        [*kept, *above.assigned],
        MappingProxyType({}) if "lattice" in other else below.read,
        below.permutations,
        MappingProxyType({}) if "hamiltonian" in other else below.sources,
        above.waves,
    )


def hamiltonian(given: Mapping[str, Any], lattice: Lattice) -> Hamiltonian:
    """A checked Hamiltonian on ``lattice`` from a mapping such as ``{"name": "ising", "h": 2.0}``; what is not given is
    as in conf/. Raises InputError.
    """
    name = check_choice("hamiltonian", given.get("name"))
    data = compose_groups({"hamiltonian": name})[0]["hamiltonian"]
    data |= {key: value for key, value in given.items() if key != "name"}
    refuse_code("hamiltonian", data)
    found: Hamiltonian = read(choice("hamiltonian", str(name)), data, "hamiltonian", name=name)
    return found.resolved(lattice)


def observables_of(config: Config, given: Any) -> dict[str, Observable]:
    """Checked observables, by label, of what the key ``observables`` takes, for the system of ``config``; raises
    InputError.
    """
    plain = {name: value for name, value in to_plain(config).items() if name != KEY}
    # a run that took over another's wave function is a system of its own by now
    plain["task"] = {"name": "ground_state"} if config.task.source() is not None else plain["task"]
    found = from_plain(plain | {KEY: given}).observables
    if found.every is not None:
        raise bad(f"{KEY}.every", found.every, "null: there are no steps")
    return found.measured


class _Override(NamedTuple):
    key: str
    value: Any
    is_group: bool


def _parse(text: str) -> _Override:
    """One override of the command line as key and value."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    given = " ".join(text.split())
    if "${" in text:
        raise InputError(f"{given} is not valid: ${{...}} is not evaluated; valid: plain values")
    if text.startswith("~"):
        raise InputError(f"{given} is not valid: keys cannot be taken away; valid: KEY=VALUE, KEY=null to switch off")
    if text.startswith("-") or "=" not in text:
        raise not_an_override(text)
    try:
        override = OverridesParser.create().parse_override(text)
        key, several = override.key_or_group, override.is_sweep_override()
        value = None if several else override.value()
    except (HydraException, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{given} is not valid: cannot be read as KEY=VALUE ({reason[:100]}); valid: quote a value with unusual "
            "characters twice, like 'run_dir=\"a=b\"'"
        ) from None
    raw = text.partition("=")[2]
    top, dot, _ = key.partition(".")
    if top == "hydra" or top.startswith("hydra/"):
        raise InputError(f"{given} is not valid: hydra's own settings are not used; valid: {', '.join(FIELDS)}")
    if "_target_" in key.split("."):
        raise InputError(f"{given} is not valid: a configuration executes nothing; valid: plain values")
    if override.package is not None or top not in FIELDS:
        package = "" if override.package is None else f"@{override.package}"
        raise unknown(key + package, raw, top + package, "the configuration", FIELDS)
    if top == "experiment" and dot:
        raise bad(key, raw, "experiment itself: it holds no keys")
    if several:
        raise bad(key, raw, "one value")
    if not dot and (is_group(key)):
        if text.startswith("+"):
            raise InputError(f"{given} is not valid: the group is always there; valid: {text.lstrip('+')}")
        check_choice(key, value)
    return _Override(key, value, not dot and is_group(key))
