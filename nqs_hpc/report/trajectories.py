"""Trajectories of several points: curves against time, their quality, and a table with a row for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.job.quantities import UNIT
from nqs_hpc.report.figures import COLOURS, INK, LegendEntry, Panel, Sheet, keys
from nqs_hpc.report.groups import title
from nqs_hpc.report.in_time import LIMIT, LOGARITHMIC, NAMES, curves
from nqs_hpc.report.rows import ReadPoint
from nqs_hpc.report.trajectory import Curve, Trajectory, deviation, off_limits, trajectory

MOST_PANELS = 12
MOST_POINTS = len(COLOURS)  # more curves in one panel cannot be distinguished


class Compared(NamedTuple):
    """The sheets of trajectories; all empty if there are none."""

    measured: Sheet
    quality: Sheet
    titles: list[str]  # of the table
    table: list[list[str]]
    notes: list[str]  # what is left out


def compared(found: list[ReadPoint]) -> Compared:
    """The sheets for points that evolve in time and have begun."""
    rows = [one.row for one in found]
    evolving = [one for one in found if one.row.is_trajectory]
    known = [(one, of) for one in evolving if (of := trajectory(one.traces.place.folder)) is not None]
    names = {id(one): title(one.row, rows) for one, _ in known}
    n = len(known)
    drawn = [known[i] for i in sorted({n - 1 - round(i * n / min(n, MOST_POINTS)) for i in range(min(n, MOST_POINTS))})]
    colours = keys([names[id(one)] for one, _ in drawn])

    def panel(
        head: str, vertical: str, of: Callable[[ReadPoint, Trajectory, bool], Curve | None], **more: Any
    ) -> Panel:
        pairs = [(colours[names[id(one)]].colour, one, found) for one, found in drawn]
        pairs = [(colour, one, found) for colour, one, found in pairs if of(one, found, False) is not None]
        measured, exact = (
            [(curve, colour) for colour, one, found in pairs if (curve := of(one, found, is_exact)) is not None]
            for is_exact in (False, True)
        )
        return Panel(head, vertical, curves(measured, exact, **more))

    legend = [key._replace(marker="") for key in colours.values()]
    quantities = list(dict.fromkeys(name for _, of in drawn for name in of.measured))
    panels = [panel("energy", f"energy per site [{UNIT}]", _energy)] if "energy" in quantities else []
    panels += [panel(name, "value", _named(name)) for name in quantities if name != "energy"]
    exact = [LegendEntry("exact", INK, "--")] if any(of.exact for _, of in drawn) else []
    measured = Sheet("trajectories", panels[:MOST_PANELS], legend + exact)

    believed = []
    for key, (head, vertical) in NAMES.items():
        if any(key in of.quality for _, of in drawn):
            limit = next((of.limits[key] for _, of in drawn if key in of.limits), None)
            believed.append(panel(head, vertical, _quality(key), is_logarithmic=key in LOGARITHMIC, limit=limit))
    notes = [] if len(drawn) == n else [f"Curves are of {len(drawn)} of {n} points; the table has all."]
    if len(panels) > MOST_PANELS:
        notes.append(f"Not drawn: {', '.join(quantities[MOST_PANELS:])}; metrics.jsonl holds them.")
    titles = ["point", "t", "bound", "largest r²", "r² above its limit from", "errors of steps"]
    titles += ["change of the energy", "trust", "farthest from exact"]
    table = [_cells(names[id(one)], one, of) for one, of in known]
    return Compared(measured, Sheet("believed", believed, [*legend, LIMIT] if believed else []), titles, table, notes)


def _energy(one: ReadPoint, of: Trajectory, exact: bool) -> Curve | None:
    curve = (of.exact if exact else of.measured).get("energy")
    n = one.row.n_sites or 1
    return None if curve is None else Curve(curve.time, curve.value / n, curve.error / n)


def _named(name: str) -> Callable[[ReadPoint, Trajectory, bool], Curve | None]:
    return lambda one, of, exact: (of.exact if exact else of.measured).get(name)


def _quality(key: str) -> Callable[[ReadPoint, Trajectory, bool], Curve | None]:
    return lambda one, of, exact: None if exact else of.quality.get(key)


def _cells(name: str, one: ReadPoint, of: Trajectory) -> list[str]:
    """A row of the table; unknown values are empty cells."""
    t_end = "" if of.t_end is None else f" of {of.t_end:.4g}"
    reached = max(float(curve.time[-1]) for curve in (*of.measured.values(), *of.quality.values()))
    bound, r2, drift, steps = (of.quality.get(key) for key in ("bound", "r2", "energy_drift", "steps_error"))
    since, away = off_limits(of), deviation(of)
    error = of.measured["energy"].error[-1] if "energy" in of.measured else 0.0
    return [
        name,
        f"{reached:.4g}{t_end}",
        "" if bound is None else f"{bound.value[-1]:.2g}",
        "" if r2 is None else f"{np.max(r2.value):.2g}",
        "" if since is None else f"t = {since:.4g}",
        "" if steps is None else f"{steps.value[-1]:.2g}",
        "" if drift is None else with_error(float(drift.value[-1]), float(error) or None),
        one.row.trust or "",
        "" if away is None else f"{away[1]:.2g} in {away[0]} at t = {away[2]:.4g}",
    ]
