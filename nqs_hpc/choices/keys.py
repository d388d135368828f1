"""Keys of the configuration, and how the dataclass of a group or section is read from a mapping."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

from nqs_hpc.choices import choice, names
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, InputError, bad, unknown

T = TypeVar("T")
Auto = Literal["auto"]
Float = Literal["float32", "float64"]
Examples = tuple[Mapping[str, Any], ...]  # keys of a choice, as in a configuration


def key(check: Check, doc: str, *, physics: bool | Literal["given"] = True, in_time: Check | None = None) -> Any:
    """A key of the configuration. ``physics``: whether another value makes it another run; "given": only if the value
    is not null, false or 0, so that runs older than the key are still found. ``in_time``: the check for values of a
    coupling in a ramp, if it differs from ``check``.
    """
    return dataclasses.field(metadata={"check": check, "doc": doc, "physics": physics, "in_time": in_time or check})


def derived(*, physics: bool | Literal["given"] = True) -> Any:
    """A field that no key sets: it is read from a file or computed. ``physics`` as for a key; () means not given."""
    return dataclasses.field(default=(), metadata={"physics": physics})


def inner(group: str, key: str, doc: str, *, default: tuple[str, Callable[[str], str]] | None = None) -> Any:
    """A key whose value is a choice of ``group``, with the keys of that choice below it: ``key=NAME key.x=1``.

    ``key`` is its full name. In plain data it is a mapping with the choice as ``name``; `config` accepts that, or only
    the name, and fills in missing keys. A choice with such a key cannot be the value of another one.

    ``default``: (FIELD, function): the function gives the default of this key from the name of the choice in FIELD, an
    earlier key of this kind.
    """

    def read_choice(value: Any) -> Any:
        below = dict(value)
        name = below.pop("name")
        return read(choice(group, name), below, key, name=name)

    check = Check(f"a choice of {group}", read_choice)
    return dataclasses.field(metadata={"check": check, "doc": doc, "physics": True, "inner": group, "default": default})


def named_choices(group: str, key: str, data: Any, reserved: Iterable[str] = ()) -> dict[str, Any]:
    """The choices of a mapping {LABEL: choice of ``group``}, each a mapping as in `inner`; the user chooses the labels,
    except those in ``reserved``.
    """
    found = {}
    for label, one in data.items():
        if not isinstance(label, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,23}", label) or label in reserved:
            taken = f", none of {', '.join(reserved)}" if reserved else ""
            valid = f"for labels names of letters, digits and _, at most 24 characters{taken}"
            raise bad(f"{key}.{label}", one, valid)
        below = dict(one)
        name = below.pop("name")
        found[label] = read(choice(group, name), below, f"{key}.{label}", name=name)
    return found


def follows(group: str, name: str, field: str) -> tuple[str, Callable[[str], str]] | None:
    """The ``default`` of the key ``field`` of a choice, as in `inner`."""
    (found,) = (one.metadata["default"] for one in dataclasses.fields(choice(group, name)) if one.name == field)
    default: tuple[str, Callable[[str], str]] | None = found
    return default


def inner_groups(group: str, name: str) -> dict[str, str]:
    """The keys of a choice whose values are choices, with their groups."""
    return {
        field.name: field.metadata["inner"]
        for field in dataclasses.fields(choice(group, name))
        if "inner" in field.metadata
    }


def inner_choices(group: str) -> list[str]:
    """The choices of a group that can be inside another one: without choices inside, without code to run (only the key
    ``ansatz.module`` is guarded), and without couplings of the run as inputs.
    """
    alone = ("runs_code", "takes_couplings")
    found = [name for name in names(group) if not inner_groups(group, name)]
    return [name for name in found if not any(getattr(choice(group, name), fact, False) for fact in alone)]


def read(cls: type[T], data: Any, prefix: str, **fixed: Any) -> T:
    """The dataclass of a group or section from its mapping; checks every key and refuses missing and unknown ones."""
    fields = {f.name: f.metadata["check"] for f in dataclasses.fields(cls) if "check" in f.metadata}  # type: ignore[arg-type]
    if not isinstance(data, Mapping):
        raise bad(prefix, data, f"its keys: {_keys(prefix, fields)}")
    for name, value in data.items():
        if name not in fields:
            owner = f"{prefix}={fixed['name']}" if "name" in fixed else prefix
            raise unknown(f"{prefix}.{name}", value, str(name), owner, fields)
    values = {}
    for name, check in fields.items():
        if name not in data:
            raise InputError(f"{prefix}.{name} is missing from the configuration; valid: {check.valid}")
        values[name] = checks.apply(check, f"{prefix}.{name}", data[name])
    return cls(**fixed, **values)


def _keys(prefix: str, names: Iterable[str]) -> str:
    return ", ".join(f"{prefix}.{name}" for name in names) or "none"
