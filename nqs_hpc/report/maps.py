"""Arrays as pictures: what was measured at wave vectors over the Brillouin zone, correlations against distance."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.report.arrays import MOST, MeasuredArray, measured_arrays
from nqs_hpc.report.figures import COLOURS, INK, MUTED, Panel, Sheet
from nqs_hpc.report.groups import title
from nqs_hpc.report.rows import ReadPoint
from nqs_hpc.report.values import clean, count, section
from nqs_hpc.report.zone import distinct, folded, is_cell, outline, tiles, within
from nqs_hpc.system.distances import distance
from nqs_hpc.system.lattice import FACTORIES

MOST_PANELS = 12
MOST_VECTORS = 4096  # of a map
MOST_SITES = 1024
COLOUR_MAP = "viridis"  # even in lightness: it reads alike on screens, in grey and for the colour-blind
LEVELS = 64
DOT = "#a8a8a8"  # is seen on the darkest colour of the map and on the lightest, on any page


class ArrayPictures(NamedTuple):
    """The arrays that have a picture."""

    maps: Sheet
    correlations: Sheet
    notes: list[str]  # what is left out
    troubles: list[str]  # files that cannot be read


def arrays(found: list[ReadPoint]) -> ArrayPictures:
    """Pictures of at most twelve points that measured arrays, evenly chosen."""
    rows = [one.row for one in found]
    having = [one for one in found if one.row.final and one.row.state in ("done", "doubtful") and _has_arrays(one)]
    chosen = [having[i] for i in np.unique(np.linspace(0, len(having) - 1, MOST_PANELS).astype(int))] if having else []
    maps: list[Panel] = []
    curves: list[Panel] = []
    notes: list[str] = []
    troubles: list[str] = []
    others: dict[str, list[str]] = {}
    for one, measured in zip(chosen, measured_arrays([one.traces.place.folder for one in chosen]), strict=True):
        if isinstance(measured, str):
            troubles.append(f"{one.row.name}: {measured}")
            continue
        for array in measured:
            name = ", ".join(filter(None, [title(one.row, rows), _label(array)]))
            vertical = f"{_label(array)} [{array.unit}]" if array.unit else _label(array)
            if (draw := _over_zone(array)) is not None:
                maps.append(Panel(name, vertical, draw))
            elif (draw := _over_distance(array, one)) is not None:
                curves.append(Panel(name, f"{vertical}, mean of all pairs", draw))
            else:
                others.setdefault(array.name, []).append(one.row.name)
    if len(having) > len(chosen):
        notes.append(f"Drawn are {len(chosen)} of {len(having)} points; the report of one run draws its own.")
    notes += [f"No picture of {name} ({', '.join(of)}): observables.h5 holds it." for name, of in others.items()][:MOST]
    for what, panels in (("maps", maps), ("correlations", curves)):
        if len(panels) > MOST_PANELS:
            notes.append(f"{len(panels) - MOST_PANELS} more {what} are not drawn; the report of one run draws its own.")
    sheets = (Sheet("maps", maps[:MOST_PANELS], []), Sheet("correlations", curves[:MOST_PANELS], []))
    return ArrayPictures(*sheets, notes, troubles)


def _has_arrays(one: ReadPoint) -> bool:
    told = section(one.traces.summary, "observables").values()
    return any(isinstance(entry, dict) and bool(entry.get("shape")) for entry in told)


def _label(array: MeasuredArray) -> str:
    return array.label or array.name


def _over_zone(array: MeasuredArray) -> Callable[[Any], None] | None:
    """A map of two dimensions, a curve of one; None for what is not of wave vectors."""
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
    """Over the zone of a chain; a point at its end is drawn at both ends."""
    ends = np.abs(np.abs(q_Q) - side / 2) < 1e-6 * side
    q = np.concatenate([q_Q, -q_Q[ends]])
    order = np.argsort(q)
    y = np.concatenate([value, value[ends]])[order]
    bars = None if error is None else np.concatenate([error, error[ends]])[order]

    def draw(axes: Any) -> None:
        axes.errorbar(q[order], y, yerr=bars, fmt="o-", color=COLOURS[0], markersize=3.5, capsize=2, linewidth=0.9)
        _in_pi(axes.xaxis, side)
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
    """Each where it is: of lattices with a basis two can differ by a reciprocal lattice vector, and not be alike."""

    def draw(axes: Any) -> None:
        coloured = axes.scatter(*q_Q2.T, c=value, cmap=_colours(), s=24, zorder=3, edgecolors=DOT, linewidths=0.4)
        _finish(axes, coloured, outline(cell_dd), inside=False)

    return draw


def _finish(axes: Any, coloured: Any, corners: np.ndarray, *, inside: bool) -> None:
    """The outline of the zone, axes in units of π, and the bar that says what a colour means."""
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
        _in_pi(axis, float(np.ptp(axis.get_view_interval())))
    axes.set_xlabel("q₁")
    axes.set_ylabel("q₂", rotation=0)
    bar = axes.figure.colorbar(coloured, cax=axes.inset_axes((1.05, 0.0, 0.06, 1.0)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelcolor=INK)


def _over_distance(array: MeasuredArray, one: ReadPoint) -> Callable[[Any], None] | None:
    """Correlations of all pairs of sites, averaged over pairs of one distance; None for what is none."""
    n = len(array.value)
    if array.value.shape != (n, n) or not 1 < n <= MOST_SITES or not {"sites", "positions"} & set(array.axes):
        return None
    if (apart_NN := _distances(one, n)) is None:
        return None
    r, group = np.unique(np.round(apart_NN[apart_NN > 0], 6), return_inverse=True)

    def mean(values_NN: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.bincount(group, values_NN[apart_NN > 0]) / np.bincount(group)
        return found

    value = mean(array.value)
    # the pairs are measured on the same samples: what their errors have in common does not average out
    bars = None if array.error is None else mean(np.abs(array.error))

    def draw(axes: Any) -> None:
        axes.axhline(0.0, color=MUTED, linewidth=0.8)
        axes.errorbar(r, value, yerr=bars, fmt="o-", color=COLOURS[0], markersize=3.5, capsize=2, linewidth=0.9)
        axes.set_xlabel("distance [nearest-neighbour distances]")

    return draw


def _distances(one: ReadPoint, n: int) -> np.ndarray | None:
    """The distances of all pairs of sites by the nearest image; None where the lattice is not one of ours."""
    physics = section(section(one.traces.manifest, "physics"), "lattice")
    extent, pbc = physics.get("extent"), physics.get("pbc")
    make = FACTORIES.get(str(physics.get("name")))
    if make is None or not isinstance(extent, list) or not isinstance(pbc, list):
        return None
    sides = [count(length) for length in extent]
    known = [length for length in sides if length]
    if len(known) < len(sides) or len(known) > 3 or prod(known) > n:
        return None
    try:
        lattice = make(known, [bool(side) for side in pbc])
    except ValueError:
        return None
    sites = np.arange(n)
    return distance(lattice, sites[:, None], sites[None]) if lattice.n_sites == n else None


def _colours() -> Any:
    from matplotlib import colormaps

    return colormaps[COLOUR_MAP].resampled(LEVELS)


def _in_pi(axis: Any, width: float) -> None:
    """Ticks at multiples of π, or of a simple part of it."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    step = next((part for part in (0.25, 0.5, 1, 2, 4) if width / (part * np.pi) <= 4.5), width / np.pi / 4)
    axis.set_major_locator(MultipleLocator(step * np.pi))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _of_pi(value / np.pi)))


def _of_pi(share: float) -> str:
    if abs(share) < 1e-9:
        return "0"
    size = "" if abs(abs(share) - 1) < 1e-9 else f"{abs(share):g}"
    return clean(f"{'−' if share < 0 else ''}{size}π")
