"""The keys in which the points of a folder differ: swept keys, and other settings of their physics.

A sweep can be launched several times into one folder, and each launch records for its points only its own swept keys:
after two launches at different fields no point names its field. So we compare the recorded settings of all points.
"""

from __future__ import annotations

import json
from typing import Any

from nqs_hpc.inputs.reading import parse_json
from nqs_hpc.report.traces import Traces
from nqs_hpc.report.values import clean, number, section

Settings = dict[str, str | float | None]

# Settings that distinguish curves or columns. Others follow from these, or are not physics.
_TELLING = ("lattice.", "hamiltonian.", "ansatz.", "symmetrize.")
_TELLING_ONE = {"lattice", "hamiltonian", "ansatz", "sampler", "optimizer", "sector", "seed"}
# Expanded values of a key on one lattice: every bond, every string of a sum. They change with size, the key does not.
_EXPANDED = {
    "lattice.edges",
    "lattice.weights",
    "lattice.n_sites",
    "lattice.positions",
    "hamiltonian.terms",
    "symmetrize.permutations",
}
_ONE_FOR_ALL = {
    "lattice.extent": "lattice.length",
    "lattice.pbc": "lattice.pbc",
}  # lists by direction, if all entries are equal
_NOT_RESOLVED = {"auto", "none", "null"}  # a record holds their resolved values


def swept(all_traces: list[Traces]) -> list[Settings]:
    """For each point the same keys with its values: the swept keys, then other settings that differ between points.

    None if a point has no such setting, or has not begun and does not specify it.
    """
    points = [found.place.point for found in all_traces]
    own = [point.swept if point is not None and isinstance(point.swept, dict) else {} for point in points]
    known = [settings(found) for found in all_traces]
    begun = [bool(section(found.manifest, "physics")) for found in all_traces]
    keys = list(dict.fromkeys(key for values in own for key in values))
    keys += [key for key in _differing(known, begun) if key not in keys]
    if "lattice.length" in keys and all("lattice.extent" in values for values in own):
        keys.remove("lattice.length")  # the same again
    everything = [of | values for of, values in zip(map(_rest, all_traces), known, strict=True)]
    return [
        {clean(key): plain(values[key] if key in values else more.get(key)) for key in keys}
        for values, more in zip(own, everything, strict=True)
    ]


def settings(found: Traces) -> dict[str, Any]:
    """The distinguishing settings of a point as flat keys: as recorded by its run, or before that as requested by its
    sweep.

    The choice of a group is the value of the group: ``ansatz`` is rbm. A size or boundary equal in every direction is
    one value; the extent then becomes ``lattice.length``.
    """
    asked = _asked(found)
    flat = _flat(section(found.manifest, "physics"))
    if asked and flat:
        wanted = {"lattice.file", "hamiltonian.file", "hamiltonian.terms", "symmetrize.file"}
        flat = {key: value for key, value in flat.items() if key not in _EXPANDED}
        flat |= {key: value for key, value in asked.items() if key in wanted}
    elif not flat:
        flat = {key: value for key, value in asked.items() if str(value).lower() not in _NOT_RESOLVED}
    telling: dict[str, Any] = {}
    for key, value in flat.items():
        if key.startswith(_TELLING) or key in _TELLING_ONE:
            alike = isinstance(value, list) and bool(value) and all(below == value[0] for below in value)
            telling |= {_ONE_FOR_ALL[key]: value[0]} if alike and key in _ONE_FOR_ALL else {key: value}
    return telling


def plain(value: Any) -> str | float | None:
    """A setting for a table: a number stays a number, a list of one becomes its element."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and number(value) is not None):
        return value
    return clean(value) if isinstance(value, str) else clean(json.dumps(value, default=str))


def _differing(known: list[dict[str, Any]], begun: list[bool]) -> list[str]:
    """The keys in which points differ; keys of a group are compared between points with the same choice."""
    keys = []
    for key in dict.fromkeys(key for values in known for key in values):
        group, dot, _ = key.partition(".")
        choices = {values[group] for values in known if isinstance(values.get(group), str)}
        only = choices.pop() if len(choices) == 1 else None
        by_choice: dict[str, set[Any]] = {}
        for values, complete in zip(known, begun, strict=True):
            if complete or key in values:
                choice = str(values.get(group, only)) if dot else ""
                by_choice.setdefault(choice, set()).add(plain(values.get(key)))
        if any(len(values) > 1 for values in by_choice.values()):
            keys.append(key)
    return keys


def _asked(found: Traces) -> dict[str, Any]:
    """The overrides of a point of a sweep, KEY=VALUE each; anything else is left out."""
    point = found.place.point
    words = point.overrides if point is not None and isinstance(point.overrides, list) else ()
    pairs = (word.partition("=") for word in words if isinstance(word, str))
    return {key.lstrip("+"): _value(text) for key, equal, text in pairs if equal}


def _value(text: str) -> Any:
    """The number, truth value or list that the text represents, else the text."""
    try:
        return parse_json(text.lower(), parse_constant=str)
    except ValueError:
        return text


def _rest(found: Traces) -> dict[str, Any]:
    """Other settings, such as rates, because a key that is swept in one launch may be constant in another."""
    rest = _flat(found.config) | _asked(found)
    return {key: value for key, value in rest.items() if not key.startswith(_TELLING) and key not in _TELLING_ONE}


def _flat(groups: dict[Any, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for group, values in groups.items():
        below = values if isinstance(values, dict) else {"name": values}
        flat |= {str(group) if key == "name" else f"{group}.{key}": value for key, value in below.items()}
    return flat
