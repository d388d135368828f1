"""Correlations of pairs of sites against their distance, in one panel per point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.report.arrays import MeasuredArray
from nqs_hpc.report.figures import COLOURS, MUTED, LegendEntry, Panel, Sheet, keys
from nqs_hpc.report.rows import ReadPoint
from nqs_hpc.report.values import section
from nqs_hpc.system.distances import distance
from nqs_hpc.system.families import told

MOST_PANELS = 12
MOST_SITES = 1024


class Correlations(NamedTuple):
    """One correlator, averaged over the pairs of sites at each distance."""

    label: str
    unit: str
    r: np.ndarray  # distances in ascending order
    value: np.ndarray
    error: np.ndarray | None


def correlation_sheet(points: list[tuple[str, list[Correlations]]]) -> Sheet:
    """A panel for each point, a line for each of its correlators."""
    colours = keys([curve.label for _, curves in points for curve in curves])
    panels = []
    for name, curves in points[:MOST_PANELS]:
        units = list(dict.fromkeys(curve.unit for curve in curves if curve.unit))
        own = curves[0].label if len(colours) == 1 else "correlation"
        vertical = f"{own} [{', '.join(units)}]" if units else own
        panels.append(Panel(name, vertical, _drawing(curves, colours)))
    return Sheet("correlations", panels, list(colours.values()) if 1 < len(colours) <= 2 * len(COLOURS) else [])


def _drawing(curves: list[Correlations], colours: dict[str, LegendEntry]) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        axes.axhline(0.0, color=MUTED, linewidth=0.8)
        for curve in curves:
            key = colours[curve.label]
            style = {"color": key.colour, "markersize": 3.5, "capsize": 2, "linewidth": 0.9}
            axes.errorbar(curve.r, curve.value, yerr=curve.error, fmt=f"{key.marker}-", **style)
        axes.set_xlabel("distance [nearest-neighbour distances]")

    return draw


def correlations(array: MeasuredArray, label: str, one: ReadPoint) -> Correlations | None:
    """Correlations of all pairs of sites, averaged over pairs at each distance; None for other arrays."""
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
    # the pairs are measured on the same samples: correlated errors do not average out
    bars = None if array.error is None else mean(np.abs(array.error))

    return Correlations(label, array.unit, r, value, bars)


def _distances(one: ReadPoint, n: int) -> np.ndarray | None:
    """The distances of all pairs of sites by the nearest image; None for unknown lattices."""
    lattice = told(section(section(one.traces.manifest, "physics"), "lattice"), n)
    sites = np.arange(n)
    return distance(lattice, sites[:, None], sites[None]) if lattice is not None and lattice.n_sites == n else None
