"""conf/reproduction/NAME.yaml: a published result, the sweep that repeats it, and what it came to where it was run.

    title: one line
    source: {authors: …, year: …, where: figure or table, doi: …, arxiv: …}
    sweep: overrides, as after `python -m nqs_hpc -m study=NAME`
    place: laptop, or cluster if it takes more than hours on a few cores
    cost: in words, if it has not been measured
    cluster: overrides that --slurm adds, resources.* above all
    targets: a list of {name, at, quantity, value, error, times, rule, tolerance, relative, origin, source}
    measured: {date, machine, seconds, values: {target: [value, error]}, notes: {target: doubtful}}, or null: not run

A target compares one number of one point. ``quantity`` is a path into summary.json (`energy`, `energy_per_site`,
`observables.mz.m`); ours ``times`` a factor is theirs: 4 from S·S to Pauli matrices. The rules are those of `targets`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.config.defaults import conf_dir
from nqs_hpc.inputs import reading
from nqs_hpc.inputs.checks import (
    Check,
    InputError,
    Invalid,
    apply,
    bad,
    boolean,
    choice,
    integer,
    list_of,
    name,
    nearest,
    number,
    text,
    unknown,
)
from nqs_hpc.reproduce.targets import ORIGINS, RULES, Number, Target

GROUP = "reproduction"
PLACES = ("laptop", "cluster")


class Source(NamedTuple):
    """Where a result was published."""

    authors: str
    year: int
    where: str  # the figure or the table
    doi: str
    arxiv: str

    def __str__(self) -> str:
        return f"{self.authors} {self.year}"


class Measured(NamedTuple):
    """One run of all its points."""

    date: str
    machine: str
    seconds: float  # of all points together
    values: dict[str, Number]  # by the name of the target; in its normalisation
    notes: dict[str, str]  # by the name of the target: what is to be known of its run, as that it was doubtful


class Reproduction(NamedTuple):
    """What a file of conf/reproduction says."""

    name: str
    title: str
    source: Source
    sweep: tuple[str, ...]
    place: str  # laptop | cluster
    cost: str | None
    cluster: tuple[str, ...]
    targets: tuple[Target, ...]
    measured: Measured | None


def names() -> list[str]:
    """The reproductions that conf/ has."""
    return sorted(file.stem for file in (conf_dir() / GROUP).glob("*.yaml"))


def load(word: str) -> Reproduction:
    """The reproduction that a user names, one of `names` or a YAML file of their own; raises InputError."""
    if word.endswith((".yaml", ".yml")):
        return read(Path(word))
    known = names()
    if word not in known:
        own = ", ".join(known) or "none"
        raise bad("reproduce", word, f"{own}, or a YAML file of your own", nearest(word, known))
    return read_known(word)


def read_known(stem: str) -> Reproduction:
    """One of `names`; raises InputError if its file is not valid."""
    return read(conf_dir() / GROUP / f"{stem}.yaml")


def read(path: Path) -> Reproduction:
    """The reproduction in a file, each value checked; raises InputError, one line."""
    try:
        data = reading.parse_yaml(reading.data(path, reading.SETTINGS, follow=True))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path} is not valid: {error}") from None
    try:
        return _reproduction(apply(name, "name", path.stem), data)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def _date(value: Any) -> str:
    try:
        return (value if isinstance(value, datetime.date) else datetime.date.fromisoformat(value)).isoformat()
    except (TypeError, ValueError):
        raise Invalid from None


# Keys with their check and their default: None for what is left out or null, ... where it has to be there.
_Keys = Mapping[str, tuple[Check, Any]]
_MAPPING = Check("a mapping", lambda value: _mapping(value))
_HEAD: _Keys = {
    "title": (text, ...),
    "source": (_MAPPING, ...),
    "sweep": (list_of(text), ...),
    "place": (choice(*PLACES), ...),
    "cost": (text, None),
    "cluster": (list_of(text), None),
    "targets": (list_of(_MAPPING), ...),
    "measured": (_MAPPING, None),
}
_SOURCE: _Keys = {
    "authors": (text, ...),
    "year": (integer(least=1900, below=2200), ...),
    "where": (text, ...),
    "doi": (text, ...),
    "arxiv": (text, ...),
}
_TARGET: _Keys = {
    "name": (text, ...),
    "at": (_MAPPING, None),
    "quantity": (text, ...),
    "value": (number(), ...),
    "error": (number(least=0.0), 0.0),
    "times": (number(), 1.0),
    "rule": (choice(*RULES), "within"),
    "tolerance": (number(above=0.0), ...),
    "relative": (boolean, True),
    "origin": (choice(*ORIGINS), ...),
    "source": (text, ...),
}
_MEASURED: _Keys = {
    "date": (Check("a date, YYYY-MM-DD", _date), ...),
    "machine": (text, ...),
    "seconds": (number(above=0.0), ...),
    "values": (_MAPPING, ...),
    "notes": (_MAPPING, None),
}


def _reproduction(stem: str, data: Any) -> Reproduction:
    head = _section("", data, _HEAD)
    targets = tuple(_target(f"targets.{i}", one) for i, one in enumerate(head["targets"]))
    known = [one.name for one in targets]
    if len(set(known)) < len(known):
        raise bad("targets", known, "names of which no two are alike")
    return Reproduction(
        stem,
        **head
        | {
            "source": Source(**_section("source", head["source"], _SOURCE)),
            "cluster": head["cluster"] or (),
            "targets": targets,
            "measured": None if head["measured"] is None else _measured(head["measured"], known),
        },
    )


def _target(key: str, data: Any) -> Target:
    found = _section(key, data, _TARGET)
    if found["relative"] and found["value"] == 0:
        raise bad(f"{key}.relative", True, "false where the value is 0")
    return Target(**found | {"at": found["at"] or {}})


def _measured(data: Any, known: list[str]) -> Measured:
    found = _section("measured", data, _MEASURED)
    values: dict[str, Number] = {}
    for target, pair in found["values"].items():
        key = f"measured.values.{target}"
        if target not in known:
            raise unknown(key, pair, target, "targets", known)
        numbers = apply(list_of(number()), key, pair)
        if len(numbers) != 2 or numbers[1] < 0:
            raise bad(key, pair, "[value, error]")
        values[target] = Number(*numbers)
    notes = found["notes"] or {}
    for target, note in notes.items():
        if target not in values:
            raise unknown(f"measured.notes.{target}", note, target, "measured.values", values)
        apply(text, f"measured.notes.{target}", note)
    return Measured(**found | {"values": values, "notes": notes})


def _section(key: str, data: Any, keys: _Keys) -> dict[str, Any]:
    """A mapping with exactly the ``keys``, each value checked; raises InputError."""
    place = f"{key}." if key else ""
    for one, value in apply(_MAPPING, key or "the file", data).items():
        if one not in keys:
            raise unknown(f"{place}{one}", value, one, key or "a reproduction", keys)
    found: dict[str, Any] = {}
    for one, (check, default) in keys.items():
        if one not in data and default is ...:
            raise InputError(f"{place}{one} is missing; valid: {check.valid}")
        value = data.get(one)
        found[one] = default if value is None and default is not ... else apply(check, f"{place}{one}", value)
    return found


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid
    return {str(key): below for key, below in value.items()}
