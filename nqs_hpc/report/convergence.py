"""Convergence of the energies: one panel per point, or, for many points, the curves of a system in one panel.

For a run without an energy the first of its quantities is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nqs_hpc.job.quantities import UNIT
from nqs_hpc.report.figures import COLOURS, INK, LegendEntry, Panel, Sheet, keys, logarithmic, whole_numbers
from nqs_hpc.report.groups import ansatz, by_system, label, title
from nqs_hpc.report.rows import ReadPoint, Row
from nqs_hpc.report.series import Series, running_mean, series
from nqs_hpc.types import Quantity

MOST_PANELS = 12  # beyond, curves share panels
MOST_STEPS = 4000  # of a run in its own panel
FEW_STEPS = 200  # of one among many


def convergence(found: list[ReadPoint]) -> Sheet:
    """Energy against step, for every point that has made a step."""
    rows = [one.row for one in found]
    drawn = [one for one in found if one.traces.steps]
    if len(drawn) > MOST_PANELS:
        return _together(drawn)
    panels = []
    for one in drawn:
        if (curve := _curve(one, MOST_STEPS)) is not None:
            panels.append(Panel(title(one.row, rows), _vertical(one.row), _run(one.row, curve)))
    of_energy = all("energy" in one.row.values for one in drawn)
    legend = [LegendEntry(f"{'energy' if of_energy else 'value'} of a step", COLOURS[0], "")]
    legend += [LegendEntry("running average", COLOURS[1], "")]
    legend += [LegendEntry("exact", INK, "--")] if any(one.row.get("reference") is not None for one in drawn) else []
    legend += [LegendEntry("final", INK, "o")] if any(one.row.final for one in drawn) else []
    return Sheet("convergence", panels, legend)


def _together(drawn: list[ReadPoint]) -> Sheet:
    """One panel per system; one per ansatz if there are too many systems, or the system of some points is unknown."""
    groups = by_system(drawn)
    if len(groups) > MOST_PANELS or sum(map(len, groups.values())) < len(drawn):
        groups = {}
        for one in drawn:
            groups.setdefault(ansatz(one), []).append(one)
    largest = sorted(groups, key=lambda name: -len(groups[name]))[:MOST_PANELS]
    chosen = [name for name in groups if name in largest]
    colours = keys([label(one.row) for name in chosen for one in groups[name]])
    panels = [Panel(name, *_many(groups[name], colours)) for name in chosen]
    legend = [key._replace(marker="") for key in colours.values()]
    return Sheet("convergence", panels, legend if 1 < len(legend) <= len(COLOURS) else [])


def _curve(one: ReadPoint, at_most: int) -> Series | None:
    """The curve of a point's energy, else of its first quantity; None if fewer than two steps have a value."""
    shown = _drawn(one.row)
    if shown is None:
        return None
    return series(
        one.traces.place.folder / "metrics.jsonl", at_most, shown.key, shown.error, coupling=one.traces.number
    )


def _drawn(row: Row) -> Quantity | None:
    """The quantity that is drawn against the step."""
    return next((one for one in row.quantities if one.key == "energy"), row.quantities[0] if row.quantities else None)


def _vertical(row: Row) -> str:
    """The vertical axis in the panel of a point."""
    if "energy" in row.values:
        return f"energy per site [{UNIT}]" if row.n_sites else f"energy [{UNIT}]"
    shown = _drawn(row)
    assert shown is not None  # otherwise there is no curve
    return f"{shown.label} [{shown.unit}]" if shown.unit else shown.label


def _run(row: Row, curve: Series) -> Callable[[Any], None]:
    n = (row.n_sites or 1) if "energy" in row.values else 1
    shown_value = _drawn(row)
    final = row.get(shown_value.key) if shown_value is not None and row.final else None
    final_error = row.get(shown_value.error) if shown_value is not None and shown_value.error is not None else None
    reference = row.get("reference")

    def draw(axes: Any) -> None:
        energy, error = curve.value / n, np.nan_to_num(curve.error) / n
        axes.fill_between(curve.step, energy - error, energy + error, color=COLOURS[0], alpha=0.2, linewidth=0)
        axes.plot(curve.step, energy, color=COLOURS[0], linewidth=0.6, alpha=0.75)
        part, mean = running_mean(energy)
        half = len(mean) // 2  # earlier the mean lags behind the descent
        axes.plot(curve.step[part][half:], mean[half:], color=COLOURS[1], linewidth=1.8)
        shown = [*np.percentile(energy, [1, 85])]
        if reference is not None:
            axes.axhline(reference / n, color=INK, linestyle="--", linewidth=1)
            shown.append(reference / n)
        if final is not None:
            bar = (final_error or 0.0) / n
            axes.errorbar(curve.step[-1], final / n, yerr=bar, color=INK, fmt="o", markersize=3.5, capsize=3)
            shown.append(final / n)
        low, high = min(shown), max(shown)
        margin = 0.08 * (high - low) or 0.01 * abs(high) or 1.0
        axes.set_ylim(low - margin, high + margin)  # the first steps lie far above everything of interest
        whole_numbers(axes.xaxis)
        axes.set_xlabel("step")

    return draw


def _many(members: list[ReadPoint], colours: dict[str, LegendEntry]) -> tuple[str, Callable[[Any], None]]:
    """Curves that fall to zero: distance of the energy to the exact one, or V-score; name and drawing."""
    exact = all(one.row.get("reference") for one in members)
    curves = [(colours[label(one.row)].colour, curve) for one in members if (curve := _falling(one, exact)) is not None]

    def draw(axes: Any) -> None:
        for colour, (step, height) in curves:
            axes.plot(step, height, color=colour, linewidth=0.8, alpha=0.8)
        if curves:
            axes.set_yscale("log")
            logarithmic(axes.yaxis)
        whole_numbers(axes.xaxis)
        axes.set_xlabel("step")

    return f"{'|E − E₀| / |E₀|' if exact else 'V-score'}, running average", draw


def _falling(one: ReadPoint, exact: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Steps and heights of a curve, NaN for values without a logarithm; None if it is not known."""
    curve = _curve(one, FEW_STEPS) if "energy" in one.row.values else None
    reference, zero, n = one.row.get("reference"), one.row.get("e_infinity"), one.row.n_sites or 1
    if curve is None or (not exact and (zero is None or np.isnan(curve.variance).all())):
        return None
    if exact and reference:
        part, mean = running_mean(curve.value)
        height = np.abs(mean - reference) / abs(reference)
    else:
        part, height = running_mean(n * curve.variance / (curve.value - zero) ** 2)
    return curve.step[part], np.where(height > 0, height, np.nan)
