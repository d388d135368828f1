"""conf/ with some choices and values: one checked Config, each value checked by itself.

Hydra resolves the choices of the groups; defaults live only in conf/."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from nqs_hpc.choices import choice, groups, names
from nqs_hpc.choices.keys import read
from nqs_hpc.config.inner import fill
from nqs_hpc.config.observables import fill_observables
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs import checks, reading
from nqs_hpc.inputs.checks import InputError, bad, nearest, unknown

FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def conf_dir() -> Path:
    """The folder of the YAML files: inside the package if it was installed from a wheel, otherwise beside it."""
    package = Path(__file__).resolve().parents[1]
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


@cache
def choices(group: str) -> tuple[str, ...]:
    """The names a group can be set to; an experiment is only a YAML file; each of the others also has a dataclass."""
    if group in groups():
        return names(group)
    return tuple(sorted(file.stem for file in (conf_dir() / group).glob("*.yaml")))


@cache
def load(file: Path) -> dict[str, Any]:
    """One of the YAML files."""
    import yaml

    data: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return data


def place_of(group: str) -> str:
    """Where a choice of a group stands: the group itself, or what it says in its place."""
    place: str = getattr(choice(group, choices(group)[0]), "place", group)
    return place


def filled(picked: Mapping[str, str | None], assigned: list[tuple[str, Any]]) -> Config:
    """conf/ with these choices and values, each value checked by itself."""
    data, chosen = compose_groups(picked)
    if picked.get("experiment"):
        # The values of an experiment belong to its own choices: those of a group that the command line sets otherwise
        # (experiment=tfim_chain lattice=square) are left out, instead of length 20 becoming 20 x 20.
        own = compose_groups({"experiment": picked["experiment"]})[1]
        replaced = [group for group in picked if group != "experiment" and picked[group] != own[group]]
        if replaced:
            plain = compose_groups({**picked, "experiment": None})[0]
            data.update({group: plain[group] for group in replaced})
    if ("symmetrize", "all") in assigned:
        one = "symmetrize.group, .momentum, .irrep and .spin_flip name one sector"
        raise bad("symmetrize", "all", f"with -m alone, a point for every sector (-m study=NAME symmetrize=all); {one}")
    assigned = fill(data, chosen, assigned, _defaults_of)
    data["observables"], assigned = fill_observables(data.get("observables"), assigned, _defaults_of)
    for key, value in assigned:
        _assign(data, key, value)
    keys = {key for key, _ in assigned}
    size = data["lattice"]
    for other in ("extent", "cluster") if "lattice.length" in keys and size["length"] is not None else ():
        if f"lattice.{other}" in keys and size.get(other) is not None:
            raise bad("lattice.length", size["length"], f"null or left out with lattice.{other}, which says the size")
        if other in size:
            size[other] = None  # an experiment's extent does not beat the command line's length
    refuse_code("", data)
    return _read(data, chosen)


def _defaults_of(group: str, name: str) -> dict[str, Any]:
    """The keys of a choice in conf/."""
    if group in FIELDS:
        found: dict[str, Any] = compose_groups({group: name})[0][group]
        return found
    plain: dict[str, Any] = reading.parse_yaml((conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8"))
    return plain


def check_choice(group: str, name: Any) -> str | None:
    """The choice of a group, None for no experiment."""
    if (name is None and group == "experiment") or (isinstance(name, str) and name in choices(group)):
        return name
    raise bad(group, name, ", ".join(choices(group)), nearest(name, choices(group)))


def is_group(key: str) -> bool:
    return "group" in FIELDS[key].metadata or key == "experiment"


def compose_groups(picked: Mapping[str, str | None]) -> tuple[dict[str, Any], dict[str, str]]:
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


def refuse_code(prefix: str, value: Any) -> None:
    """Raise where plain data holds ``_target_`` or an interpolation."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in items:
        key = f"{prefix}.{name}" if prefix else str(name)
        if name == "_target_":
            raise bad(key, below, "plain values; a configuration executes nothing")
        refuse_code(key, below)
    if isinstance(value, str) and "${" in value:
        raise bad(prefix, value, "plain values; ${...} is not evaluated")


def _read(data: dict[str, Any], chosen: Mapping[str, str]) -> Config:
    """The dataclasses of plain data, each value checked by itself."""
    values: dict[str, Any] = {"experiment": chosen["experiment"]}
    for name, value in data.items():
        if name not in FIELDS or name == "experiment":
            raise unknown(name, value, name, "the configuration", FIELDS)
    for name, field in FIELDS.items():
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
