"""The tower of states of a study of sectors: the lowest energy of each, against its spin and against its momentum.

The levels of a finite antiferromagnet that orders lie on E = E0 + S(S + 1) / (2 chi N), and the momenta and irreps of
the lowest ones say which order that is: P. W. Anderson, Phys. Rev. 86, 694 (1952), doi:10.1103/PhysRev.86.694;
B. Bernu, P. Lecheminant, C. Lhuillier and L. Pierre, Phys. Rev. B 50, 10048 (1994), doi:10.1103/PhysRevB.50.10048.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
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
APART = 0.035  # of the height of a panel: symbols nearer than this stand beside each other
TOTAL_SPIN = "total_spin"  # the observable whose mean is <S^2>


class Level(NamedTuple):
    """The lowest state of one sector."""

    total: int | None  # 2 Sz, or a number of particles
    momentum: tuple[int, ...] | None
    irrep: str | None
    flip: int | None
    spin: float | None  # <S^2>, where it was measured
    energy: float | None  # None before the final evaluation
    error: float
    exact: float | None


Place = Callable[[Level], float | None]


def tower(found: list[ReadPoint]) -> Sheet:
    """Two panels a system, at most: against spin or total where levels differ in it, and against momentum or irrep."""
    groups: dict[str, list[ReadPoint]] = {}
    if any(len({one.row.swept.get(key) for one in found}) > 1 for key in OF_SECTOR):
        for one in found:
            if (identity := _identity(one)) is not None:
                groups.setdefault(identity, []).append(one)
    drawn = {name: levels for name, members in groups.items() if len(levels := _levels(members)) > 1}
    everything = [level for levels in drawn.values() for level in levels]
    colours = {
        name: COLOURS[i % len(COLOURS)] for i, name in enumerate(sorted({one.momentum or () for one in everything}))
    }
    markers = {
        name: MARKERS[i % len(MARKERS)] for i, name in enumerate(sorted({one.irrep or "" for one in everything}))
    }
    several = len({ansatz(_plain(one)) for members in groups.values() for one in members}) > 1
    panels: list[Panel] = []
    for name, levels in drawn.items():
        of = clean(system(groups[name]) + (f", {ansatz(_plain(groups[name][0]))}" if several else ""))
        panels += _panels(of, levels, groups[name][0], colours, markers)
    legend = [LegendEntry(f"k = {_label(name)}", colour, "o") for name, colour in colours.items() if name]
    legend += [LegendEntry(name, INK, marker) for name, marker in markers.items() if name and len(markers) > 1]
    legend += [LegendEntry("exact", INK, "")] if any(one.exact is not None for one in everything) else []
    return Sheet("tower", panels[:MOST_PANELS], legend if len(legend) <= MOST_KEYS else [])


def _identity(one: ReadPoint) -> str | None:
    """What the points of one tower share: the lattice, the Hamiltonian and the network."""
    physics = section(one.traces.manifest, "physics")
    lattice, hamiltonian = physics.get("lattice"), physics.get("hamiltonian")
    if not lattice or not hamiltonian or "energy" not in one.row.values:
        return None
    # whether there are signs may follow from the sector
    couplings = {
        key: value for key, value in section(physics, "hamiltonian").items() if key not in ("marshall", "gauge")
    }
    return json.dumps([lattice, couplings, ansatz(_plain(one))], sort_keys=True, default=str)


def _plain(one: ReadPoint) -> ReadPoint:
    """Without what names its sector."""
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
            total if type(total) is int else None,
            tuple(k) if isinstance(k, list) and all(type(part) is int for part in k) else None,
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


def _spin(one: ReadPoint) -> float | None:
    """<S^2> of a run that has measured it, under whatever label."""
    measured = section(one.traces.summary, "observables")
    asked = section(one.traces.config, "observables")
    for label, value in measured.items():
        if TOTAL_SPIN in (label, section(asked, label).get("name")) and isinstance(value, dict):
            return number(value.get("mean"))
    return None


def _panels(
    of: str, levels: list[Level], one: ReadPoint, colours: dict[tuple[int, ...], str], markers: dict[str, str]
) -> list[Panel]:
    known = [level.exact for level in levels if level.exact is not None]
    lowest = number(section(section(one.traces.summary, "reference"), "lowest").get("energy"))
    known += [lowest] if lowest is not None else []
    zero = min(known or [level.energy for level in levels if level.energy is not None])
    vertical = f"E − E₀ [{UNIT}], {'exact ' if known else ''}E₀ = {zero:.6f}".replace("-", "−")
    is_heisenberg = section(section(one.traces.manifest, "physics"), "hamiltonian").get("name") == "heisenberg"
    panels = []

    def add(title: str, axis: str, place: Place, ticks: dict[float, str] | None) -> None:
        draw = _drawing(levels, zero, place, colours, markers, axis, ticks)
        panels.append(Panel(f"{title}: {of}" if of else title, vertical, draw))

    totals = {level.total for level in levels}
    if all(level.spin is not None for level in levels):
        add("Tower of states", "S(S + 1), measured", lambda level: level.spin, None)
    elif len(totals) > 1 and None not in totals:
        places = {total: _height(total, is_heisenberg) for total in totals if total is not None}
        axis = "Sz(Sz + 1), the least S(S + 1) of a sector" if is_heisenberg else "conserved total"
        add("Tower of states", axis, lambda level: places.get(level.total or 0), None)
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


def _height(total: int, is_heisenberg: bool) -> float:
    return abs(total) / 2 * (abs(total) / 2 + 1) if is_heisenberg else float(total)


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
    ticks: dict[float, str] | None,
) -> Callable[[Any], None]:
    heights = [y - zero for level in levels for y in (level.energy, level.exact) if y is not None]
    low, high = min(heights), max(heights)
    span = high - low or 1.0
    where = [x for level in levels if (x := place(level)) is not None]
    width = 0.055 * (max(where) - min(where) or 1.0)
    if ticks is not None:
        width = min(0.17, width)
    shifted = _beside(levels, place, APART * span, width)

    def draw(axes: Any) -> None:
        for level, x in shifted:
            if level.exact is not None:
                y = level.exact - zero
                axes.plot([x - 0.48 * width, x + 0.48 * width], [y, y], color=INK, linewidth=1.1, zorder=2)
            if level.energy is not None:
                colour = colours[level.momentum or ()]
                style = {"color": colour, "markerfacecolor": PAPER if level.flip == -1 else colour}
                shape = {"fmt": markers[level.irrep or ""], "markersize": 4.2, "markeredgewidth": 1.0}
                axes.errorbar(
                    x, level.energy - zero, yerr=level.error, **style, **shape, elinewidth=0.9, capsize=0, zorder=3
                )
        axes.set_ylim(low - 0.07 * span, high + 0.07 * span)
        places = [x for _, x in shifted]
        axes.set_xlim(min(places) - 1.5 * width, max(places) + 1.5 * width)
        if ticks is not None:
            axes.set_xticks(list(ticks), list(ticks.values()))
            axes.grid(False, axis="x")
        axes.set_xlabel(axis)

    return draw


def _beside(levels: list[Level], place: Place, apart: float, width: float) -> list[tuple[Level, float]]:
    """Each level with its abscissa, those that would cover each other in columns around their common place."""
    columns: dict[float, list[tuple[Level, int]]] = {}
    tops: dict[float, list[float]] = {}
    for level in sorted(levels, key=_top):
        x = place(level)
        if x is None:
            continue
        spot = round(x, 1)  # measured spins that are near belong together
        heights = tops.setdefault(spot, [])
        free = next((i for i, top in enumerate(heights) if _top(level) - top > apart), len(heights))
        heights[free : free + 1] = [_top(level)]
        columns.setdefault(spot, []).append((level, free))
    shifted = []
    for spot, members in columns.items():
        middle = (len(tops[spot]) - 1) / 2
        shifted += [(level, float(place(level) or 0.0) + (free - middle) * width) for level, free in members]
    return shifted


def _top(level: Level) -> float:
    found = level.energy if level.energy is not None else level.exact
    return math.inf if found is None else found
