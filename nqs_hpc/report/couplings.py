"""Energies and observables against a swept coupling, with the crossings of Binder cumulants."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.job.quantities import UNIT
from nqs_hpc.report.crossings import Crossing, Points, crossing
from nqs_hpc.report.figures import INK, PAPER, LegendEntry, Panel, Sheet, keys, logarithmic
from nqs_hpc.report.lanczos import is_of_step
from nqs_hpc.report.lines import Coupling, Line, Measurement, averaged, couplings, lines, observables
from nqs_hpc.report.rows import ReadPoint

MOST_LINES = 16
MOST_PANELS = 12
MOST_CROSSINGS = 40
BINDER = "binder"

# A value of a point with its error; None if the point has none.
Value = Callable[[ReadPoint], Measurement | None]


class Against(NamedTuple):
    """All panels against one coupling."""

    coupling: Coupling
    sheet: Sheet
    notes: list[str]


class Marked(NamedTuple):
    """A crossing and its curves."""

    panel: str
    text: str  # of the curves
    at: Crossing


def against(found: list[ReadPoint]) -> list[Against]:
    """A sheet for each swept coupling."""
    shown = [one for one in found if _is_shown(one)]
    return [made for coupling in couplings(shown) if (made := _against(found, shown, coupling)).sheet.panels]


def crossings(of: list[Line], name: str) -> list[Marked]:
    """The crossings of the curves for all pairs of sizes in a family; doubtful points are left out."""
    found: list[Marked] = []
    by_family: dict[str, list[tuple[Line, Points]]] = {}
    for line in of:
        points = _points(line, _observable(name), sure=True)
        if points is not None and len(points.x) > 1:
            by_family.setdefault(line.family, []).append((line, points))
    for members in by_family.values():
        for (first, ours), (second, theirs) in combinations(members, 2):
            at = crossing(ours, theirs) if first.size != second.size and len(found) < MOST_CROSSINGS else None
            if at is not None:
                more = f" ({first.of})" if first.of else ""
                found.append(Marked(name, f"{first.size} and {second.size}{more}", at))
    return found


def _is_shown(one: ReadPoint) -> bool:
    """Whether a point has the values of its final parameters."""
    return one.row.final and one.row.state in ("done", "doubtful") and one.row.n_sites is not None


def _against(found: list[ReadPoint], shown: list[ReadPoint], coupling: Coupling) -> Against:
    every = [line for line in lines(shown, coupling.key) if len(set(line.x)) > 1]
    kept = {line.name for line in sorted(every, key=lambda line: -len(line.members))[:MOST_LINES]}
    drawn = [line for line in every if line.name in kept]
    colours = keys([line.name for line in drawn])
    names = list(dict.fromkeys(name for line in drawn for one in line.members for name in observables(one)))
    names = [name for name in names if not is_of_step(name, names)]
    marked = {name: crossings(drawn, name) for name in names if name.rpartition(".")[2] == BINDER}

    def panel(title: str, vertical: str, value: Value, at: list[Marked], exact: Value | None = None) -> Panel | None:
        curves = [(colours[line.name], line) for line in drawn if _points(line, value) is not None]
        if not curves:
            return None
        return Panel(title, vertical, _drawing(coupling.short, curves, value, at, exact))

    panels = [panel("Energy", f"energy per site [{UNIT}]", _energy, [], _exact)]
    if any(_relative(one) is not None for line in drawn for one in line.members):
        panels.append(Panel("Error of the energy", "|E − E₀| / |E₀|", _errors(coupling.short, drawn, colours)))
    for name in names:
        unit = next((told[name].unit for one in shown if name in (told := observables(one))), "")
        panels.append(panel(name, f"value [{unit}]" if unit else "value", _observable(name), marked.get(name, [])))
    there = [one for one in panels if one is not None]
    legend = list(colours.values())
    members = [one for line in drawn for one in line.members]
    legend += [LegendEntry("exact", INK, "--")] if any(_exact(one) is not None for one in members) else []
    legend += [LegendEntry("crossing", INK, "x")] if any(marked.values()) else []
    notes = [
        f"Crossing of {one.panel}, {one.text}: {coupling.short} = {with_error(one.at.x, one.at.error)}."
        for several in marked.values()
        for one in several
    ]
    notes += [
        f"No clear crossing of {name}: curves of two sizes have to differ by two standard errors on both sides."
        for name, several in marked.items()
        if not several and len({line.size for line in drawn}) > 1
    ]
    notes += _left_out(found, shown, every, drawn, there)
    file = "against_" + re.sub(r"\W+", "_", coupling.key.rpartition(".")[2], flags=re.ASCII).strip("_")[:40]
    return Against(coupling, Sheet(file, there[:MOST_PANELS], legend), notes)


def _left_out(
    found: list[ReadPoint], shown: list[ReadPoint], every: list[Line], drawn: list[Line], panels: list[Panel]
) -> list[str]:
    notes = []
    doubtful = [one.row.name for line in drawn for one in line.members if one.row.state == "doubtful"]
    if doubtful:
        notes.append(f"Open symbols are doubtful: {_some(doubtful)}.")
    final, placed = {id(one) for one in shown}, {id(one) for line in every for one in line.members}
    if missing := [one.row.name for one in found if id(one) not in final]:
        notes.append(f"Not drawn, because they have no final values: {_some(missing)}.")
    if alone := [one.row.name for one in shown if id(one) not in placed]:
        notes.append(f"Not drawn, because no other point differs from them only in this coupling: {_some(alone)}.")
    if len(every) > len(drawn):
        notes.append(f"{len(every) - len(drawn)} more lines are not drawn; {MOST_LINES} are.")
    if len(panels) > MOST_PANELS:
        notes.append(
            f"{len(panels) - MOST_PANELS} more observables are not drawn; points.csv and summary.json have them."
        )
    return notes


def _some(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _points(line: Line, value: Value, *, sure: bool = False) -> Points | None:
    """The points of a line that have the value; ``sure``: without doubtful ones."""
    pairs = [
        (x, known)
        for x, one in zip(line.x, line.members, strict=True)
        if (known := value(one)) is not None and not (sure and one.row.state == "doubtful")
    ]
    return Points(*averaged([x for x, _ in pairs], [known for _, known in pairs])) if pairs else None


def _energy(one: ReadPoint) -> Measurement | None:
    energy = one.row.get("energy_per_site")
    return None if energy is None else Measurement(energy, one.row.get("energy_per_site_error") or 0.0, UNIT)


def _exact(one: ReadPoint) -> Measurement | None:
    reference, n = one.row.get("reference"), one.row.n_sites
    return Measurement(reference / n, 0.0, UNIT) if reference is not None and n else None


def _relative(one: ReadPoint) -> Measurement | None:
    """The relative distance from the exact energy, with its error."""
    relative, reference = one.row.get("relative_error"), one.row.get("reference")
    if relative is None or not reference:
        return None
    return Measurement(abs(relative), (one.row.get("energy_error") or 0.0) / abs(reference), "")


def _observable(name: str) -> Value:
    return lambda one: observables(one).get(name)


def _drawing(
    axis: str, curves: list[tuple[LegendEntry, Line]], value: Value, marked: list[Marked], exact: Value | None
) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        for key, line in curves:
            mean = _points(line, value)
            assert mean is not None  # otherwise it is not among the curves
            axes.plot(mean.x, mean.y, color=key.colour, linewidth=0.9, alpha=0.7)
            for sure in (True, False):
                _marks(axes, key, line, value, sure)
            known = None if exact is None else _points(line, exact)
            if known is not None:
                axes.plot(known.x, known.y, color=INK, linestyle="--", linewidth=0.8, dashes=(4, 3), zorder=3)
        for one in marked:
            style = {"color": INK, "markersize": 6, "capsize": 2.5, "linewidth": 1.1, "zorder": 4}
            axes.errorbar(one.at.x, one.at.y, xerr=one.at.error, fmt="x", **style)
        _along(axes, axis)

    return draw


def _marks(axes: Any, key: LegendEntry, line: Line, value: Value, sure: bool) -> None:
    """The points of all seeds; open symbols if they are doubtful."""
    pairs = [
        (x, known)
        for x, one in zip(line.x, line.members, strict=True)
        if (known := value(one)) is not None and (one.row.state != "doubtful") == sure
    ]
    if not pairs:
        return
    axes.errorbar(
        [x for x, _ in pairs],
        [known.value for _, known in pairs],
        yerr=[known.error for _, known in pairs],
        fmt=key.marker,
        color=key.colour,
        markerfacecolor=key.colour if sure else PAPER,
        markersize=3.8,
        capsize=2,
        linewidth=0.9,
    )


def _errors(axis: str, drawn: list[Line], colours: dict[str, LegendEntry]) -> Callable[[Any], None]:
    """Distance from the exact energy, logarithmic; if it is within the statistical error, that is drawn with open
    symbols."""

    def draw(axes: Any) -> None:
        for line in drawn:
            key = colours[line.name]
            for sure in (True, False):
                pairs = []
                for x, one in zip(line.x, line.members, strict=True):
                    known = _relative(one)
                    if known is not None and (known.value > known.error) == sure:
                        pairs.append((x, known.value if sure else known.error))
                there = [(x, height) for x, height in pairs if height > 0]
                if there:
                    face = key.colour if sure else PAPER
                    axes.plot(
                        *zip(*there, strict=True), key.marker, color=key.colour, markerfacecolor=face, markersize=4
                    )
        if axes.lines:
            axes.set_yscale("log")
            low, high = axes.dataLim.intervaly
            room = max(1.3, (10 * low / high) ** 0.5)  # at least a decade, because otherwise ticks have too few digits
            axes.set_ylim(low / room, high * room)
            logarithmic(axes.yaxis)
        _along(axes, axis)

    return draw


def _along(axes: Any, axis: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.set_xlabel(axis)
