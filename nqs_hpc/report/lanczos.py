"""The energy before and after a Lanczos step against the variance, and the line through both to zero variance.

For states close to the ground state E = E_0 + c V, V the variance of H (S. Sorella, Phys. Rev. B 64, 024512 (2001),
arXiv:cond-mat/0009149). The line through (E_0, V_0) before and (E_1, V_1) after the step has at V = 0

    E_inf = E_1 - V_1 (E_0 - E_1) / (V_0 - V_1)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.job.quantities import UNIT
from nqs_hpc.report.figures import COLOURS, INK, MUTED, PAPER, LegendEntry, Panel, Sheet, small_numbers
from nqs_hpc.report.groups import title
from nqs_hpc.report.lines import Measurement, observables
from nqs_hpc.report.rows import ReadPoint

MOST_PANELS = 12
OF_STEP = ("initial_energy", "initial_variance", "energy", "variance")
BEFORE, AFTER = COLOURS[0], COLOURS[1]


class Step(NamedTuple):
    """One Lanczos step; energies and variances of the whole system."""

    energies: tuple[Measurement, Measurement]  # before and after
    variances: tuple[Measurement, Measurement]


class Limit(NamedTuple):
    """The line at zero variance."""

    energy: float
    error: float
    slope: float


def is_of_step(name: str, names: list[str]) -> bool:
    """Whether an observable is one of the four numbers of a Lanczos step."""
    label, _, last = name.rpartition(".")
    return last in OF_STEP and all(f"{label}.{other}" in names for other in OF_STEP)


def steps(one: ReadPoint) -> dict[str, Step]:
    """The Lanczos steps that a run measured, by label."""
    known = observables(one)
    found = {}
    for name in known:
        label, _, last = name.rpartition(".")
        if last == "initial_energy" and is_of_step(name, list(known)):
            e_0, v_0, e_1, v_1 = (known[f"{label}.{part}"] for part in OF_STEP)
            found[label] = Step((e_0, e_1), (v_0, v_1))
    return found


def limit(step: Step) -> Limit | None:
    """The line at zero variance, with independent errors of the four numbers; None if the variance does not
    decrease."""
    (e_0, e_1), (v_0, v_1) = step.energies, step.variances
    fall = v_0.value - v_1.value
    if not fall > 0 or v_1.value < 0:
        return None
    slope = (e_0.value - e_1.value) / fall
    # derivatives with respect to E_0, E_1, V_0, V_1
    by = (-v_1.value / fall, v_0.value / fall, slope * v_1.value / fall, -slope * v_0.value / fall)
    error = float(np.linalg.norm([d * one.error for d, one in zip(by, (e_0, e_1, v_0, v_1), strict=True)]))
    return Limit(e_1.value - slope * v_1.value, error, slope)


def lanczos(found: list[ReadPoint]) -> tuple[Sheet, list[str]]:
    """A panel for each point that measured a step, and a line with its result."""
    rows = [one.row for one in found]
    panels: list[Panel] = []
    notes = []
    for one in found:
        if not one.row.final or one.row.state not in ("done", "doubtful") or not one.row.n_sites:
            continue
        for step in steps(one).values():
            name, to = title(one.row, rows), limit(step)
            if to is None:
                notes.append(f"{name}: the step does not lower the variance, so there is no line.")
                continue
            exact, n = one.row.get("reference"), one.row.n_sites
            if len(panels) < MOST_PANELS:
                panels.append(Panel(name, f"energy per site [{UNIT}]", _drawing(step, to, exact, n)))
            notes.append(f"{name}: {_told(to, exact, n)}.")
    more = len(notes) - 2 * MOST_PANELS
    notes = notes[: 2 * MOST_PANELS] + ([f"{more} more are in summary.json of their runs."] if more > 0 else [])
    legend = [LegendEntry("before the step", BEFORE, "s"), LegendEntry("after it", AFTER, "o")]
    legend += [LegendEntry("exact", INK, "--")] if any(row.get("reference") is not None for row in rows) else []
    return Sheet("lanczos", panels, legend), notes


def _told(to: Limit, exact: float | None, n: int) -> str:
    text = f"energy per site at zero variance {with_error(to.energy / n, to.error / n)}"
    if exact is None:
        return text
    away = f", {(to.energy - exact) / to.error:+.1f} standard errors from it" if to.error > 0 else ""
    return f"{text}; exact {exact / n:.8g}{away}"


def _drawing(step: Step, to: Limit, exact: float | None, n: int) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        if exact is not None:
            axes.axhline(exact / n, color=INK, linestyle="--", linewidth=1)
        ends = np.array([0.0, step.variances[0].value])
        axes.plot(ends / n**2, (to.energy + to.slope * ends) / n, color=MUTED, linewidth=1)
        for energy, variance, colour, marker in zip(step.energies, step.variances, (BEFORE, AFTER), "so", strict=True):
            bars = {"xerr": variance.error / n**2, "yerr": energy.error / n}
            style = {"color": colour, "markersize": 4.5, "capsize": 2.5, "linewidth": 1}
            axes.errorbar(variance.value / n**2, energy.value / n, fmt=marker, **bars, **style)
        style = {"color": MUTED, "markerfacecolor": PAPER, "markersize": 6, "capsize": 4, "linewidth": 1}
        axes.errorbar(0.0, to.energy / n, yerr=to.error / n, fmt="o", **style)
        small_numbers(axes.xaxis)
        axes.set_xlabel(f"variance / N² [({UNIT})²]")

    return draw
