"""The command line and conf/ become one checked Config, or one line that says what is wrong.

Hydra resolves the choices of the groups and parses the overrides; every check is made here and in checks, schema and
resolve. Rank 0 alone calls ``compose`` and broadcasts what it returns. A configuration is data: ``_target_`` and
``${...}`` are refused, nothing in it is executed.
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
from typing import Any, NamedTuple

from nqs_hpc import schema
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import InputError, Range, Schedule, Weights, bad, show, unknown
from nqs_hpc.inputs.reading import printable
from nqs_hpc.operators.pauli_strings import PauliString
from nqs_hpc.resolve import resolve
from nqs_hpc.resolve.files import check_folder, check_packages
from nqs_hpc.resolve.hamiltonian import make_hilbert, make_sites, resolve_hamiltonian
from nqs_hpc.resolve.lattice import make_lattice
from nqs_hpc.schema import Config
from nqs_hpc.schema.inner import fill
from nqs_hpc.system.lattice import Lattice

__all__ = [
    "Config",
    "InputError",
    "compose",
    "conf_dir",
    "differences",
    "from_plain",
    "hamiltonian",
    "make_hilbert",
    "make_lattice",
    "make_sites",
    "physics",
    "run_folder",
    "run_name",
    "to_plain",
]

_FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def conf_dir() -> Path:
    """The folder of the YAML files: inside the package where it was installed from a wheel, else beside it."""
    package = Path(__file__).resolve().parents[1]
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


@cache
def choices(group: str) -> tuple[str, ...]:
    """The names a group can be set to; an experiment is a YAML file alone, the others have a dataclass each too."""
    if group in schema.CHOICES:
        return tuple(schema.CHOICES[group])
    return tuple(sorted(file.stem for file in (conf_dir() / group).glob("*.yaml")))


def compose(overrides: list[str], n_ranks: int | None) -> Config:
    """The checked configuration of a command line; raises InputError, one line, and nothing else for bad input.

    ``n_ranks`` will run it; None: as many as resources.ranks asks the queue for.
    """
    config = checked(overrides, n_ranks)
    check_packages(config)
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
    config = _filled(picked, [(one.key, one.value) for one in parsed if not one.is_group])
    allowed = "ansatz.module" in given or (config.allow_import and "allow_import" in given)
    if isinstance(config.ansatz, schema.ByModule) and not allowed:
        # what is imported is run: a file of the configuration, perhaps another's, does not decide that
        raise bad("ansatz.module", config.ansatz.module, "the same on the command line, or allow_import=true")
    return resolve(config, n_ranks)


def from_plain(given: Mapping[str, Any]) -> Config:
    """The checked configuration, for one rank, of plain data: what config.yaml holds, or a command line as a mapping.

    A group is its choice, ``{"lattice": "square"}``, or a mapping with the choice as ``name``; keys stand in such a
    mapping or are dotted, ``{"lattice.length": 4}``. What is not given is as in conf/. Of a resolved configuration no
    file is read again: bonds and terms are those that were read from it. Raises InputError.
    """
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
    # what a run has read from lattice.file
    derived = {"edges": ("n_sites", "edges", "weights"), "points": ("n_sites", "positions")}.get(
        picked.get("lattice") or "", ()
    )
    if "lattice.edges" not in values and "lattice.positions" not in values:
        derived = ()  # not of a run: n_sites is a key
    read = {name: values.pop(f"lattice.{name}") for name in derived if f"lattice.{name}" in values}
    permutations = values.pop("symmetrize.permutations", None)
    values.pop("symmetrize.names", None)  # follows from the rest
    file = values.pop("hamiltonian.file", None) if values.get("hamiltonian.terms") is not None else None
    config = _filled(picked, list(values.items()))
    if read:
        config = dataclasses.replace(config, lattice=dataclasses.replace(config.lattice, **read))
    if permutations is not None:
        config = dataclasses.replace(
            config, symmetrize=dataclasses.replace(config.symmetrize, permutations=permutations)
        )
    config = resolve(config, 1)
    if file is not None:
        config = dataclasses.replace(config, hamiltonian=dataclasses.replace(config.hamiltonian, file=file))
    return config


def hamiltonian(given: Mapping[str, Any], lattice: Lattice) -> schema.Hamiltonian:
    """A checked Hamiltonian on ``lattice`` from a mapping such as ``{"name": "ising", "h": 2.0}``; what is not given is
    as in conf/. Raises InputError.
    """
    name = _check_choice("hamiltonian", given.get("name"))
    data = _compose_groups({"hamiltonian": name})[0]["hamiltonian"]
    data |= {key: value for key, value in given.items() if key != "name"}
    _refuse_code("hamiltonian", data)
    read = schema.read(schema.CHOICES["hamiltonian"][str(name)], data, "hamiltonian", name=name)
    return resolve_hamiltonian(read, lattice)


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
    assigned = fill(data, chosen, assigned, lambda group, name: _compose_groups({group: name})[0][group])
    for key, value in assigned:
        _assign(data, key, value)
    keys = {key for key, _ in assigned}
    if "lattice.length" in keys and "lattice.extent" not in keys and "extent" in data["lattice"]:
        data["lattice"]["extent"] = None  # an experiment's extent does not beat the command line's length
    _refuse_code("", data)
    return _read(data, chosen)


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
    """Set a dotted key, known or not (schema.read names unknown ones)."""
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
            values[name] = schema.read(schema.CHOICES[name][chosen[name]], data[name], name, name=chosen[name])
        elif "section" in field.metadata:
            values[name] = schema.read(field.metadata["section"], data[name], name)
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
    return f"{words}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


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
