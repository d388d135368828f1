"""The tower of states of a study of sectors: the lowest energy of each, against its spin and against its momentum.

The levels of a finite antiferromagnet with long-range order lie on E = E0 + S(S + 1) / (2 chi N), and the momenta and
irreps of the lowest levels identify the order: P. W. Anderson, Phys. Rev. 86, 694 (1952), doi:10.1103/PhysRev.86.694;
B. Bernu, P. Lecheminant, C. Lhuillier and L. Pierre, Phys. Rev. B 50, 10048 (1994), doi:10.1103/PhysRevB.50.10048.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from nqs_hpc.job.quantities import UNIT
from nqs_hpc.report.figures import COLOURS, INK, MARKERS, PAPER, LegendEntry, Panel, Sheet
from nqs_hpc.report.groups import ansatz, system
from nqs_hpc.report.rows import ReadPoint
from nqs_hpc.report.values import clean, number, section

OF_SECTOR = (
    *("sector", "symmetrize.momentum", "symmetrize.irrep", "symmetrize.spin_flip"),
    *("ansatz.momentum", "ansatz.irrep"),
)
MOST_PANELS, MOST_KEYS = 12, 24
TOWER = "Tower of states"
APART = 0.035  # fraction of the height of a panel: closer symbols are drawn side by side
TOTAL_SPIN, SQUARE = "total_spin", "s2"  # the observable, and its output <S^2>


class Level(NamedTuple):
    """The lowest state of one sector."""

    total: int | tuple[int, ...] | None  # 2 Sz, or a number of particles, for each spin of fermions
    momentum: tuple[int, ...] | None
    irrep: str | None
    flip: int | None
    spin: float | None  # <S^2>, if measured
    energy: float | None  # None before the final evaluation
    error: float
    exact: float | None


Place = Callable[[Level], float]


def tower(found: list[ReadPoint]) -> tuple[Sheet, list[str]]:
    """At most two panels per system: against spin or total if levels differ in it, and against momentum or irrep.

    A line per system gives the energy from which its levels are counted.
    """
    groups: dict[str, list[ReadPoint]] = {}
    if any(len({one.row.swept.get(key) for one in found}) > 1 for key in OF_SECTOR):
        for one in found:
            if (identity := _identity(one)) is not None:
                groups.setdefault(identity, []).append(one)
    drawn = {name: levels for name, members in groups.items() if len(levels := _levels(members)) > 1}
    # energies of different numbers of fermions have no common zero without a chemical potential
    drawn = {name: levels for name, levels in drawn.items() if not _of_several_numbers(levels)}
    everything = [level for levels in drawn.values() for level in levels]
    colours = {
        name: COLOURS[i % len(COLOURS)] for i, name in enumerate(sorted({one.momentum or () for one in everything}))
    }
    markers = {
        name: MARKERS[i % len(MARKERS)] for i, name in enumerate(sorted({one.irrep or "" for one in everything}))
    }
    several = len({ansatz(_plain(one)) for members in groups.values() for one in members}) > 1
    panels: list[Panel] = []
    notes = []
    for name, levels in drawn.items():
        of = clean(system(groups[name]) + (f", {ansatz(_plain(groups[name][0]))}" if several else ""))
        zero, what = _zero(levels, groups[name])
        notes.append(f"E₀ of {of} = {zero:.7g}, {what}.".replace("-", "−"))
        panels += _panels(of, levels, zero, _is_heisenberg(groups[name][0]), colours, markers)
    # if momentum is the horizontal axis, its colours need no key
    along = any(one.title.startswith(TOWER) for one in panels)
    legend = [LegendEntry(f"k = {_label(name)}", colour, "o") for name, colour in colours.items() if name and along]
    legend += [LegendEntry(name, INK, marker) for name, marker in markers.items() if name and len(markers) > 1]
    legend += [LegendEntry("exact", INK, "")] if any(one.exact is not None for one in everything) else []
    return Sheet("tower", panels[:MOST_PANELS], legend if len(legend) <= MOST_KEYS else []), notes


def _identity(one: ReadPoint) -> str | None:
    """The common settings of the points of a tower: lattice, Hamiltonian and network."""
    physics = section(one.traces.manifest, "physics")
    lattice, hamiltonian = physics.get("lattice"), physics.get("hamiltonian")
    if not lattice or not hamiltonian or "energy" not in one.row.values:
        return None
    # whether signs are used may depend on the sector
    couplings = {
        key: value for key, value in section(physics, "hamiltonian").items() if key not in ("marshall", "gauge")
    }
    return json.dumps([lattice, couplings, ansatz(_plain(one))], sort_keys=True, default=str)


def _plain(one: ReadPoint) -> ReadPoint:
    """The network without the keys of its sector."""
    kept = {key: value for key, value in one.row.swept.items() if key not in OF_SECTOR}
    return one._replace(row=one.row._replace(swept=kept))


def _levels(members: list[ReadPoint]) -> list[Level]:
    levels = []
    for one in members:
        summary, row = one.traces.summary, one.row
        named = section(summary, "symmetry")
        total, k, irrep, flip = summary.get("sector"), named.get("momentum"), named.get("irrep"), named.get("spin_flip")
        is_done = row.final and row.state in ("done", "doubtful")
        level = Level(
            total if type(total) is int else _numbers(total),
            _numbers(k),
            clean(irrep, 20) if isinstance(irrep, str) else None,
            flip if flip in (1, -1) else None,
            _spin(one),
            row.get("energy") if is_done else None,
            row.get("energy_error") or 0.0,
            row.get("reference"),
        )
        if level.energy is not None or level.exact is not None:
            levels.append(level)
    return levels


def _of_several_numbers(levels: list[Level]) -> bool:
    return len({sum(one.total) for one in levels if isinstance(one.total, tuple)}) > 1


def _numbers(value: Any) -> tuple[int, ...] | None:
    return tuple(value) if isinstance(value, list) and all(type(part) is int for part in value) else None


def _spin(one: ReadPoint) -> float | None:
    """<S^2> of a run that has measured it, under any label."""
    asked = section(one.traces.config, "observables")
    for name, value in section(one.traces.summary, "observables").items():
        label, _, output = str(name).rpartition(".")
        if output == SQUARE and TOTAL_SPIN in (label, section(asked, label).get("name")) and isinstance(value, dict):
            return number(value.get("mean"))
    return None


def _multiplet(level: Level) -> float:
    """The S(S + 1) nearest to the measured value; S is an integer for an even number of spins 1/2 (or fermions), else
    half an odd integer.
    """
    assert level.spin is not None
    total = sum(level.total) if isinstance(level.total, tuple) else level.total or 0
    half = 0.5 if total % 2 else 0.0
    spin = max(0.0, round(math.sqrt(max(0.0, level.spin) + 0.25) - 0.5 - half) + half)
    return spin * (spin + 1)


def _zero(levels: list[Level], members: list[ReadPoint]) -> tuple[float, str]:
    """The energy from which levels are counted, and its description."""
    compared = (section(section(one.traces.summary, "reference"), "lowest").get("energy") for one in members)
    of_all = [energy for one in compared if (energy := number(one)) is not None]
    if of_all:
        return min(of_all), "the exact lowest level of all sectors"
    if exact := [level.exact for level in levels if level.exact is not None]:
        return min(exact), "the lowest of the exact levels drawn"
    return min(level.energy for level in levels if level.energy is not None), "the lowest energy drawn"


def _is_heisenberg(one: ReadPoint) -> bool:
    """Whether total Sz is the component of a conserved spin."""
    hamiltonian = section(section(one.traces.manifest, "physics"), "hamiltonian")
    in_field = hamiltonian.get("h") or hamiltonian.get("h_staggered")
    return hamiltonian.get("name") == "heisenberg" and hamiltonian.get("delta", 1.0) == 1.0 and not in_field


def _panels(
    of: str,
    levels: list[Level],
    zero: float,
    has_spin: bool,
    colours: dict[tuple[int, ...], str],
    markers: dict[str, str],
) -> list[Panel]:
    vertical = f"E − E₀ [{UNIT}]"
    panels = []

    def add(title: str, axis: str, place: Place, ticks: dict[float, str], measured: bool = False) -> None:
        draw = _drawing(levels, zero, place, colours, markers, axis, ticks, measured)
        panels.append(Panel(f"{title}: {of}" if of else title, vertical, draw))

    totals = {level.total for level in levels}
    if all(level.spin is not None for level in levels):
        there = sorted({_multiplet(level) for level in levels})
        add(TOWER, "S(S + 1)", _multiplet, {x: f"{x:g}" for x in there}, measured=True)
    elif len(totals) > 1 and None not in totals:
        several = sorted(total for total in totals if isinstance(total, tuple))
        single = [total for total in totals if isinstance(total, int)]
        places = {total: _height(total, has_spin) for total in single} | {total: i for i, total in enumerate(several)}
        axis = "Sz(Sz + 1), the least S(S + 1) of a sector" if has_spin else "conserved total"
        marks = {x: str(list(total)) if isinstance(total, tuple) else f"{x:g}" for total, x in places.items()}
        add(TOWER, axis, _at(lambda level: level.total, places), marks)
    for axis, name in (("momentum k [2π/L]", _momentum), ("irrep", _irrep)):
        labels = sorted({name(level) for level in levels})
        if len(labels) > 1:
            spots = {label: float(i) for i, label in enumerate(labels)}
            ticks = {i: _label(label) if isinstance(label, tuple) else label for label, i in spots.items()}
            add("Levels by sector", axis, _at(name, spots), ticks)
            break
    return panels


def _at(name: Callable[[Level], Any], spots: dict[Any, float]) -> Place:
    return lambda level: spots[name(level)]


def _height(total: int, has_spin: bool) -> float:
    return abs(total) / 2 * (abs(total) / 2 + 1) if has_spin else float(total)


def _momentum(level: Level) -> Any:
    return level.momentum or ()


def _irrep(level: Level) -> Any:
    return level.irrep or ""


def _label(momentum: tuple[int, ...]) -> str:
    inside = ", ".join(map(str, momentum))
    return inside if len(momentum) == 1 else f"({inside})"


def _drawing(
    levels: list[Level],
    zero: float,
    place: Place,
    colours: dict[tuple[int, ...], str],
    markers: dict[str, str],
    axis: str,
    ticks: dict[float, str],
    measured: bool,
) -> Callable[[Any], None]:
    """``measured``: symbols are at the measured spin, exact levels at that of the multiplet."""
    heights = [y - zero for level in levels for y in (level.energy, level.exact) if y is not None]
    low, high = min(heights), max(heights)
    span = high - low or 1.0
    columns = _beside(levels, place, APART * span)
    middles = sorted(columns)
    gap = min((b - a for a, b in pairwise(middles)), default=1.0)
    most = 1 + 2 * max(abs(_offset(column)) for members in columns.values() for _, column in members)
    # columns of one place end where those of the next begin, and are at most as wide as a symbol
    width = min(0.9 * gap / most, 0.05 * max(middles[-1] - middles[0], gap))

    def draw(axes: Any) -> None:
        places = []
        for middle, members in columns.items():
            for level, column in members:
                x = middle + _offset(column) * width
                places.append(x)
                if level.exact is not None:
                    y = level.exact - zero
                    axes.plot([x - 0.46 * width, x + 0.46 * width], [y, y], color=INK, linewidth=1.1, zorder=2)
                if level.energy is not None:
                    if measured and level.spin is not None:
                        x += level.spin - middle
                        places.append(x)
                    colour = colours[level.momentum or ()]
                    style = {"color": colour, "markerfacecolor": PAPER if level.flip == -1 else colour}
                    shape = {"fmt": markers[level.irrep or ""], "markersize": 4, "markeredgewidth": 0.9}
                    y = level.energy - zero
                    axes.errorbar(x, y, yerr=level.error, **style, **shape, elinewidth=0.9, zorder=3)
        axes.set_ylim(low - 0.07 * span, high + 0.07 * span)
        axes.set_xlim(min(places) - 1.5 * width, max(places) + 1.5 * width)
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.grid(False, axis="x")
        axes.set_xlabel(axis)

    return draw


def _beside(levels: list[Level], place: Place, apart: float) -> dict[float, list[tuple[Level, int]]]:
    """The levels at each place with their columns: overlapping levels are drawn side by side."""
    columns: dict[float, list[tuple[Level, int]]] = {}
    tops: dict[float, list[float]] = {}
    for level in sorted(levels, key=_top):
        x = place(level)
        heights = tops.setdefault(x, [])
        free = next((i for i, top in enumerate(heights) if _top(level) - top > apart), len(heights))
        heights[free : free + 1] = [_top(level)]
        columns.setdefault(x, []).append((level, free))
    return columns


def _offset(column: int) -> int:
    """0, 1, -1, 2, -2, ..: the first column is at the place itself."""
    return (column + 1) // 2 * (1 if column % 2 else -1)


def _top(level: Level) -> float:
    found = level.energy if level.energy is not None else level.exact
    return math.inf if found is None else found
