"""Every key by its full name: the choices that have it, what it takes, its default; and what a mistyped name meant.

sampler.n_chains              of sampler=metropolis, sampler=tempering, …
task.integrator.dt            of a choice inside a choice
observables.LABEL.order       of a choice under any label
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from nqs_hpc.choices import choice, groups, names
from nqs_hpc.choices.keys import inner_groups
from nqs_hpc.config.commands import COMMANDS, START
from nqs_hpc.config.defaults import FIELDS, choices, conf_dir, load, place_of
from nqs_hpc.inputs.checks import MOST_MEANT, Check, InputError, Unknown, meant

LABEL = "observables.LABEL"


class Spot(NamedTuple):
    """A key of one choice, or outside the groups."""

    key: str
    owner: str  # the choice that has it, as one gives it: sampler=metropolis; empty outside the groups
    name: str  # only the choice
    check: Check
    default: Any
    doc: str
    kind: str  # its type, as it is written in Python
    physics: bool | str  # as in `choices.keys.key`
    inner: str  # the group of which its value is a choice; empty for others


@cache
def where(group: str) -> str:
    """The full name of what is set to a choice of ``group``: itself, or the key inside of another choice."""
    if group in FIELDS or "/" in group or (place := place_of(group)) != group:
        return group if group in FIELDS or "/" in group else place
    inside = (
        f"{outer}.{field}"
        for outer in FIELDS
        if outer in groups()
        for name in names(outer)
        for field, of in inner_groups(outer, name).items()
        if of == group
    )
    return next(inside, group)


@cache
def spots() -> dict[str, tuple[Spot, ...]]:
    """Every key, in the order of `--help`; a key of several choices has a spot for each."""
    found: dict[str, list[Spot]] = {}
    for one in _all():
        found.setdefault(one.key, []).append(one)
    return {key: tuple(several) for key, several in found.items()}


def _all() -> Iterator[Spot]:
    in_order = [group for group in FIELDS if group in groups()]
    for group in [*in_order, *(group for group in groups() if group not in in_order)]:
        for name in names(group):
            defaults = load(conf_dir() / group / f"{name}.yaml")
            fields = {field.name: field for field in dataclasses.fields(choice(group, name))}
            for key, value in defaults.items():  # in the order of the YAML
                if key in fields and "check" in fields[key].metadata:
                    place = where(group)
                    yield _spot(f"{place.replace('/', '.')}.{key}", f"{place}={name}", name, fields[key], value)
    defaults = load(conf_dir() / "config.yaml")
    for top, field in FIELDS.items():
        if "check" in field.metadata:
            yield _spot(top, "", "", field, defaults[top])
        elif "section" in field.metadata:
            for below in dataclasses.fields(field.metadata["section"]):
                if "check" in below.metadata:
                    yield _spot(f"{top}.{below.name}", "", "", below, defaults[top][below.name])


def _spot(key: str, owner: str, name: str, field: Any, default: Any) -> Spot:
    facts = field.metadata
    inner = facts.get("inner", "")
    return Spot(key, owner, name, facts["check"], default, facts["doc"], str(field.type), facts["physics"], inner)


def sections() -> tuple[str, ...]:
    """What has keys beside the groups: checkpoint, log, …"""
    return tuple(name for name, field in FIELDS.items() if "section" in field.metadata)


def canonical(key: str) -> str:
    """The name under which `spots` has a key: ``ansatz.modulus.alpha`` is one of ``ansatz``, any label is LABEL."""
    parts = key.split(".")
    for group in groups():
        if parts[: (n := group.count("/") + 1)] == group.split("/") and where(group) != group:
            return canonical(".".join([where(group), *parts[n:]]))
    if parts[0] == "observables" and len(parts) > 1 and parts[1] != "every":
        return ".".join([LABEL, *parts[2:]])
    if len(parts) > 2 and parts[0] in groups():
        inside = {field: group for name in names(parts[0]) for field, group in inner_groups(parts[0], name).items()}
        if where(group := inside.get(parts[1], "")) in FIELDS:
            return canonical(".".join([group, *parts[2:]]))
    return key


def group_of(key: str) -> str | None:
    """The group that ``key``, as `canonical` gives it, is set to a choice of; None for other keys."""
    return next((group for group in (*groups(), "experiment") if key in (group, where(group))), None)


def words_of(spot: Spot) -> tuple[str, ...]:
    """The words that a key can be set to, whatever else it takes."""
    return choices(spot.inner) if spot.inner else spot.check.words


def homes(name: str, *, exactly: bool = False) -> str:
    """Full keys whose last part is ``name``, or near to it, in words; empty if there is none."""
    last = {key: key.rpartition(".")[2] for key in spots()}
    same = [key for key, part in last.items() if part == name]
    if not same and not exactly:
        close = difflib.get_close_matches(name, list(dict.fromkeys(last.values())), n=1, cutoff=0.8)
        same = [key for key, part in last.items() if part in close]
    return " or ".join(same[:MOST_MEANT])


def not_an_override(word: str) -> InputError:
    """The line of a word without ``=`` where KEY=VALUE belongs, with the command, group or choice that was meant."""
    given = " ".join(word.split())
    if given in COMMANDS:
        hint = f"a command comes first: {START} {given} ...; "
    else:
        written = {given: homes(given, exactly=True)} if homes(given, exactly=True) else {}
        for group in reversed([*(group for group in FIELDS if group in groups()), "experiment"]):
            written |= {name: f"{group}={name}" for name in choices(group)} | {group: f"{group}=NAME"}
        written |= {name: name for name in COMMANDS}
        hint = f"did you mean {' or '.join(close)}? " if (close := _written(given, written)) else ""
    return InputError(f"{given} is not valid: not of the form KEY=VALUE; {hint}valid: for example lattice.length=6")


def _written(word: str, written: Mapping[str, str]) -> list[str]:
    """What of ``written`` is meant by ``word``: the nearest, or a few that begin like it."""
    longer = [name for name in written if len(word) > 2 and name.startswith(word)]
    return [written[name] for name in difflib.get_close_matches(word, written, n=1) or longer[:MOST_MEANT]]


def mended(error: Unknown) -> Unknown:
    """The line of an unknown key that also knows the keys of other choices and groups."""
    top = error.key.rpartition(".")[0]
    group = group_of(canonical(top))
    if top and group is None and top not in sections():
        return error  # the keys of a value, such as optimizer.arguments
    near, far = meant(error.name, error.names), ""
    same = spots().get(canonical(f"{top}.{error.name}"), ()) if group else ()
    having = [f"{top}={spot.name}" for spot in same]
    if not having and (far := homes(error.name)) and near:  # the nearer of the two
        ratio = difflib.SequenceMatcher(None, error.name, near).ratio()
        parts = (difflib.SequenceMatcher(None, error.name, one.rpartition(".")[2]) for one in far.split(" or "))
        far = far if max(part.ratio() for part in parts) > ratio else ""
    owners = ", ".join(having[:MOST_MEANT]) + (f" and {len(having) - MOST_MEANT} more" * (len(having) > MOST_MEANT))
    elsewhere = f"{owners} {'has' if len(having) == 1 else 'have'}" if having else ""
    return Unknown(error.key, error.value, error.name, error.owner, error.names, far or near, elsewhere)
