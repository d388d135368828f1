"""The curves of an extrapolation: their points, their laws, and which points are left out and why.

The lattices of a curve have the same shape: squares, ladders of one width, tubes of one circumference. Sizes that
frustrate the order of a magnet form a separate curve.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from math import lcm, prod
from typing import Any, NamedTuple

from nqs_hpc.report import fits
from nqs_hpc.report.groups import by_curve, measured
from nqs_hpc.report.laws import BIPARTITE, Law, law
from nqs_hpc.report.rows import ReadPoint
from nqs_hpc.report.table import value
from nqs_hpc.report.values import clean, number, section

MOST_NAMED = 12  # points or curves in a sentence


class FitOptions(NamedTuple):
    """The user's options for extrapolations."""

    power: float | None = None  # of 1/L, instead of that of the law
    leave_out: tuple[str, ...] = ()  # points by name, or KEY=VALUE
    min_size: int | None = None  # sites


class Curve(NamedTuple):
    """Points that differ only in size and seed."""

    name: str
    members: list[ReadPoint]
    law: Law


class CurveSet(NamedTuple):
    """The data for drawings and fits."""

    points: list[ReadPoint]  # measured, and not left out
    curves: list[Curve]
    left_out: dict[str, str]  # point -> why it is not in the fits
    notes: list[str]  # further remarks


def curve_set(found: list[ReadPoint], choice: FitOptions) -> CurveSet:
    """The points and curves of a folder; ValueError, one line, for a choice that names no point."""
    left = _by_state(found) | _by_hand(found, choice)
    points = []
    seen: dict[str, str] = {}
    for one in measured(found):
        if one.row.name in left:
            continue
        row = one.row  # a copied folder would count as an independent measurement
        measured_ = [row.get(key) for key in ("energy", "energy_error", "energy_variance")]
        same = json.dumps([_physics(one), *measured_, row.n_sites])
        if row.get("energy_error") and same in seen:
            left[row.name] = f"a copy of {seen[same]}, equal in every digit"
            continue
        seen.setdefault(same, row.name)
        points.append(one)
    there = [one for one in points if one.row.get("energy_per_site") is not None and one.row.n_sites]
    small = {one.row.name for one in there if choice.min_size is not None and one.row.n_sites < choice.min_size}  # type: ignore[operator]
    apart = {name: f"below --min-size {choice.min_size} (lines to infinite size)" for name in small}
    curves: list[Curve] = []
    notes: list[str] = []
    for name, members in by_curve([one for one in there if one.row.name not in small]).items():
        for label, family, grown in families(members):
            kept = [one for one in family if not _coincides(one, grown)]
            why = "two bonds across a periodic side coincide: another Hamiltonian (lines to infinite size)"
            apart |= {one.row.name: why for one in family if one not in kept}
            if kept:
                whole = ", ".join(word for word in (name, label) if word)
                frustrated = not _order_fits(kept[0], _extent(kept[0]) or ())
                own = law(_physics(kept[0]), grown, frustrated=frustrated, power=choice.power)
                curves.append(Curve(whole, kept, own))
    lines = [curve for curve in curves if len(_sizes(curve.members)) >= fits.LEAST_POINTS]
    reached = {one.row.name for curve in lines for one in curve.members}
    alone = [one.row.name for one in there if one.row.name not in reached | set(apart)]
    if lines and alone:
        some = ", ".join(alone[:MOST_NAMED]) + (
            f" and {len(alone) - MOST_NAMED} more" if len(alone) > MOST_NAMED else ""
        )
        notes.append(
            f"On no line, because a line needs three sizes that differ in nothing else and keep their shape: {some}."
        )
    return CurveSet(points, lines, left | {name: why for name, why in apart.items() if name not in reached}, notes)


def families(members: list[ReadPoint]) -> Iterator[tuple[str, list[ReadPoint], tuple[int, ...]]]:
    """A family divided by the directions in which lattices grow: a name if there are several, points, and directions.

    A point can be in two parts: a 4x4 square is one of the squares and one of the ladders of width 4.
    """
    extents = {one.row.name: _extent(one) for one in members}
    known = [one for one in members if extents[one.row.name] is not None]
    if len(known) < len(members) or len({len(extents[one.row.name] or ()) for one in known}) != 1:
        yield "", members, ()  # no directions: only the number of sites is known
        return
    dimensions = len(extents[members[0].row.name] or ())
    found: dict[tuple[Any, ...], list[ReadPoint]] = {}
    for n in range(dimensions, 0, -1):
        for grown in combinations(range(dimensions), n):
            for one in members:
                extent = extents[one.row.name] or ()
                shape = tuple(Fraction(extent[i], extent[grown[0]]) for i in grown)
                fixed = tuple((i, extent[i]) for i in range(dimensions) if i not in grown)
                found.setdefault((grown, shape, fixed, _order_fits(one, extent)), []).append(one)
    wanted = {key: family for key, family in found.items() if len(_sizes(family)) >= fits.LEAST_POINTS}
    for key, family in wanted.items():
        yield _label(key, list(wanted)), family, key[0]


