"""How the energies came down: a panel a point, or where there are many, the curves of a system together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nqs_hpc.report.figures import COLOURS, INK, UNIT, Key, Panel, Sheet, keys, logarithmic, whole_numbers
from nqs_hpc.report.groups import ansatz, by_system, label, title
from nqs_hpc.report.rows import Found, Row
from nqs_hpc.report.series import Series, running_mean, series

MOST_PANELS = 12  # beyond, curves share panels
MOST_STEPS = 4000  # of a run in a panel of its own
FEW_STEPS = 200  # of one among many


def convergence(found: list[Found]) -> Sheet:
    """Energy against step, of every point that has made one."""
    rows = [one.row for one in found]
    drawn = [one for one in found if one.traces.steps]
    if len(drawn) > MOST_PANELS:
        return _together(drawn)
    curves = [(one, series(one.traces.place.folder / "metrics.jsonl", MOST_STEPS)) for one in drawn]
    panels = []
    for one, curve in curves:
        if curve is not None:
            vertical = f"energy per site [{UNIT}]" if one.row.n_sites else f"energy [{UNIT}]"
            panels.append(Panel(title(one.row, rows), vertical, _run(one.row, curve)))
    told = [Key("energy of a step", COLOURS[0], ""), Key("running average", COLOURS[1], "")]
    told += [Key("exact", INK, "--")] if any(one.row.reference is not None for one in drawn) else []
    told += [Key("final", INK, "o")] if any(one.row.final for one in drawn) else []
    return Sheet("convergence", panels, told)


def _together(drawn: list[Found]) -> Sheet:
    """A panel a system; a panel an ansatz where there are too many systems, or some points do not say theirs."""
    groups = by_system(drawn)
    if len(groups) > MOST_PANELS or sum(map(len, groups.values())) < len(drawn):
        groups = {}
        for one in drawn:
            groups.setdefault(ansatz(one), []).append(one)
    largest = sorted(groups, key=lambda name: -len(groups[name]))[:MOST_PANELS]
    chosen = [name for name in groups if name in largest]
    colours = keys([label(one.row) for name in chosen for one in groups[name]])
    panels = [Panel(name, *_many(groups[name], colours)) for name in chosen]
    told = [key._replace(marker="") for key in colours.values()]
    return Sheet("convergence", panels, told if 1 < len(told) <= len(COLOURS) else [])


def _run(row: Row, curve: Series) -> Callable[[Any], None]:
    n = row.n_sites or 1

    def draw(axes: Any) -> None:
        energy, error = curve.energy / n, np.nan_to_num(curve.error) / n
        axes.fill_between(curve.step, energy - error, energy + error, color=COLOURS[0], alpha=0.2, linewidth=0)
        axes.plot(curve.step, energy, color=COLOURS[0], linewidth=0.6, alpha=0.75)
        part, mean = running_mean(energy)
        half = len(mean) // 2  # earlier the mean lags behind the descent and says nothing
        axes.plot(curve.step[part][half:], mean[half:], color=COLOURS[1], linewidth=1.8)
        shown = [*np.percentile(energy, [1, 85])]
        if row.reference is not None:
            axes.axhline(row.reference / n, color=INK, linestyle="--", linewidth=1)
            shown.append(row.reference / n)
        if row.final and row.energy is not None:
            bar = (row.energy_error or 0.0) / n
            axes.errorbar(curve.step[-1], row.energy / n, yerr=bar, color=INK, fmt="o", markersize=3.5, capsize=3)
            shown.append(row.energy / n)
        low, high = min(shown), max(shown)
        margin = 0.08 * (high - low) or 0.01 * abs(high) or 1.0
        axes.set_ylim(low - margin, high + margin)  # the first steps lie far above everything of interest
        whole_numbers(axes.xaxis)
        axes.set_xlabel("step")

    return draw


def _many(members: list[Found], colours: dict[str, Key]) -> tuple[str, Callable[[Any], None]]:
    """Curves that fall to zero, the distance of the energy to the exact one or the V-score: its name and drawing."""
    exact = all(one.row.reference for one in members)
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


def _falling(one: Found, exact: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Steps and heights of a curve, NaN where a logarithm has no place for it; None where it is not known."""
    curve = series(one.traces.place.folder / "metrics.jsonl", FEW_STEPS)
    reference, zero, n = one.row.reference, one.row.e_infinity, one.row.n_sites or 1
    if curve is None or (zero is None and not exact):
        return None
    if exact and reference:
        part, mean = running_mean(curve.energy)
        height = np.abs(mean - reference) / abs(reference)
    else:
        part, height = running_mean(n * curve.variance / (curve.energy - zero) ** 2)
    return curve.step[part], np.where(height > 0, height, np.nan)
