"""Choices inside a choice: ``ansatz=modulus_phase ansatz.modulus=rbm ansatz.modulus.alpha=2``.

Such a key (`choices.keys.inner`) is given as the name of a choice, or as a mapping with it as ``name``, by conf/, an
experiment, the command line, or plain data. Here all become that mapping, filled up from conf/, in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nqs_hpc.choices import groups
from nqs_hpc.choices.keys import follows, inner_choices, inner_groups
from nqs_hpc.inputs.checks import bad, nearest

Assigned = list[tuple[str, Any]]  # dotted keys and their values


def fill(
    data: dict[str, Any], chosen: Mapping[str, str], assigned: Assigned, defaults: Callable[[str, str], dict[str, Any]]
) -> Assigned:
    """Put the keys of each choice inside a choice into ``data``, and return what is left to assign.

    ``chosen``: the choice of every group; ``defaults(group, name)``: the keys of a choice in conf/. Raises InputError.
    """
    for outer, name in chosen.items():
        if outer in groups():
            given = {field: _name_of(data[outer].get(field)) for field in inner_groups(outer, name)}
            for field, group in inner_groups(outer, name).items():
                before = data[outer].get(field)
                if default := follows(outer, name, field):
                    leader, of_leader = default
                    if data[outer][leader]["name"] != given[leader]:
                        before = of_leader(data[outer][leader]["name"])
                data[outer][field], assigned = _choice(f"{outer}.{field}", group, before, assigned, defaults)
    return assigned


def fill_named(
    key: str, group: str, before: Any, assigned: Assigned, defaults: Callable[[str, str], dict[str, Any]]
) -> tuple[dict[str, Any], Assigned]:
    """The same of a mapping {LABEL: choice}: the filled mapping, and what is left to assign.

    A list of choices is a mapping whose labels are their names.
    """
    found: dict[str, Any] = _by_label(key, group, before)
    inside: Assigned = []
    left: Assigned = []
    for given, value in assigned:
        if given == key:
            found, inside = _by_label(key, group, value), []
        elif given.startswith(f"{key}."):
            inside.append((given, value))
            found.setdefault(given.removeprefix(f"{key}.").partition(".")[0], None)
        else:
            left.append((given, value))
    filled = {}
    for label, one in found.items():
        own = [(given, value) for given, value in inside if given.split(".")[: key.count(".") + 2][-1] == label]
        filled[label], rest = _choice(f"{key}.{label}", group, one, own, defaults)
        for given, value in rest:  # keys of the choice itself
            filled[label][given.removeprefix(f"{key}.{label}.")] = value
    return filled, left


def _by_label(key: str, group: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        if len(set(value)) < len(value):
            raise bad(
                key, value, f"each name once; {key}.LABEL=NAME measures one of them twice, under labels of your own"
            )
        return {name: name for name in value}
    if value is not None and not isinstance(value, Mapping):
        raise bad(key, value, f"a list of names, or a mapping {{LABEL: choice of {group}}}")
    return dict(value or {})


def _choice(
    key: str, group: str, before: Any, assigned: Assigned, defaults: Callable[[str, str], dict[str, Any]]
) -> tuple[dict[str, Any], Assigned]:
    before = dict(before) if isinstance(before, Mapping) else {"name": before}
    name, left = before.pop("name", None), []
    for given, value in assigned:
        if given == f"{key}.name" or (given == key and not isinstance(value, Mapping)):
            before, name = (before if value == name else {}), value
        elif given == key:
            inside = dict(value)
            chosen = inside.pop("name", name)
            before, name = (before if chosen == name else {}), chosen
            left += [(f"{key}.{below}", inner) for below, inner in inside.items()]
        else:
            left.append((given, value))
    valid = inner_choices(group)
    if name not in valid:
        raise bad(key, name, ", ".join(valid), nearest(name, valid))
    return {"name": name, **defaults(group, name), **before}, left


def _name_of(value: Any) -> Any:
    return value.get("name") if isinstance(value, Mapping) else value