def _label(key: tuple[Any, ...], keys: list[tuple[Any, ...]]) -> str:
    """What distinguishes a family from the others, in words."""
    grown, shape, fixed, fits_order = key
    if len(keys) == 1:
        return ""
    words = []
    if len({other[:3] for other in keys}) > 1:
        free = "×".join(str(dict(fixed).get(i, "L")) for i in range(len(grown) + len(fixed)))
        whole = lcm(*(part.denominator for part in shape))
        ratio = ":".join(str(part * whole) for part in shape)
        words.append(free if fixed else f"sides {ratio}")
    if len({other[3] for other in keys}) > 1:
        words.append("sizes that frustrate the order" if not fits_order else "sizes that fit the order")
    return ", ".join(words)


def _physics(one: ReadPoint) -> dict[str, Any]:
    return section(one.traces.manifest, "physics")


def _sizes(members: list[ReadPoint]) -> set[int | None]:
    return {one.row.n_sites for one in members}


def _extent(one: ReadPoint) -> tuple[int, ...] | None:
    given = section(_physics(one), "lattice").get("extent")
    pbc = section(_physics(one), "lattice").get("pbc")
    if not isinstance(given, list) or not isinstance(pbc, list) or len(given) != len(pbc):
        return None
    whole = all(type(length) is int and length > 0 for length in given)
    return tuple(given) if given and whole else None


def _order_fits(one: ReadPoint, extent: tuple[int, ...]) -> bool:
    """Whether an antiferromagnet's order fits: even sides, multiples of three on lattices of triangles."""
    physics = _physics(one)
    lattice, hamiltonian = section(physics, "lattice"), section(physics, "hamiltonian")
    given = hamiltonian.get("J")
    J = number(given[0] if isinstance(given, list) and given else given) or 0.0
    name, pbc = lattice.get("name"), lattice.get("pbc", ())
    spins = {"heisenberg": J > 0, "ising": J < 0}.get(str(hamiltonian.get("name")), False)
    if not spins or not extent or name in ("honeycomb", "kagome"):
        return True
    if name in BIPARTITE:
        closed = all(extent[i] % 2 == 0 for i in range(len(extent)) if pbc[i])
        return closed and prod(extent) % 2 == 0  # an odd number of spins does not fit, even with open ends
    return all(extent[i] % 3 == 0 for i in range(len(extent)) if pbc[i])


def _coincides(one: ReadPoint, grown: tuple[int, ...]) -> bool:
    """Whether a periodic side is so short that different bonds across it join the same pair of sites."""
    lattice, extent = section(_physics(one), "lattice"), _extent(one)
    if extent is None:
        return False
    given = section(_physics(one), "hamiltonian").get("J")
    orders = len(given) if isinstance(given, list) else 1
    basis = lattice.get("name") in ("honeycomb", "kagome")  # nearest neighbours lie on different sides of a cell
    reach = orders if lattice.get("name") == "chain" else 1 if orders <= 2 else 2
    least = 2 if basis and orders == 1 else 2 * reach + 1
    return any(lattice["pbc"][i] and extent[i] < least for i in grown)


def _by_state(found: list[ReadPoint]) -> dict[str, str]:
    """Points that are not in the fits because of their state."""
    reasons = {}
    for one in found:
        row = one.row
        if row.state != "done":
            reasons[row.name] = f"{row.state}: {row.why}" if row.why else row.state
        elif (row.final and row.get("energy") is None) or "energy" not in row.values:
            reasons[row.name] = "without an energy"
        elif not row.final:
            reasons[row.name] = "without its final energy"
    return reasons


def _by_hand(found: list[ReadPoint], choice: FitOptions) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for word in choice.leave_out:
        names = [one.row.name for one in found if one.row.name == word]
        key, equal, text = word.partition("=")
        if not names and equal:
            names = [one.row.name for one in found if _is(one, key, text)]
        if not names:
            some = ", ".join(one.row.name for one in found[:3])
            raise ValueError(
                f"--leave-out {clean(word)} is not valid; valid: the name of a point ({some}, …), or KEY=VALUE"
            )
        reasons |= dict.fromkeys(names, f"--leave-out {clean(word)}")
    return reasons


def _is(one: ReadPoint, key: str, text: str) -> bool:
    """Whether a swept key, or a field of the row, has this value; the last part of a key is enough."""
    for name in (*one.row.swept, "n_sites", "state"):
        if name == key or name.endswith(f".{key}"):
            known = value(one.row, name)
            try:
                if known is not None and float(text) == float(known):
                    return True
            except ValueError:
                pass
            if known is not None and str(known) == text:
                return True
    return False
