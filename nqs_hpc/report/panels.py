"""What the report draws: convergence, size and variance extrapolations, accuracy against cost, sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.job.progress import with_error
from nqs_hpc.report import fits
from nqs_hpc.report.figures import COLOURS, INK, MUTED, PAPER, UNIT, Key, Panel, Sheet, keys, logarithmic
from nqs_hpc.report.groups import ansatz, by_curve, by_system, label, measured
from nqs_hpc.report.rows import Found, Row
from nqs_hpc.report.series import Series, running_mean, series
from nqs_hpc.report.table import names

MOST_PANELS = 12  # of a kind: beyond, curves share panels
MOST_STEPS = 4000  # of a run in a panel of its own
FEW_STEPS = 200  # of one among many
WORST_R_HAT = 1.1
PER_SITE = f"energy per site\n[{UNIT}]"


class Extrapolation(NamedTuple):
    """A fit and what it is of."""

    of: str  # the curve, or the system
    line: fits.Line
    n_points: int
    reference: float | None  # what it should meet, where that is known


def title(row: Row, rows: list[Row]) -> str:
    """What a row is called in a sentence or above a panel."""
    told = names(rows)
    words = [f"{column.title} {column.cell(row)}" if column.is_number else column.cell(row) for column in told]
    return ", ".join(words) or row.name


def e_infinity(row: Row) -> float | None:
    """Tr H / dim, which the V-score holds: E + sqrt(N var / V), for an energy below it; None without a V-score."""
    known = row.energy, row.energy_variance, row.n_sites, row.v_score
    if any(value is None for value in known) or not row.final or not row.v_score:
        return None
    energy, variance, n_sites, v_score = map(float, known)  # type: ignore[arg-type]
    value = energy + math.sqrt(max(0.0, n_sites * variance / v_score))
    return 0.0 if abs(value) < 1e-9 * abs(energy) else value


def convergence(found: list[Found]) -> Sheet:
    """Energy against step: a panel a point, or with many points curves together, by system."""
    rows = [one.row for one in found]
    drawn = [one for one in found if one.traces.steps]
    if len(drawn) <= MOST_PANELS:
        curves = [(one, series(one.traces.place.folder / "metrics.jsonl", MOST_STEPS)) for one in drawn]
        panels = [Panel(title(one.row, rows), _run(one.row, curve)) for one, curve in curves if curve is not None]
        told = [Key("energy of a step", COLOURS[0], ""), Key("running average", COLOURS[1], "")]
        told += [Key("exact", INK, "")] if any(one.row.reference is not None for one in drawn) else []
        told += [Key("final", INK, "o")] if any(one.row.final for one in drawn) else []
        return Sheet("convergence", panels, told)
    colours = keys([label(one.row) for one in drawn])
    systems = by_system(drawn)
    if len(systems) > MOST_PANELS or sum(map(len, systems.values())) < len(drawn):
        systems = {}
        for one in drawn:
            systems.setdefault(ansatz(one), []).append(one)
    chosen = sorted(systems, key=lambda name: -len(systems[name]))[:MOST_PANELS]
    panels = [Panel(name, _many(systems[name], colours)) for name in systems if name in chosen]
    return Sheet("convergence", panels, _used(colours, [one for name in chosen for one in systems[name]]))


def sizes(found: list[Found]) -> tuple[Sheet, list[Extrapolation]]:
    """Energy per site against 1/N, with the line to infinite size."""
    curves = {
        name: [one for one in members if one.row.energy_per_site is not None and one.row.n_sites]
        for name, members in by_curve(measured(found)).items()
    }
    curves = {name: members for name, members in curves.items() if len({one.row.n_sites for one in members}) > 1}
    colours = keys(list(curves))
    done: dict[str, fits.Line] = {}
    for name, members in curves.items():
        rows = [one.row for one in members]
        fitted = fits.line(
            [1 / (row.n_sites or 1) for row in rows],
            [row.energy_per_site or 0.0 for row in rows],
            [row.energy_per_site_error for row in rows],
        )
        if fitted is not None:
            done[name] = fitted
    told = [Extrapolation(name or "all", line, len(curves[name]), None) for name, line in done.items()]
    together = [list(curves)] if len(curves) <= len(COLOURS) else [[name] for name in list(curves)[:MOST_PANELS]]

    def panel(chosen: list[str]) -> Panel:
        def draw(axes: Any) -> None:
            for name in chosen:
                _curve(axes, [one.row for one in curves[name]], done.get(name), colours[name])
            axes.set_xlim(left=-0.003)
            axes.set_xlabel("1 / number of sites")
            axes.set_ylabel(PER_SITE)

        return Panel(chosen[0] if len(chosen) == 1 else "infinite size", draw)

    shown = [colours[name] for name in curves if name]
    return Sheet("size", [panel(chosen) for chosen in together if chosen], shown), told


def variances(found: list[Found]) -> tuple[Sheet, list[Extrapolation]]:
    """Energy against variance, points of one system together, with the line to zero variance."""
    told: list[Extrapolation] = []
    panels: list[Panel] = []
    shown: list[Found] = []
    colours = keys([label(one.row, without=("lattice.length", "lattice.extent")) for one in measured(found)])
    for name, members in by_system(measured(found)).items():
        rows = [one.row for one in members if one.row.energy_variance is not None and one.row.n_sites]
        x = [(row.energy_variance or 0.0) / (row.n_sites or 1) ** 2 for row in rows]
        y = [row.energy_per_site or 0.0 for row in rows]
        fitted = fits.line(x, y, [row.energy_per_site_error for row in rows])
        if fitted is None:
            continue
        exact = next((row.reference / row.n_sites for row in rows if row.reference is not None and row.n_sites), None)
        told.append(Extrapolation(name, fitted, len(rows), exact))
        if len(panels) < MOST_PANELS:
            panels.append(Panel(name, _variance(rows, x, fitted, exact, colours)))
            shown += members
    used = dict.fromkeys(colours[label(one.row, without=("lattice.length", "lattice.extent"))] for one in shown)
    return Sheet("variance", panels, [key for key in used if key.label]), told


def costs(found: list[Found]) -> Sheet:
    """Accuracy against wall time and number of parameters, coloured by ansatz."""
    drawn = measured(found)
    colours = keys([ansatz(one) for one in drawn])
    panels = []
    for what, height in (("|E − E₀| / |E₀|", _relative), ("V-score", _v_score)):
        there = [one for one in drawn if height(one.row) is not None]
        for axis, along in (("wall time of the run [s]", _seconds), ("number of parameters", _parameters)):
            points = [one for one in there if along(one.row)]
            if points:
                panels.append(Panel(f"{what} against {axis.split(' [')[0]}", _scatter(points, along, height, axis, what, colours)))
    return Sheet("cost", panels, _named(colours))


def sampling(found: list[Found]) -> Sheet:
    """Acceptance, R-hat and tau of each point, by its number in the table."""
    colours = keys([ansatz(one) for one in found])
    panels = []
    for key, what, bound in (
        ("acceptance", "acceptance", None),
        ("r_hat", "split R-hat", WORST_R_HAT),
        ("tau", "autocorrelation time tau [samples]", None),
    ):
        points = [(i, getattr(one.row, key), ansatz(one)) for i, one in enumerate(found, 1)]
        points = [point for point in points if point[1] is not None]
        if points:
            panels.append(Panel(what, _dots(points, len(found), what, bound, colours)))
    return Sheet("sampling", panels, _named(colours))


def _named(colours: dict[str, Key]) -> list[Key]:
    return list(colours.values()) if len(colours) > 1 else []


def _used(colours: dict[str, Key], found: list[Found]) -> list[Key]:
    used = {label(one.row) for one in found}
    return [key for name, key in colours.items() if name and name in used]


def _run(row: Row, curve: Series) -> Callable[[Any], None]:
    n = row.n_sites or 1

    def draw(axes: Any) -> None:
        energy, error = curve.energy / n, np.nan_to_num(curve.error) / n
        axes.fill_between(curve.step, energy - error, energy + error, color=COLOURS[0], alpha=0.25, linewidth=0)
        axes.plot(curve.step, energy, color=COLOURS[0], linewidth=0.8)
        part, mean = running_mean(energy)
        half = len(mean) // 2  # earlier the mean lags behind the descent and says nothing
        axes.plot(curve.step[part][half:], mean[half:], color=COLOURS[1], linewidth=1.6)
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
        _whole_steps(axes)
        axes.set_ylabel(PER_SITE if row.n_sites else f"energy [{UNIT}]")

    return draw


def _many(members: list[Found], colours: dict[str, Key]) -> Callable[[Any], None]:
    """Curves that fall to zero: the distance of the running average to the exact energy, or the V-score."""
    exact = all(one.row.reference for one in members)

    def draw(axes: Any) -> None:
        for one in members:
            curve = series(one.traces.place.folder / "metrics.jsonl", FEW_STEPS)
            if curve is None:
                continue
            reference, zero, n = one.row.reference, e_infinity(one.row), one.row.n_sites or 1
            if exact and reference:
                part, mean = running_mean(curve.energy)
                height = np.abs(mean - reference) / abs(reference)
            elif zero is not None:
                part, mean = running_mean(n * curve.variance / (curve.energy - zero) ** 2)
                height = mean
            else:
                continue
            height = np.where(height > 0, height, np.nan)
            axes.plot(curve.step[part], height, color=colours[label(one.row)].colour, linewidth=0.8, alpha=0.8)
        if axes.lines:
            axes.set_yscale("log")
            logarithmic(axes.yaxis)
        _whole_steps(axes)
        axes.set_ylabel("|E − E₀| / |E₀|\n(running average)" if exact else "V-score\n(running average)")

    return draw


def _curve(axes: Any, rows: list[Row], line: fits.Line | None, key: Key) -> None:
    x = np.array([1 / (row.n_sites or 1) for row in rows])
    y = np.array([row.energy_per_site or 0.0 for row in rows])
    bars = np.array([row.energy_per_site_error or 0.0 for row in rows])
    axes.errorbar(x, y, yerr=bars, fmt=key.marker, color=key.colour, markersize=4.5, capsize=2.5, linewidth=1)
    if line is not None:
        ends = np.array([0.0, x.max()])
        axes.plot(ends, line.intercept + line.slope * ends, color=key.colour, linewidth=1)
        style = {"fmt": key.marker, "color": key.colour, "markerfacecolor": PAPER, "markersize": 6, "capsize": 4}
        axes.errorbar(0.0, line.intercept, yerr=line.error, **style)


def _variance(
    rows: list[Row], x: list[float], line: fits.Line, exact: float | None, colours: dict[str, Key]
) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        if exact is not None:
            axes.axhline(exact, color=INK, linestyle="--", linewidth=1)
        for row, place in zip(rows, x, strict=True):
            key = colours[label(row, without=("lattice.length", "lattice.extent"))]
            bar = row.energy_per_site_error or 0.0
            axes.errorbar(place, row.energy_per_site, yerr=bar, fmt=key.marker, color=key.colour, markersize=4.5, capsize=2.5)
        ends = np.array([0.0, max(x)])
        axes.plot(ends, line.intercept + line.slope * ends, color=MUTED, linewidth=1)
        style = {"fmt": "o", "color": MUTED, "markerfacecolor": PAPER, "markersize": 6, "capsize": 4}
        axes.errorbar(0.0, line.intercept, yerr=line.error, **style)
        axes.ticklabel_format(axis="x", style="plain")
        _small_numbers(axes.xaxis)
        axes.set_xlabel(f"variance / N² [({UNIT})²]")
        axes.set_ylabel(PER_SITE)

    return draw


def _scatter(
    points: list[Found],
    along: Callable[[Row], float | None],
    height: Callable[[Row], tuple[float, bool] | None],
    axis: str,
    what: str,
    colours: dict[str, Key],
) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        axes.set_xscale("log")
        axes.set_yscale("log")
        for one in points:
            key, place = colours[ansatz(one)], height(one.row)
            assert place is not None
            face = key.colour if place[1] else PAPER
            axes.plot(along(one.row), place[0], key.marker, color=key.colour, markerfacecolor=face, markersize=5.5)
        axes.margins(0.12)
        for one_axis in (axes.xaxis, axes.yaxis):
            logarithmic(one_axis)
        axes.set_xlabel(axis)
        axes.set_ylabel(what)

    return draw


def _dots(
    points: list[tuple[int, float, str]], n: int, what: str, bound: float | None, colours: dict[str, Key]
) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        for number, value, name in points:
            key = colours[name]
            axes.plot(number, value, key.marker, color=key.colour, markersize=5 if n < 50 else 3)
        if bound is not None:
            axes.axhline(bound, color=MUTED, linestyle="--", linewidth=1)
        axes.set_xlim(0.5, n + 0.5)
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.set_xlabel("point, by its number in the table")
        axes.set_ylabel(what)

    return draw


def _whole_steps(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_xlabel("step")


def _small_numbers(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1e}" if value else "0"))


def _seconds(row: Row) -> float | None:
    return row.seconds


def _parameters(row: Row) -> float | None:
    return row.n_parameters


def _relative(row: Row) -> tuple[float, bool] | None:
    """The error, and whether it is larger than its own uncertainty, which stands in for it where not."""
    if row.relative_error is None or not row.reference:
        return None
    size, doubt = abs(row.relative_error), (row.energy_error or 0.0) / abs(row.reference)
    return (size, True) if size > doubt else (doubt, False) if doubt > 0 else None


def _v_score(row: Row) -> tuple[float, bool] | None:
    return (row.v_score, True) if row.v_score is not None and row.v_score > 0 else None


def quality(line: fits.Line) -> str:
    """How well a line holds, in words."""
    if line.chi2 is None or line.probability is None:
        return f"{line.dof} degrees of freedom, points without errors"
    scaled = f"; error scaled by {(line.chi2 / line.dof) ** 0.5:.1f}" if line.chi2 > line.dof else ""
    return f"χ² = {line.chi2:.3g} for {line.dof} degree{'s' * (line.dof > 1)} of freedom{scaled}"


def result(one: Extrapolation) -> str:
    """The extrapolated energy per site, and how far from the exact one it lies."""
    told = with_error(one.line.intercept, one.line.error)
    if one.reference is None or not one.line.error:
        return told
    return f"{told}, {(one.line.intercept - one.reference) / one.line.error:+.1f} standard errors from the exact value"
