"""Extrapolation of energies to infinite size and to zero variance: lines, figures and descriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.job.quantities import UNIT
from nqs_hpc.report import fits
from nqs_hpc.report.curves import MOST_NAMED, Curve, CurveSet
from nqs_hpc.report.figures import COLOURS, INK, MUTED, PAPER, LegendEntry, Panel, Sheet, keys, small_numbers
from nqs_hpc.report.groups import SAME_LEVEL, by_system, label
from nqs_hpc.report.laws import Law
from nqs_hpc.report.rows import ReadPoint, Row

MOST_PANELS = 12
PER_SITE = f"energy per site [{UNIT}]"
TINY = 0.03  # an axis that ends below it has ticks with powers of ten
UNLIKELY = 0.01  # below this probability of χ² the line is questioned
_ONE_SYSTEM = ("lattice.length", "lattice.extent")  # not in the labels of points of one system


Fitted = tuple[Curve, fits.FittedLine, LegendEntry]


class Extrapolation(NamedTuple):
    """A line, its points, and the exact value."""

    of: str
    line: fits.FittedLine
    n_points: int
    reference: float | None  # the exact energy per site, if known
    law: Law | None = None  # of the extrapolation to infinite size; None for zero variance


def sizes(given: CurveSet) -> tuple[Sheet, list[Extrapolation]]:
    """Energy per site against a power of 1/L, with a line for points that differ only in size; and distances from the
    lines.
    """
    fitted = [(curve, line) for curve in given.curves if (line := _to_size(curve)) is not None]
    extrapolations = [
        Extrapolation(curve.name or "all points", line, len(curve.members), None, curve.law) for curve, line in fitted
    ]
    colours = keys([curve.name for curve, _ in fitted])
    several = [(curve, line, colours[curve.name]) for curve, line in fitted]
    by_axis: dict[str, list[Fitted]] = {}  # curves with different laws have different axes
    for one in several:
        by_axis.setdefault(axis_label(one[0].law), []).append(one)
    if len(several) <= len(COLOURS):
        groups = list(by_axis.values())
    else:  # each has its own panel, the largest first
        groups = [[one] for one in sorted(several, key=lambda one: -len(one[0].members))[:MOST_PANELS]]

    def panels(group: list[Fitted]) -> list[Panel]:
        single = group[0][0].name if len(group) == 1 and len(groups) > 1 else ""
        against = f" against {group[0][0].law.name().partition(',')[0]}" if len(by_axis) > 1 and not single else ""
        straight = Panel(single or f"The lines{against}", PER_SITE, _lines(group))
        apart = Panel("Distance from the line" if single else "Distance from the lines", PER_SITE, _residuals(group))
        return [straight, apart] if len(several) <= len(COLOURS) else [straight]

    shown = [colours[curve.name] for curve, _ in fitted]
    legend = shown if 1 < len(shown) <= len(COLOURS) else []
    return Sheet("size", [panel for group in groups for panel in panels(group)], legend), extrapolations


def variances(found: list[ReadPoint]) -> tuple[Sheet, list[Extrapolation]]:
    """Energy against variance for the points of each system, with the line to zero variance."""
    extrapolations: list[Extrapolation] = []
    panels: list[Panel] = []
    shown: list[ReadPoint] = []
    colours = keys([label(one.row, without=_ONE_SYSTEM) for one in found])
    for name, members in by_system(found).items():
        rows = [one.row for one in members if one.row.get("energy_variance") is not None and one.row.n_sites]
        x = [(row.get("energy_variance") or 0.0) / (row.n_sites or 1) ** 2 for row in rows]
        fitted = fits.line(x, _energies(rows), [row.get("energy_per_site_error") for row in rows])
        if fitted is None:
            continue
        known = [exact / row.n_sites for row in rows if (exact := row.get("reference")) is not None and row.n_sites]
        alike = bool(known) and max(known) - min(known) <= SAME_LEVEL * max(map(abs, known))
        exact = known[0] if alike else None  # if two differ, one of them is wrong, but we do not know which
        extrapolations.append(Extrapolation(name, fitted, len(rows), exact))
        if len(panels) < MOST_PANELS:
            panels.append(Panel(name, PER_SITE, _variance(rows, x, fitted, exact, colours)))
            shown += members
    used = dict.fromkeys(colours[label(one.row, without=_ONE_SYSTEM)] for one in shown)
    return Sheet("variance", panels, list(used) if 1 < len(used) <= len(COLOURS) else []), extrapolations


def result(one: Extrapolation) -> str:
    """The extrapolated energy per site, and its distance from the exact one."""
    text = with_error(one.line.intercept, one.line.error)
    if one.reference is None or not one.line.error:
        return text
    return f"{text}, {(one.line.intercept - one.reference) / one.line.error:+.1f} standard errors from the exact value"


def quality(one: Extrapolation) -> str:
    """The law of a line and the quality of the fit, in words."""
    line, of = one.line, "" if one.law is None else f"{one.law.name()}: "
    if one.law is not None and one.law.power is None:
        return f"{of}the largest size; its error includes the distance to the next smaller one"
    if line.chi2 is None:
        return f"{of}{line.dof} degree{'s' * (line.dof > 1)} of freedom; error only from the scatter"
    scaled = f"; error scaled by {(line.chi2 / line.dof) ** 0.5:.1f}" if line.chi2 > line.dof else ""
    doubt = "; the line does not hold" if line.probability is not None and line.probability < UNLIKELY else ""
    return f"{of}χ² = {line.chi2:.3g} for {line.dof} degree{'s' * (line.dof > 1)} of freedom{scaled}{doubt}"


def laws(extrapolations: list[Extrapolation]) -> list[str]:
    """A sentence per law: the law, why it was chosen, and for which curves."""
    by_law: dict[Law, list[str]] = {}
    for one in extrapolations:
        if one.law is not None:
            by_law.setdefault(one.law, []).append(one.of)
    sentences = []
    for law, names in by_law.items():
        some = names[:MOST_NAMED] + ([f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else [])
        of = f" ({'; '.join(some)})" if len(by_law) > 1 else ""
        sentences.append(f"{law.name()}{of}: {law.why}.")
    return sentences


def axis_label(law: Law) -> str:
    """The horizontal axis of a curve."""
    if law.power is None:
        return "1/N"
    if law.d == 1:
        return law.name()
    power, _, length = law.name().partition(", ")
    return f"{power}   ({length})"


def _to_size(curve: Curve) -> fits.FittedLine | None:
    rows = [one.row for one in curve.members]
    errors = [row.get("energy_per_site_error") for row in rows]
    if curve.law.power is None:
        return fits.largest([row.n_sites or 0 for row in rows], _energies(rows), errors)
    return fits.line(_places(curve), _energies(rows), errors)


def _places(curve: Curve) -> list[float]:
    return [curve.law.x(one.row.n_sites) for one in curve.members if one.row.n_sites]


def _energies(rows: list[Row]) -> list[float]:
    return [energy for row in rows if (energy := row.get("energy_per_site")) is not None]


def _lines(several: list[Fitted]) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        for curve, line, key in several:
            rows, x = [one.row for one in curve.members], np.array(_places(curve))
            _points(axes, x, rows, np.array(_energies(rows)), key)
            ends = np.array([0.0, x.max()])
            style = {"linestyle": "--"} if curve.law.power is None else {}  # a level, not a fit
            axes.plot(ends, line.intercept + line.slope * ends, color=key.colour, linewidth=1, **style)
            _limit(axes, 0.0, line.intercept, line.error, key)
        _along(axes, several)

    return draw


def _residuals(several: list[Fitted]) -> Callable[[Any], None]:
    """Distances from the lines; points of several curves are drawn slightly apart."""

    def draw(axes: Any) -> None:
        axes.axhline(0.0, color=MUTED, linewidth=1)
        width = max(max(_places(curve)) for curve, _, _ in several)
        for i, (curve, line, key) in enumerate(several):
            rows = [one.row for one in curve.members]
            x, shift = np.array(_places(curve)), 0.015 * width * (i - (len(several) - 1) / 2)
            _points(axes, x + shift, rows, np.array(_energies(rows)) - line.intercept - line.slope * x, key)
            _limit(axes, shift, 0.0, line.error, key)
        small_numbers(axes.yaxis)
        _along(axes, several)

    return draw


def _along(axes: Any, several: list[Fitted]) -> None:
    if max(max(_places(curve)) for curve, _, _ in several) < TINY:
        small_numbers(axes.xaxis)
    axes.set_xlabel(axis_label(several[0][0].law))


def _variance(
    rows: list[Row], x: list[float], line: fits.FittedLine, exact: float | None, colours: dict[str, LegendEntry]
) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        if exact is not None:
            axes.axhline(exact, color=INK, linestyle="--", linewidth=1)
        for row, place, energy in zip(rows, x, _energies(rows), strict=True):
            _points(axes, np.array([place]), [row], np.array([energy]), colours[label(row, without=_ONE_SYSTEM)])
        ends = np.array([0.0, max(x)])
        axes.plot(ends, line.intercept + line.slope * ends, color=MUTED, linewidth=1)
        _limit(axes, 0.0, line.intercept, line.error, LegendEntry("", MUTED, "o"))
        small_numbers(axes.xaxis)
        axes.set_xlabel(f"variance / N² [({UNIT})²]")

    return draw


def _points(axes: Any, x: np.ndarray, rows: list[Row], y: np.ndarray, key: LegendEntry) -> None:
    bars = [row.get("energy_per_site_error") or 0.0 for row in rows]
    axes.errorbar(x, y, yerr=bars, fmt=key.marker, color=key.colour, markersize=4.5, capsize=2.5, linewidth=1)


def _limit(axes: Any, x: float, y: float, error: float, key: LegendEntry) -> None:
    style = {"color": key.colour, "markerfacecolor": PAPER, "markersize": 6, "capsize": 4, "linewidth": 1}
    axes.errorbar(x, y, yerr=error, fmt=key.marker, **style)
