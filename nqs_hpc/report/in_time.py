"""Figures against time: measured and exact curves, the quality of trajectories, spins by sites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nqs_hpc.job.quantities import UNIT
from nqs_hpc.report.arrays import MeasuredArray
from nqs_hpc.report.figures import (
    COLOURS,
    INK,
    MUTED,
    LegendEntry,
    Panel,
    Sheet,
    logarithmic,
    small_numbers,
    whole_numbers,
)
from nqs_hpc.report.trajectory import UNIT_OF_TIME, Curve, Trajectory, off_limits

FEW = 40  # times; with fewer each is marked
ROUNDING = 1e-12  # of r² and of distances: smaller values are not drawn
SMALL = 1e-3  # for smaller numbers each tick has its power of ten
MOST_PANELS = 24  # of one run
COLOUR_MAP = "RdBu_r"  # 0 is white: values of both signs
NAMES = {
    "energy_drift": ("Change of the energy", f"E(t) − E(0) [{UNIT}]"),
    "r2": ("Motion that the network cannot follow", "r²"),
    "bound": ("Bound on the distance to the exact state", "∫ √(r² Var H) dt"),
    "steps_error": ("Errors of all steps, added up", "distance in Hilbert space"),
    "scatter": ("What noise may have added", "distance in Hilbert space"),
    "infidelity": ("Infidelity of a step", "1 − F"),
    "dt": ("Length of a step", f"dt [{UNIT_OF_TIME}]"),
}
LOGARITHMIC = ("r2", "bound", "steps_error", "scatter", "infidelity")
FOLLOWS = LegendEntry("r² above its limit", MUTED, "s")
LIMIT = LegendEntry("limit", MUTED, "--")

Draw = Callable[[Any], None]


def energy_sheet(found: Trajectory, name: str) -> Sheet:
    """The energy of a run."""
    return _measured(found, "energy", {"energy": (name, f"energy [{UNIT}]")})


def observables_sheet(found: Trajectory, arrays: list[MeasuredArray]) -> Sheet:
    """A panel for each number that a run measures besides the energy, then those of arrays over sites."""
    labels = {one.name: f"{one.label} [{one.unit}]" if one.unit else one.label for one in arrays}
    titles = {name: (name, labels.get(name, "value")) for name in found.measured if name != "energy"}
    sheet = _measured(found, "observables", titles)
    maps = [Panel(one.name, one.label, draw) for one in arrays if (draw := site_map(one)) is not None]
    return sheet._replace(panels=[*sheet.panels, *maps][:MOST_PANELS])


def quality_sheet(found: Trajectory) -> Sheet:
    """The quality of a trajectory."""
    panels = []
    for key, curve in found.quality.items():
        limit = found.limits.get(key)
        draw = curves([(curve, COLOURS[0])], is_logarithmic=key in LOGARITHMIC, limit=limit)
        panels.append(Panel(*NAMES[key], draw))
    return Sheet("trajectory", panels, [LIMIT] if any(key in found.limits for key in found.quality) else [])


def curves(
    measured: list[tuple[Curve, str]],
    exact: list[tuple[Curve, str]] | None = None,
    *,
    is_logarithmic: bool = False,
    limit: float | None = None,
    since: float | None = None,
) -> Draw:
    """Curves with bands of one standard error in their colours, exact ones dashed.

    ``limit``: a dashed line. ``since``: from there on the background is grey.
    """

    def draw(axes: Any) -> None:
        for curve, colour in measured:
            marker = "." if len(curve.time) < FEW else ""
            value = np.where(curve.value > ROUNDING, curve.value, np.nan) if is_logarithmic else curve.value
            if not is_logarithmic:
                band = (curve.value - curve.error, curve.value + curve.error)
                axes.fill_between(curve.time, *band, color=colour, alpha=0.25, linewidth=0)
            axes.plot(curve.time, value, color=colour, linewidth=1.1, marker=marker, markersize=4)
        for curve, colour in exact or []:
            axes.plot(curve.time, curve.value, color=colour, linestyle="--", linewidth=1)
        if is_logarithmic and any((curve.value > ROUNDING).any() for curve, _ in measured):
            axes.set_yscale("log")
            if limit is not None:
                axes.axhline(limit, color=MUTED, linestyle="--", linewidth=1)
            logarithmic(axes.yaxis)
        elif limit is not None:
            axes.axhline(limit, color=MUTED, linestyle="--", linewidth=1)
        largest = max((float(np.abs(curve.value).max()) for curve, _ in measured), default=0.0)
        spread = max((float(np.ptp(curve.value)) for curve, _ in measured), default=0.0)
        if len(measured) == 1 and not exact and not is_logarithmic and spread < 1e-9 * largest:
            middle = float(measured[0][0].value[0])  # constant up to rounding
            axes.set_ylim(middle - 0.1 * largest, middle + 0.1 * largest)
        elif not is_logarithmic and 0 < largest < SMALL:
            small_numbers(axes.yaxis)
        last = max((float(curve.time[-1]) for curve, _ in measured), default=0.0)
        if since is not None and since < last:
            axes.axvspan(since, last, color=MUTED, alpha=0.12, linewidth=0)
        if last > 0:
            axes.set_xlim(0.0, last)
        axes.set_xlabel(f"t [{UNIT_OF_TIME}]")

    return draw


def site_map(array: MeasuredArray) -> Draw | None:
    """Values over sites (horizontal) and time (vertical); None for other arrays."""
    times, sites, value = array.axes.get("time"), array.axes.get("sites"), array.value
    if times is None or sites is None or value.shape != (times.size, sites.size) or min(value.shape) < 2:
        return None
    if np.any(np.diff(times) <= 0):
        return None

    def draw(axes: Any) -> None:
        largest = float(np.abs(value).max()) or 1.0
        axes.grid(False)
        drawn = axes.pcolormesh(
            np.arange(sites.size), times, value, cmap=COLOUR_MAP, vmin=-largest, vmax=largest, shading="nearest",
            rasterized=True,
        )  # fmt: skip
        colour_bar(axes, drawn)
        whole_numbers(axes.xaxis)
        axes.set_xlabel("site")
        axes.set_ylabel("t", rotation=0)

    return draw


def colour_bar(axes: Any, drawn: Any) -> None:
    """The colour bar in the right part of the panel."""
    from matplotlib.ticker import MaxNLocator

    place = axes.get_position()
    axes.set_position((place.x0, place.y0, 0.8 * place.width, place.height))
    bar = axes.figure.colorbar(drawn, cax=axes.inset_axes((1.05, 0.0, 0.06, 1.0)), ticks=MaxNLocator(nbins=4))
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelcolor=INK)


def _measured(found: Trajectory, sheet: str, titles: dict[str, tuple[str, str]]) -> Sheet:
    since, panels, has_exact = off_limits(found), [], False
    for name, (title, vertical) in titles.items():
        exact = found.exact.get(name)
        has_exact |= exact is not None
        beside = [] if exact is None else [(exact, INK)]
        panels.append(Panel(title, vertical, curves([(found.measured[name], COLOURS[0])], beside, since=since)))
    legend = [LegendEntry("exact", INK, "--")] if has_exact else []
    legend += [FOLLOWS] if since is not None and panels else []
    return Sheet(sheet, panels, legend)
