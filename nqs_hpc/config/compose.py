"""The command line and conf/ become one checked Config, or one line that says what is wrong.

Hydra resolves the choices of the groups and parses the overrides; every check is made here, in `choices` and in
`config.resolve`. Rank 0 alone calls ``compose`` and broadcasts what it returns. A configuration is data: ``_target_``
and ``${...}`` are refused, nothing in it is executed.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from nqs_hpc.choices import choice, groups, names
from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.keys import read
from nqs_hpc.config.files import check_folder, check_packages, check_source
from nqs_hpc.config.inner import fill
from nqs_hpc.config.resolve import resolve
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs import checks, reading
from nqs_hpc.inputs.checks import InputError, Range, Schedule, Weights, bad, show, unknown
from nqs_hpc.inputs.reading import printable
from nqs_hpc.operators.pauli_strings import PauliString
from nqs_hpc.system.lattice import Lattice

_FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def conf_dir() -> Path:
    """The folder of the YAML files: inside the package where it was installed from a wheel, else beside it."""
    package = Path(__file__).resolve().parents[1]
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


@cache
def choices(group: str) -> tuple[str, ...]:
    """The names a group can be set to; an experiment is a YAML file alone, the others have a dataclass each too."""
    if group in groups():
        return names(group)
    return tuple(sorted(file.stem for file in (conf_dir() / group).glob("*.yaml")))


def compose(overrides: list[str], n_ranks: int | None) -> Config:
    """The checked configuration of a command line; raises InputError, one line, and nothing else for bad input.

    ``n_ranks`` will run it; None: as many as resources.ranks asks the queue for.
    """
    config = checked(overrides, n_ranks)
    check_packages(config)
    if (source := config.task.source()) is not None:
        check_source(*source)
    key = ("run_dir", config.run_dir) if config.run_dir else ("experiment", config.experiment)
    check_folder(run_folder(config), *key)
    return config


def checked(overrides: list[str], n_ranks: int | None) -> Config:
    """``compose`` for those who start no job with it: neither its folder nor the packages it loads are asked for."""
    parsed = [_parse(text) for text in overrides]
    given: dict[str, str] = {}
    for one in parsed:
        text = show(one.value)  # compared as text: a NaN does not equal itself
        if given.setdefault(one.key, text) != text:
            raise InputError(f"{one.key} is given twice, as {given[one.key]} and {text}; valid: one value")
    picked = {one.key: one.value for one in parsed if one.is_group}
    whole = _Given(picked, [(one.key, one.value) for one in parsed if not one.is_group])
    if (source := _source(whole)) is not None:
        whole = _beneath(_split(source), whole)
    config = _made(whole, n_ranks)
    allowed = "ansatz.module" in given or (config.allow_import and "allow_import" in given)
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
    return _made(_split(given), 1)


class _Given(NamedTuple):
    """What a configuration is made from, beside conf/."""

    picked: dict[str, str | None]  # the choices of groups
    assigned: list[tuple[str, Any]]  # dotted keys and their values
    # what a run has read from files, so that they are not read again
    read: Mapping[str, Any] = MappingProxyType({})  # fields of the lattice
    permutations: Any = None  # of symmetrize.file
    terms_file: Any = None  # where hamiltonian.terms came from


def _split(given: Mapping[str, Any]) -> _Given:
    """Plain data, as `from_plain` takes it, in its parts."""
    picked: dict[str, str | None] = {}
    assigned: list[tuple[str, Any]] = []
    for key, value in given.items():
        top = str(key).partition(".")[0]
        if top not in _FIELDS:
            raise unknown(str(key), value, top, "the configuration", _FIELDS)
        if key != top or not (_is_group(top) or isinstance(value, Mapping)):
            assigned.append((str(key), value))
            continue
        below = dict(value) if isinstance(value, Mapping) else {"name": value}
        if _is_group(top) and "name" in below:
            picked[top] = _check_choice(top, below.pop("name"))
        assigned += [(f"{top}.{name}", inside) for name, inside in below.items()]
    values = dict(assigned)
    # what a run has read from lattice.file; without its mark these are keys
    kept = choice("lattice", picked["lattice"]).read if picked.get("lattice") else ()
    if not kept or f"lattice.{kept[0]}" not in values:
        kept = ()
    read_before = {name: values.pop(f"lattice.{name}") for name in kept if f"lattice.{name}" in values}
    permutations = values.pop("symmetrize.permutations", None)
    values.pop("symmetrize.names", None)  # follows from the rest
    file = values.pop("hamiltonian.file", None) if values.get("hamiltonian.terms") is not None else None
    return _Given(picked, list(values.items()), read_before, permutations, file)


def _made(given: _Given, n_ranks: int | None) -> Config:
    """The checked, resolved configuration."""
    config = _filled(given.picked, given.assigned)
    if given.read:
        config = dataclasses.replace(config, lattice=dataclasses.replace(config.lattice, **given.read))
    if given.permutations is not None:
        own = dataclasses.replace(config.symmetrize, permutations=given.permutations)
        config = dataclasses.replace(config, symmetrize=own)
    config = resolve(config, n_ranks)
    if given.terms_file is not None:
        from_file: Any = dataclasses.replace(config.hamiltonian, file=given.terms_file)  # type: ignore[call-arg]
        config = dataclasses.replace(config, hamiltonian=from_file)
    return config


# what a task takes over from a run: the system and its wave function, not how long or where the run ran
_TAKEN = ("lattice", "hamiltonian", "ansatz", "sampler", "sector", "seed", "symmetrize", "precision")


def _source(given: _Given) -> dict[str, Any] | None:
    """The configuration of the run that the task takes over, as plain data; None for tasks that take none.

    Raises InputError where that cannot be read.
    """
    key = choice("task", _compose_groups(given.picked)[1]["task"]).source_key
    path = dict(given.assigned).get(f"task.{key}") if key is not None else None
    if not isinstance(path, str):  # not given, or not valid: said where the value is checked
        return None
    place = Path.cwd() / path
    folder = place.parent.parent if place.is_file() and place.suffix == ".h5" else place
    try:
        plain = reading.parse_yaml(reading.data(folder / "config.yaml", reading.SETTINGS))
        if not isinstance(plain, dict):
            raise ValueError("config.yaml holds no keys")
        return {name: plain[name] for name in _TAKEN if name in plain}
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or printable(str(error), 300)
        raise bad(f"task.{key}", path, f"the folder of a run, or one of its checkpoints (config.yaml: {why})") from None


def _beneath(below: _Given, above: _Given) -> _Given:
    """``above`` on the ground of ``below``: a group that ``above`` sets to another choice has nothing of ``below``."""
    other = {group for group, name in above.picked.items() if below.picked.get(group) not in (None, name)}
    kept = [(key, value) for key, value in below.assigned if key.partition(".")[0] not in other]
    return _Given(
        {**below.picked, **above.picked},
        [*kept, *above.assigned],
        MappingProxyType({}) if "lattice" in other else below.read,
        below.permutations,
        None if "hamiltonian" in other else below.terms_file,
    )


def hamiltonian(given: Mapping[str, Any], lattice: Lattice) -> Hamiltonian:
    """A checked Hamiltonian on ``lattice`` from a mapping such as ``{"name": "ising", "h": 2.0}``; what is not given is
    as in conf/. Raises InputError.
    """
    name = _check_choice("hamiltonian", given.get("name"))
    data = _compose_groups({"hamiltonian": name})[0]["hamiltonian"]
    data |= {key: value for key, value in given.items() if key != "name"}
    _refuse_code("hamiltonian", data)
    found: Hamiltonian = read(choice("hamiltonian", str(name)), data, "hamiltonian", name=name)
    return found.resolved(lattice)


def _filled(picked: Mapping[str, str | None], assigned: list[tuple[str, Any]]) -> Config:
    """conf/ with these choices and values, each value checked alone."""
    data, chosen = _compose_groups(picked)
    if picked.get("experiment"):
        # The values of an experiment belong to its own choices: those of a group that the command line sets otherwise
        # (experiment=tfim_chain lattice=square) are left out, instead of length 20 becoming 20 x 20.
        own = _compose_groups({"experiment": picked["experiment"]})[1]
        replaced = [group for group in picked if group != "experiment" and picked[group] != own[group]]
        if replaced:
            plain = _compose_groups({**picked, "experiment": None})[0]
            data.update({group: plain[group] for group in replaced})
    assigned = fill(data, chosen, assigned, _defaults_of)
    for key, value in assigned:
        _assign(data, key, value)
    keys = {key for key, _ in assigned}
    if "lattice.length" in keys and "lattice.extent" not in keys and "extent" in data["lattice"]:
        data["lattice"]["extent"] = None  # an experiment's extent does not beat the command line's length
    _refuse_code("", data)
    return _read(data, chosen)


def _defaults_of(group: str, name: str) -> dict[str, Any]:
    """The keys of a choice in conf/."""
    if group in _FIELDS:
        found: dict[str, Any] = _compose_groups({group: name})[0][group]
        return found
    plain: dict[str, Any] = reading.parse_yaml((conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8"))
    return plain


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
        raise InputError(f"{given} is not valid: not of the form KEY=VALUE; valid: for example lattice.length=6")
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
        raise InputError(f"{given} is not valid: hydra's own settings are not used; valid: {', '.join(_FIELDS)}")
    if "_target_" in key.split("."):
        raise InputError(f"{given} is not valid: a configuration executes nothing; valid: plain values")
    if override.package is not None or top not in _FIELDS:
        package = "" if override.package is None else f"@{override.package}"
        raise unknown(key + package, raw, top + package, "the configuration", _FIELDS)
    if top == "experiment" and dot:
        raise bad(key, raw, "experiment itself: it holds no keys")
    if several:
        raise bad(key, raw, "one value")
    if not dot and (_is_group(key)):
        if text.startswith("+"):
            raise InputError(f"{given} is not valid: the group is always there; valid: {text.lstrip('+')}")
        _check_choice(key, value)
    return _Override(key, value, not dot and _is_group(key))


def _check_choice(group: str, name: Any) -> str | None:
    """The choice of a group, None for no experiment."""
    if (name is None and group == "experiment") or (isinstance(name, str) and name in choices(group)):
        return name
    close = difflib.get_close_matches(str(name), choices(group), n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise bad(group, name, ", ".join(choices(group)) + hint)


def _is_group(key: str) -> bool:
    return "group" in _FIELDS[key].metadata or key == "experiment"


def _compose_groups(picked: Mapping[str, str | None]) -> tuple[dict[str, Any], dict[str, str]]:
    """conf/ with these choices, as plain data, and the choice of every group."""
    return copy.deepcopy(_composed(tuple(f"{group}={name}" for group, name in picked.items() if name is not None)))


@cache  # a sweep asks for the same choices again and again
def _composed(overrides: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    outer, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None  # a sweep calls this from within Hydra
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            composed = hydra_compose("config", list(overrides), return_hydra_config=True)
        chosen = {str(group): name for group, name in composed.hydra.runtime.choices.items()}
        data: Any = OmegaConf.to_container(composed, resolve=False)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        given = " ".join(overrides) or "the default configuration"
        raise InputError(f"{given} is not valid: {reason}; valid: what the files in {conf_dir()} allow") from None
    finally:
        GlobalHydra.instance().hydra = outer
    del data["hydra"]
    return data, chosen


def _assign(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, known or not (`choices.keys.read` names unknown ones)."""
    *sections, name = key.split(".")
    for depth, section in enumerate(sections, 1):
        below = data.setdefault(section, {})
        if not isinstance(below, dict):
            parent = ".".join(sections[:depth])
            raise bad(key, value, f"{parent} itself: it holds no keys")
        data = below
    if isinstance(value, Mapping) and isinstance(data.get(name), dict) and "schedule" not in value:
        data[name].update(value)  # precision={network: float32} leaves precision.solve as it is
    else:
        data[name] = value  # a schedule replaces another whole: their arguments do not mix


