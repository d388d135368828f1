"""Figures of arrays: results at wave vectors over the Brillouin zone, and of pairs of sites against distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.report.arrays import MOST, MeasuredArray, measured_arrays
from nqs_hpc.report.correlations import Correlations, correlation_sheet, correlations
from nqs_hpc.report.figures import COLOURS, INK, MUTED, Panel, Sheet
from nqs_hpc.report.groups import title
from nqs_hpc.report.rows import ReadPoint
from nqs_hpc.report.values import clean, section
from nqs_hpc.report.zone import distinct, folded, is_cell, outline, tiles, within

MOST_PANELS = 12
MOST_VECTORS = 4096  # of a map
COLOUR_MAP = "viridis"  # uniform in lightness: readable on screens, in grey and for the colour-blind
LEVELS = 64
DOT = "#a8a8a8"  # visible on the darkest and the lightest colour of the map, on any page


class ArrayPictures(NamedTuple):
    """The arrays that have a figure."""

    maps: Sheet
    correlations: Sheet
    notes: list[str]  # what is left out
    troubles: list[str]  # files that cannot be read


def arrays(found: list[ReadPoint]) -> ArrayPictures:
    """Figures of at most twelve points that measured arrays, evenly chosen."""
    rows = [one.row for one in found]
    having = [
        one
        for one in found
        if one.row.final and not one.row.is_trajectory and one.row.state in ("done", "doubtful") and _has_arrays(one)
    ]
    chosen = [having[i] for i in evenly(len(having), MOST_PANELS)]
    maps: list[list[Panel]] = []  # of each point
    curves: list[tuple[str, list[Correlations]]] = []
    notes: list[str] = []
    troubles: list[str] = []
    others: dict[str, list[str]] = {}
    for one, measured in zip(chosen, measured_arrays([one.traces.place.folder for one in chosen]), strict=True):
        if isinstance(measured, str):
            troubles.append(f"{one.row.name}: {measured}")
            continue
        own, pairs, name = [], [], title(one.row, rows)
        for array in measured:
            label = array.label or array.name
            if (draw := _over_zone(array)) is not None:
                own.append(Panel(f"{name}, {label}", f"{label} [{array.unit}]" if array.unit else label, draw))
            elif (curve := correlations(array, label, one)) is not None:
                pairs.append(curve)
            else:
                others.setdefault(array.name, []).append(one.row.name)
        maps += [own] if own else []
        curves += [(name, pairs)] if pairs else []
    kept = maps
    if sum(map(len, maps)) > MOST_PANELS:
        kept = [maps[i] for i in evenly(len(maps), max(1, MOST_PANELS // max(map(len, maps))))]
    panels = [panel for own in kept for panel in own][:MOST_PANELS]
    if len(having) > len(chosen) or len(kept) < len(maps):
        notes.append(f"Maps are of {len(kept)} of {len(having)} points; the report of one run draws its own.")
    notes += [f"No picture of {name} ({', '.join(of)}): observables.h5 holds it." for name, of in others.items()][:MOST]
    return ArrayPictures(Sheet("maps", panels, []), correlation_sheet(curves), notes, troubles)


def evenly(n: int, most: int) -> list[int]:
    """Indices of at most ``most`` of ``n`` things, including the last."""
    return sorted({n - 1 - round(i * n / min(n, most)) for i in range(min(n, most))}) if n else []


def _has_arrays(one: ReadPoint) -> bool:
    told = section(one.traces.summary, "observables").values()
    return any(isinstance(entry, dict) and bool(entry.get("shape")) for entry in told)


def _over_zone(array: MeasuredArray) -> Callable[[Any], None] | None:
    """A map in two dimensions, a curve in one; None for arrays without wave vectors."""
    q, cell, value = array.axes.get("q"), array.axes.get("cell"), array.value
    if q is None or value.ndim != 1 or len(value) > MOST_VECTORS or q.shape[0] != len(value):
        return None
    q_Qd = q.reshape(len(value), -1)
    if cell is None or not is_cell(cell_dd := np.atleast_2d(cell)) or q_Qd.shape[1] != len(cell_dd):
        return None
    if len(cell_dd) > 2 or np.abs(q_Qd).max() > 1e3 * np.abs(cell_dd).max():
        return None
    zone_Qd = folded(q_Qd, cell_dd)
    alone = distinct(zone_Qd, cell_dd)
    if len(cell_dd) == 1:
        return _curve(zone_Qd[:, 0], value, array.error, float(abs(cell_dd[0, 0]))) if alone else None
    return _map(zone_Qd, value, cell_dd) if alone else _dots(q_Qd, value, cell_dd)


def _curve(q_Q: np.ndarray, value: np.ndarray, error: np.ndarray | None, side: float) -> Callable[[Any], None]:
    """The curve over the zone of a chain; a point at its end is drawn at both ends."""
    ends = np.abs(np.abs(q_Q) - side / 2) < 1e-6 * side
    q = np.concatenate([q_Q, -q_Q[ends]])
    order = np.argsort(q)
    y = np.concatenate([value, value[ends]])[order]
    bars = None if error is None else np.concatenate([error, error[ends]])[order]

    def draw(axes: Any) -> None:
        axes.errorbar(q[order], y, yerr=bars, fmt="o-", color=COLOURS[0], markersize=3.5, capsize=2, linewidth=0.9)
        in_pi(axes.xaxis, side)
        axes.set_xlabel("q")

    return draw


def _map(q_Q2: np.ndarray, value: np.ndarray, cell_dd: np.ndarray) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        from matplotlib.collections import PolyCollection

        corners = outline(cell_dd)
        pieces = tiles(q_Q2, cell_dd)
        coloured = PolyCollection([polygon for _, polygon in pieces], cmap=_colours(), linewidth=0.3, edgecolor="face")
        coloured.set_array(value[[number for number, _ in pieces]])
        axes.add_collection(coloured)
        _finish(axes, coloured, corners, inside=True)
        size = min(2.5, 25 / len(q_Q2) ** 0.5)
        axes.plot(*within(q_Q2, cell_dd).T, ".", color=DOT, markersize=size, zorder=3)

    return draw


def _dots(q_Q2: np.ndarray, value: np.ndarray, cell_dd: np.ndarray) -> Callable[[Any], None]:
    """Each wave vector at its place: on lattices with a basis, values can differ at equivalent wave vectors."""

    def draw(axes: Any) -> None:
        coloured = axes.scatter(*q_Q2.T, c=value, cmap=_colours(), s=24, zorder=3, edgecolors=DOT, linewidths=0.4)
        _finish(axes, coloured, outline(cell_dd), inside=False)

    return draw


def _finish(axes: Any, coloured: Any, corners: np.ndarray, *, inside: bool) -> None:
    """The outline of the zone, axes in units of π, and the colour bar."""
    axes.plot(*np.concatenate([corners, corners[:1]]).T, color=INK, linewidth=1)
    axes.grid(False)
    place = axes.get_position()
    axes.set_position((place.x0, place.y0, 0.84 * place.width, place.height))  # the rest is for the bar
    axes.set_aspect("equal", anchor="W")
    if inside:
        lowest, highest = corners.min(axis=0), corners.max(axis=0)
        room = 0.05 * (highest - lowest)
        axes.set_xlim(lowest[0] - room[0], highest[0] + room[0])
        axes.set_ylim(lowest[1] - room[1], highest[1] + room[1])
    for axis in (axes.xaxis, axes.yaxis):
        in_pi(axis, float(np.ptp(axis.get_view_interval())))
    axes.set_xlabel("q₁")
    axes.set_ylabel("q₂", rotation=0)
    bar = axes.figure.colorbar(coloured, cax=axes.inset_axes((1.05, 0.0, 0.06, 1.0)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelcolor=INK)


def _colours() -> Any:
    from matplotlib import colormaps

    return colormaps[COLOUR_MAP].resampled(LEVELS)


def in_pi(axis: Any, width: float) -> None:
    """Ticks at multiples of π, or of a simple fraction of it."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    step = next((part for part in (0.25, 0.5, 1, 2, 4) if width / (part * np.pi) <= 4.5), width / np.pi / 4)
    axis.set_major_locator(MultipleLocator(step * np.pi))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _of_pi(value / np.pi)))


def _of_pi(share: float) -> str:
    if abs(share) < 1e-9:
        return "0"
    size = "" if abs(abs(share) - 1) < 1e-9 else f"{abs(share):g}"
    return clean(f"{'−' if share < 0 else ''}{size}π")
