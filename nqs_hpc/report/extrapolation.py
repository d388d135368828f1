"""Energies to infinite size and to zero variance: the lines, their pictures, and what to say of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.job.progress import with_error
from nqs_hpc.report import fits
from nqs_hpc.report.figures import COLOURS, INK, MUTED, PAPER, UNIT, Key, Panel, Sheet, keys, small_numbers
from nqs_hpc.report.groups import by_curve, by_system, label, measured
from nqs_hpc.report.rows import Found, Row

MOST_PANELS = 12
PER_SITE = f"energy per site [{UNIT}]"
_ONE_SYSTEM = ("lattice.length", "lattice.extent")  # what no label says of points of one system


class Extrapolation(NamedTuple):
    """A line, what it is of, and what it should meet."""

    of: str
    line: fits.Line
    n_points: int
    reference: float | None  # the exact energy per site, where it is known


def sizes(found: list[Found]) -> tuple[Sheet, list[Extrapolation]]:
    """Energy per site against 1/N, points that differ in size alone together; and how far they lie from the lines."""
    curves: dict[str, list[Row]] = {}
    lines: dict[str, fits.Line] = {}
    for name, members in by_curve(measured(found)).items():
        rows = [one.row for one in members if one.row.energy_per_site is not None and one.row.n_sites]
        fitted = fits.line(_inverse(rows), _energies(rows), [row.energy_per_site_error for row in rows])
        if fitted is not None:
            curves[name], lines[name] = rows, fitted
    told = [Extrapolation(name or "all points", line, len(curves[name]), None) for name, line in lines.items()]
    colours = keys(list(curves))
    shown = [colours[name] for name in curves]
    if len(curves) <= len(COLOURS):  # else each has a panel of its own, and the largest come first
        chosen = [list(curves)] if curves else []
    else:
        chosen = [[name] for name in sorted(curves, key=lambda name: -len(curves[name]))[:MOST_PANELS]]

    def both(names: list[str]) -> list[Panel]:
        several = [(curves[name], lines[name], colours[name]) for name in names]
        heading = names[0] if len(chosen) > 1 else ""
        straight = Panel(heading or "The lines", PER_SITE, _lines(several))
        apart = Panel("Distance from the lines", PER_SITE, _residuals(several))
        return [straight, apart] if len(chosen) == 1 else [straight]

    panels = [panel for names in chosen for panel in both(names)]
    return Sheet("size", panels, shown if len(chosen) == 1 and len(shown) > 1 else []), told


def variances(found: list[Found]) -> tuple[Sheet, list[Extrapolation]]:
    """Energy against variance, points of one system together, with the line to zero variance."""
    told: list[Extrapolation] = []
    panels: list[Panel] = []
    shown: list[Found] = []
    colours = keys([label(one.row, without=_ONE_SYSTEM) for one in measured(found)])
    for name, members in by_system(measured(found)).items():
        rows = [one.row for one in members if one.row.energy_variance is not None and one.row.n_sites]
        x = [(row.energy_variance or 0.0) / (row.n_sites or 1) ** 2 for row in rows]
        fitted = fits.line(x, _energies(rows), [row.energy_per_site_error for row in rows])
        if fitted is None:
            continue
        exact = next((row.reference / row.n_sites for row in rows if row.reference is not None and row.n_sites), None)
        told.append(Extrapolation(name, fitted, len(rows), exact))
        if len(panels) < MOST_PANELS:
            panels.append(Panel(name, PER_SITE, _variance(rows, x, fitted, exact, colours)))
            shown += members
    used = dict.fromkeys(colours[label(one.row, without=_ONE_SYSTEM)] for one in shown)
    return Sheet("variance", panels, list(used) if 1 < len(used) <= len(COLOURS) else []), told


def result(one: Extrapolation) -> str:
    """The extrapolated energy per site, and how far from the exact one it lies."""
    told = with_error(one.line.intercept, one.line.error)
    if one.reference is None or not one.line.error:
        return told
    return f"{told}, {(one.line.intercept - one.reference) / one.line.error:+.1f} standard errors from the exact value"


def quality(line: fits.Line) -> str:
    """How well the line holds, in words."""
    if line.chi2 is None:
        return f"{line.dof} degree{'s' * (line.dof > 1)} of freedom; error from the scatter alone"
    scaled = f"; error scaled by {(line.chi2 / line.dof) ** 0.5:.1f}" if line.chi2 > line.dof else ""
    return f"χ² = {line.chi2:.3g} for {line.dof} degree{'s' * (line.dof > 1)} of freedom{scaled}"


def _inverse(rows: list[Row]) -> list[float]:
    return [1 / row.n_sites for row in rows if row.n_sites]


def _energies(rows: list[Row]) -> list[float]:
    return [row.energy_per_site for row in rows if row.energy_per_site is not None]


def _lines(several: list[tuple[list[Row], fits.Line, Key]]) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        for rows, line, key in several:
            x = np.array(_inverse(rows))
            _points(axes, x, rows, np.array(_energies(rows)), key)
            ends = np.array([0.0, x.max()])
            axes.plot(ends, line.intercept + line.slope * ends, color=key.colour, linewidth=1)
            _limit(axes, 0.0, line.intercept, line.error, key)
        axes.set_xlabel("1 / number of sites")

    return draw


def _residuals(several: list[tuple[list[Row], fits.Line, Key]]) -> Callable[[Any], None]:
    """What the lines hide: beside them, points of several curves are drawn a little apart."""

    def draw(axes: Any) -> None:
        axes.axhline(0.0, color=MUTED, linewidth=1)
        width = max(max(_inverse(rows)) for rows, _, _ in several)
        for i, (rows, line, key) in enumerate(several):
            x, shift = np.array(_inverse(rows)), 0.015 * width * (i - (len(several) - 1) / 2)
            _points(axes, x + shift, rows, np.array(_energies(rows)) - line.intercept - line.slope * x, key)
            _limit(axes, shift, 0.0, line.error, key)
        small_numbers(axes.yaxis)
        axes.set_xlabel("1 / number of sites")

    return draw


def _variance(
    rows: list[Row], x: list[float], line: fits.Line, exact: float | None, colours: dict[str, Key]
) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        if exact is not None:
            axes.axhline(exact, color=INK, linestyle="--", linewidth=1)
        for row, place, energy in zip(rows, x, _energies(rows), strict=True):
            _points(axes, np.array([place]), [row], np.array([energy]), colours[label(row, without=_ONE_SYSTEM)])
        ends = np.array([0.0, max(x)])
        axes.plot(ends, line.intercept + line.slope * ends, color=MUTED, linewidth=1)
        _limit(axes, 0.0, line.intercept, line.error, Key("", MUTED, "o"))
        small_numbers(axes.xaxis)
        axes.set_xlabel(f"variance / N² [({UNIT})²]")

    return draw


def _points(axes: Any, x: np.ndarray, rows: list[Row], y: np.ndarray, key: Key) -> None:
    bars = [row.energy_per_site_error or 0.0 for row in rows]
    axes.errorbar(x, y, yerr=bars, fmt=key.marker, color=key.colour, markersize=4.5, capsize=2.5, linewidth=1)


def _limit(axes: Any, x: float, y: float, error: float, key: Key) -> None:
    style = {"color": key.colour, "markerfacecolor": PAPER, "markersize": 6, "capsize": 4, "linewidth": 1}
    axes.errorbar(x, y, yerr=error, fmt=key.marker, **style)
