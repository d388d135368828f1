"""The figures that a run writes into its folder, each as PNG, SVG and PDF.

energy: the energy by step with its error, the reference and the final value. For a trajectory the energy is drawn
against time, and there are also ``trajectory`` (its quality) and ``observables``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nqs_hpc.inputs.reading import SETTINGS, data, parse_json
from nqs_hpc.job.files import write
from nqs_hpc.job.quantities import UNIT
from nqs_hpc.report.arrays import FILE, read
from nqs_hpc.report.by_coupling import MOST
from nqs_hpc.report.figures import PRINT, logarithmic, need_matplotlib, printed, saved, style
from nqs_hpc.report.in_time import energy_sheet, observables_sheet, quality_sheet
from nqs_hpc.report.series import Series, series
from nqs_hpc.report.trajectory import trajectory
from nqs_hpc.report.values import items, number

MOST_STEPS = 400  # of the curve of one coupling among many
BLUE, ORANGE, GREY = "#3b76af", "#c4511d", "#333333"


def pictures(folder: Path) -> list[Path]:
    """Draw all figures of a run folder; returns the paths of the PNGs. Raises ValueError as `energy_png`."""
    need_matplotlib()
    found = trajectory(Path(folder))
    if found is None:
        return [energy_png(folder)]
    known = read(Path(folder) / FILE) if (Path(folder) / FILE).exists() else []  # this process has just written it
    sheets = [energy_sheet(found, Path(folder).resolve().name), quality_sheet(found), observables_sheet(found, known)]
    drawn = [sheet for sheet in sheets if sheet.panels]
    for sheet in drawn:
        for name, picture in printed(sheet).items():
            write(Path(folder) / f"{sheet.name}.{name}", picture)
    return [Path(folder) / f"{sheet.name}.png" for sheet in drawn]


def energy_png(folder: Path) -> Path:
    """Draw ``folder``/energy.png, energy.svg and energy.pdf, each atomically, and return the path of the first.

    Upper panel: energy of each step with its standard error, in the second half a running mean over a tenth of the
    steps (at most 50), the exact reference if summary.json has one, the final value of a finished run. Lower panel,
    logarithmic: the distance to the reference, else the variance. For several couplings the energy is their mean; thin
    lines are the distances for each coupling. Broken lines of metrics.jsonl and steps without an energy are left out.
    Raises ValueError in one line if there is no energy to draw or matplotlib is missing.
    """
    need_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    folder = Path(folder)
    step, energy, error, variance = _curve(folder / "metrics.jsonl")
    summary = _summary(folder / "summary.json")
    reference = (summary.get("reference") or {}).get("energy")
    final = (summary.get("energy") or {}) if summary.get("final") else {}

    dots = "." if len(step) < 30 else ""
    with style(PRINT, {"svg.hashsalt": "energy"}):
        figure = Figure(figsize=(PRINT.inches[0], 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        upper.set_title(folder.resolve().name, fontsize="medium", loc="left")
        upper.fill_between(step, energy - error, energy + error, color=BLUE, alpha=0.3, linewidth=0)
        upper.plot(step, energy, color=BLUE, linewidth=0.8, marker=dots, label="energy of a step")
        window = min(50, len(step) // 10)
        if window > 1:
            mean = np.convolve(energy, np.full(window, 1 / window), mode="valid")
            half = len(step) // 2  # earlier the mean lags behind the descent
            upper.plot(
                step[half:],
                mean[half - window + 1 :],
                color=ORANGE,
                linewidth=1.4,
                label=f"mean of the last {window} steps",
            )
        shown = [*np.percentile(energy, [1, 90])]
        if reference is not None:
            upper.axhline(reference, color=GREY, linestyle="--", linewidth=1, label=f"reference {reference:.8g}")
            shown.append(reference)
        if final.get("mean") is not None:
            bar = final.get("error") or 0.0
            label = f"final {final['mean']:.8g} ± {bar:.1g}"
            upper.errorbar(step[-1], final["mean"], yerr=bar, color=GREY, fmt="o", markersize=4, capsize=4, label=label)
            shown.append(final["mean"])
        low, high = min(shown), max(shown)
        margin = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
        upper.set_ylim(low - margin, high + margin)  # the first steps lie far above everything of interest
        upper.set_ylabel(f"energy [{UNIT}]")
        upper.legend(loc="upper right")

        if reference is None:
            curve, label = variance, f"variance\n[({UNIT})²]"
        elif reference == 0:
            curve, label = np.abs(energy), f"|E − E₀| [{UNIT}]"
        else:
            curve, label = np.abs(energy - reference) / abs(reference), "|E − E₀| / |E₀|"
        positive = curve > 0
        lower.plot(step[positive], curve[positive], color=BLUE, linewidth=0.8, marker=dots)
        for own_step, distance in [] if reference is None else _distances(folder, summary):
            lower.plot(own_step, distance, color=GREY, linewidth=0.5, alpha=0.5, zorder=1)
        if positive.any():
            lower.set_yscale("log")
            logarithmic(lower.yaxis)
        lower.set_ylabel(label)
        lower.set_xlabel("step")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in (upper, lower):
            axes.grid(alpha=0.25)

        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # computed once, not for each format
        pictures = saved(figure)
    for name, picture in pictures.items():
        write(folder / f"energy.{name}", picture)
    return folder / "energy.png"


def _curve(path: Path) -> Series:
    """The energies of all steps; missing errors are 0, missing variances NaN. ValueError if there is no energy."""
    curve = series(path, least=1)
    if curve is None:
        raise ValueError(f"{path} holds no energies to plot")
    return curve._replace(error=np.nan_to_num(curve.error))


def _distances(folder: Path, summary: dict[str, Any]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Steps and |E - E0| / |E0| for each coupling of a run of several; NaN for values without a logarithm."""
    found = []
    for k, entry in enumerate(items(summary, "couplings")[:MOST]):
        exact = number(entry.get("exact_energy"))
        curve = series(folder / "metrics.jsonl", MOST_STEPS, coupling=k) if exact else None
        if curve is not None and exact:
            distance = np.abs(curve.value - exact) / abs(exact)
            found.append((curve.step, np.where(distance > 0, distance, np.nan)))
    return found


def _summary(path: Path) -> dict[str, Any]:
    try:
        summary = parse_json(data(path, SETTINGS))
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}