def _refuse_code(prefix: str, value: Any) -> None:
    """Raise where plain data holds ``_target_`` or an interpolation."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in items:
        key = f"{prefix}.{name}" if prefix else str(name)
        if name == "_target_":
            raise bad(key, below, "plain values; a configuration executes nothing")
        _refuse_code(key, below)
    if isinstance(value, str) and "${" in value:
        raise bad(prefix, value, "plain values; ${...} is not evaluated")


def _read(data: dict[str, Any], chosen: Mapping[str, str]) -> Config:
    """The dataclasses of plain data, each value checked alone."""
    values: dict[str, Any] = {"experiment": chosen["experiment"]}
    for name, value in data.items():
        if name not in _FIELDS or name == "experiment":
            raise unknown(name, value, name, "the configuration", _FIELDS)
    for name, field in _FIELDS.items():
        if name == "experiment":
            continue
        if name not in data:
            raise InputError(f"{name} is missing from the configuration; valid: it set in {conf_dir() / 'config.yaml'}")
        if "group" in field.metadata:
            values[name] = read(choice(name, chosen[name]), data[name], name, name=chosen[name])
        elif "section" in field.metadata:
            values[name] = read(field.metadata["section"], data[name], name)
        else:
            values[name] = checks.apply(field.metadata["check"], name, data[name])
    return Config(**values)


def to_plain(value: Any) -> Any:
    """A Config, or any part of it, as dicts, lists and scalars: what config.yaml and checkpoints hold."""
    if isinstance(value, Schedule):
        arguments = dict(value.arguments)
        return arguments["value"] if value.kind == "constant" else {"schedule": value.kind, **arguments}
    if isinstance(value, Weights):
        return dict(value.entries)
    if isinstance(value, Range):
        return value._asdict()
    if isinstance(value, PauliString):
        return {"coefficient": value.coefficient, "operators": value.operators or "I", "sites": list(value.sites)}
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [to_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {name: to_plain(below) for name, below in value.items()}
    return value


def physics(config: Config) -> dict[str, Any]:
    """What makes it this run and no other, as plain data: not the rates, the length, nor how and where it runs.

    Files (lattice.file, hamiltonian.file) count by what they hold.
    """

    def part(value: Any) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            below = getattr(value, field.name)
            if dataclasses.is_dataclass(below):
                kept |= {field.name: inside} if (inside := part(below)) else {}
            elif (counts := field.metadata.get("physics", True)) is True or (
                counts == "given" and below not in (None, False, ())
            ):
                kept[field.name] = to_plain(below)
        return kept

    return part(config)


def run_name(config: Config) -> str:
    """``<experiment or lattice-hamiltonian-ansatz>-<8 hex of the physics>``."""
    text = json.dumps(physics(config), sort_keys=True, separators=(",", ":"), allow_nan=False)
    words = config.experiment or f"{config.lattice.name}-{config.hamiltonian.name}-{config.ansatz.name}"
    return f"{config.task.prefix}{words}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def run_folder(config: Config) -> Path:
    """Where the run lives, absolute: run_dir, else runs/NAME under the current folder. Makes nothing."""
    if config.run_dir is not None:
        return Path.cwd() / config.run_dir
    return Path.cwd() / "runs" / run_name(config)


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Where two results of ``physics`` differ: lines ``key: a -> b``."""
    lines: list[str] = []
    for name in dict.fromkeys([*before, *after]):
        key = f"{prefix}{printable(str(name))}"
        old, new = before.get(name, "(absent)"), after.get(name, "(absent)")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += differences(old, new, f"{key}.")
        elif old != new:
            lines.append(f"{key}: {show(old)} -> {show(new)}")
    return lines
