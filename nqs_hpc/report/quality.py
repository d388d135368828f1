"""Quality and cost of the points: error against cost, and diagnostics of the sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nqs_hpc.report.figures import COLOURS, MUTED, PAPER, LegendEntry, Panel, Sheet, keys, logarithmic, whole_numbers
from nqs_hpc.report.groups import ansatz, measured
from nqs_hpc.report.rows import ReadPoint, Row

WORST_R_HAT = 1.1
MANY = 50  # points; with more their marks are small

# A quantity on an axis: its value in a row, and whether that exceeds its own uncertainty.
Measure = Callable[[Row], tuple[float, bool] | None]


def costs(found: list[ReadPoint]) -> Sheet:
    """Accuracy against wall time and number of parameters, coloured by ansatz."""
    colours = keys([ansatz(one) for one in measured(found)])
    panels = []
    for what, height in (("|E − E₀| / |E₀|", _relative), ("V-score", _v_score)):
        for heading, axis, along in (
            ("time", "wall time of the run [s]", _seconds),
            ("parameters", "number of parameters", _parameters),
        ):
            points = [one for one in measured(found) if height(one.row) is not None and along(one.row) is not None]
            if points:
                kind = "Error" if height is _relative else "V-score"
                panels.append(Panel(f"{kind} and {heading}", what, _scatter(points, along, height, axis, colours)))
    return Sheet("cost", panels, _told(colours))


def sampling(found: list[ReadPoint]) -> Sheet:
    """Acceptance, R-hat and tau of each point, by its number in the table."""
    colours = keys([ansatz(one) for one in found])
    panels = []
    for field, heading, what in (
        ("acceptance", "Acceptance", "share of the proposals"),
        ("r_hat", "R-hat", "split R-hat"),
        ("tau", "Autocorrelation", "tau [samples]"),
    ):
        values = [(number, one.row.get(field), ansatz(one)) for number, one in enumerate(found, 1)]
        there = [(number, value, of) for number, value, of in values if value is not None]
        if there:
            bound = WORST_R_HAT if field == "r_hat" else None
            panels.append(Panel(heading, what, _dots(there, len(found), bound, colours)))
    return Sheet("sampling", panels, _told(colours))


def _told(colours: dict[str, LegendEntry]) -> list[LegendEntry]:
    return list(colours.values()) if 1 < len(colours) <= 2 * len(COLOURS) else []


def _scatter(
    points: list[ReadPoint], along: Measure, height: Measure, axis: str, colours: dict[str, LegendEntry]
) -> Callable[[Any], None]:
    marks: dict[tuple[str, bool], list[tuple[float, float]]] = {}  # drawn together, because every artist costs time
    for one in points:
        x, y = along(one.row), height(one.row)
        assert x is not None and y is not None
        marks.setdefault((ansatz(one), y[1]), []).append((x[0], y[0]))

    def draw(axes: Any) -> None:
        axes.set_xscale("log")
        axes.set_yscale("log")
        for (name, sure), places in marks.items():
            key = colours[name]
            style = {"color": key.colour, "markerfacecolor": key.colour if sure else PAPER}
            axes.plot(*zip(*places, strict=True), key.marker, markersize=_size(len(points)), **style)
        axes.margins(0.12)
        for one_axis in (axes.xaxis, axes.yaxis):
            logarithmic(one_axis)
        axes.set_xlabel(axis)

    return draw


def _dots(
    points: list[tuple[int, float, str]], n: int, bound: float | None, colours: dict[str, LegendEntry]
) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        for name, key in colours.items():
            places = [(number, value) for number, value, of in points if of == name]
            if places:
                axes.plot(*zip(*places, strict=True), key.marker, color=key.colour, markersize=_size(n))
        if bound is not None:
            axes.axhline(bound, color=MUTED, linestyle="--", linewidth=1)
        axes.set_xlim(0.5, n + 0.5)
        whole_numbers(axes.xaxis)
        axes.set_xlabel("number of the point in the table")

    return draw


def _size(n: int) -> float:
    return 5.5 if n < MANY else 3.5


def _seconds(row: Row) -> tuple[float, bool] | None:
    return (row.seconds, True) if row.seconds else None


def _parameters(row: Row) -> tuple[float, bool] | None:
    return (row.n_parameters, True) if row.n_parameters else None


def _relative(row: Row) -> tuple[float, bool] | None:
    """The error, or its statistical uncertainty if that is larger."""
    relative, reference = row.get("relative_error"), row.get("reference")
    if relative is None or not reference:
        return None
    size, doubt = abs(relative), (row.get("energy_error") or 0.0) / abs(reference)
    return (size, True) if size > doubt else (doubt, False) if doubt > 0 else None


def _v_score(row: Row) -> tuple[float, bool] | None:
    found = row.get("v_score")
    return (found, True) if found is not None and found > 0 else None
