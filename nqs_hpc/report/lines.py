"""Lines of points against a coupling: the swept couplings, the points of each line, and the values.

A coupling is a number of the Hamiltonian that differs between points (hamiltonian.h, or one of several in
hamiltonian.J), or the conserved total. It is read from the record of each run, so an evaluation has the coupling of its
run.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.report.groups import SIZES, ansatz, label, named, scaled
from nqs_hpc.report.measured import measured_beside
from nqs_hpc.report.rows import ReadPoint
from nqs_hpc.report.swept import plain, settings
from nqs_hpc.report.values import clean, number, section

MOST_COUPLINGS = 3  # each has a section
MOST_COMPONENTS = 4  # couplings by neighbour order; longer lists are by site
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

Numbers = dict[str, float]


class Coupling(NamedTuple):
    """A swept coupling."""

    key: str  # hamiltonian.h, hamiltonian.J[2]
    short: str  # h, J₂


class Line(NamedTuple):
    """Points that differ only in one coupling, in its order."""

    name: str  # size, ansatz, and what else is swept
    family: str  # the same for lines that differ only in size
    of: str  # the name without the size
    size: str
    n_sites: int
    members: list[ReadPoint]
    x: list[float]


class Measurement(NamedTuple):
    """One value of a run."""

    value: float
    error: float  # 0 if not known
    unit: str


def couplings(found: list[ReadPoint]) -> list[Coupling]:
    """The couplings that differ between points, at most three, in the order in which they are recorded."""
    numbers = [_numbers(one) for one in found]
    keys = list(dict.fromkeys(key for known in numbers for key in known))
    different = [key for key in keys if len({known[key] for known in numbers if key in known}) > 1]
    with_lines = [key for key in different if any(len(set(line.x)) > 1 for line in lines(found, key))]
    return [Coupling(key, _short(key)) for key in with_lines[:MOST_COUPLINGS]]


def lines(found: list[ReadPoint], key: str) -> list[Line]:
    """The lines of the points with the coupling ``key``, one family after the other, small sizes first."""
    groups: dict[str, list[ReadPoint]] = {}
    called: dict[str, str] = {}
    family: dict[str, str] = {}
    several = len({one.row.task for one in found}) > 1
    varying = _components(found)
    for one in found:
        numbers = _numbers(one)
        if key not in numbers:
            continue
        base, _, _ = key.partition("[")
        same = {name: plain(value) for name, value in settings(one.traces).items()} | one.row.swept
        same = {name: value for name, value in same.items() if name not in (*SIZES, base)} | scaled(one)
        same.pop(key, None)
        same |= {"task": one.row.task}
        same |= {other: numbers[other] for other in numbers if other.startswith(f"{base}[") and other != key}
        alike = json.dumps(same, sort_keys=True, default=str)
        own = json.dumps([alike, _size(one)])
        others = [f"{_short(name)} {numbers[name]:g}" for name in varying if name != key and name in numbers]
        words = [ansatz(one), label(one.row, without=(*SIZES, "lattice", *_of_ansatz(one), base)), *others]
        words += [one.row.task] if several else []
        groups.setdefault(own, []).append(one)
        called.setdefault(own, ", ".join(filter(None, words)))
        family[own] = alike
    names = {own: f"{_size(members[0])}, {called[own]}" for own, members in groups.items()}
    made = []
    for (own, members), name in zip(groups.items(), named(groups, names), strict=True):
        members = sorted(members, key=lambda one: _numbers(one)[key])
        x = [_numbers(one)[key] for one in members]
        n_sites = members[0].row.n_sites or 0
        made.append(Line(name, family[own], called[own], _size(members[0]), n_sites, members, x))
    order = {line.family: i for i, line in reversed(list(enumerate(made)))}
    return sorted(made, key=lambda line: (order[line.family], line.n_sites))


def observables(one: ReadPoint) -> dict[str, Measurement]:
    """The observables of a run that are numbers, by name."""
    values = measured_beside(one.traces.summary)
    found = {}
    for name, told in section(one.traces.summary, "observables").items():
        if (value := values.get(f"observables.{name}")) is not None:
            error, unit = values.get(f"observables.{name}_error"), told.get("unit")
            text = clean(unit, 40) if isinstance(unit, str) else ""
            found[name] = Measurement(value, max(0.0, error or 0.0), text)
    return found


def averaged(x: list[float], values: list[Measurement]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One value and error for each different x; for several seeds the mean, weighted by errors if all are known."""
    x_P, y_P = np.array(x), np.array([one.value for one in values])
    error_P = np.array([one.error for one in values])
    places = np.unique(x_P)
    y, error = np.empty(len(places)), np.empty(len(places))
    for i, place in enumerate(places):
        here = x_P == place
        w = 1 / error_P[here] ** 2 if (error_P[here] > 0).all() else np.ones(here.sum())
        y[i] = w @ y_P[here] / w.sum()
        error[i] = w.sum() ** -0.5 if (error_P[here] > 0).all() else 0.0
    return places, y, error


def _numbers(one: ReadPoint) -> Numbers:
    """The couplings of a point by key, with the components of short lists separate; missing components are 0."""
    found: Numbers = {}
    for key, value in (one.row.swept | settings(one.traces)).items():
        if not (key.startswith("hamiltonian.") or key == "sector") or (key == "sector" and isinstance(value, list)):
            continue  # how many fermions there are
        if (known := number(value)) is not None:
            found[f"{key}[1]" if key == "hamiltonian.J" else key] = known
        elif isinstance(value, list) and 0 < len(value) <= MOST_COMPONENTS:
            parts = [number(part) for part in value]
            if None not in parts:
                found |= {f"{key}[{i}]": part for i, part in enumerate(parts, 1) if part is not None}
    if "hamiltonian.J[1]" in found:
        found = {f"hamiltonian.J[{i}]": 0.0 for i in range(2, MOST_COMPONENTS + 1)} | found
    return found


def _components(found: list[ReadPoint]) -> list[str]:
    """Components of lists that differ between points, because a list would only be a text in a legend."""
    numbers = [_numbers(one) for one in found]
    keys = dict.fromkeys(key for known in numbers for key in known if "[" in key)
    return [key for key in keys if len({known.get(key) for known in numbers}) > 1]


def _short(key: str) -> str:
    base, bracket, place = key.rpartition(".")[2].partition("[")
    return clean(base + place.rstrip("]").translate(_SUBSCRIPTS) if bracket else base, 40)


def _of_ansatz(one: ReadPoint) -> tuple[str, ...]:
    """The keys that `ansatz` already names, and the Hamiltonian's lists, whose components are named."""
    return ("hamiltonian.J", *(key for key in one.row.swept if key == "ansatz" or key.startswith("ansatz.")))


def _size(one: ReadPoint) -> str:
    """The size in a legend: 4×4, or the number of sites for a lattice without sides."""
    lattice: dict[str, Any] = section(section(one.traces.manifest, "physics"), "lattice")
    extent = lattice.get("extent")
    text = "×".join(map(str, extent)) if isinstance(extent, list) and 0 < len(extent) <= 3 else ""
    name = one.row.swept.get("lattice")
    return clean(f"{name or ''} {text or one.row.n_sites or 'unknown size'}".strip(), 40)
