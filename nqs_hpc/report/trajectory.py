"""A trajectory from a run folder: its lines as columns against time, and the exact trajectory if the run has one.

Reads metrics.jsonl, summary.json and reference.json; any of them may be missing, truncated or invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.reading import SETTINGS, data, parse_json
from nqs_hpc.job import log
from nqs_hpc.report.values import clean, number, section

Array = NDArray[np.float64]

UNIT_OF_TIME = "1 / units of the couplings"
PREFIX = "observables."
QUALITY = ("energy_drift", "r2", "bound", "steps_error", "scatter", "infidelity", "dt")  # keys of metrics.jsonl
CHECKS = {"r2": "r2", "bound": "bound", "steps_error": "steps", "scatter": "scatter"}  # by names in `trust`
LARGEST = 64 * reading.MIB  # of reference.json, which contains the exact curve of every observable
MOST_TIMES = 2**17
MOST_CURVES = 64
LONGEST_NAME = 60


class Curve(NamedTuple):
    """A number against time."""

    time: Array
    value: Array
    error: Array  # 0 if not known


class Trajectory(NamedTuple):
    """Curves of ``energy`` and of each observable by its name, and of the quantities that measure their quality."""

    t_end: float | None
    measured: dict[str, Curve]
    quality: dict[str, Curve]  # those of QUALITY that are known
    exact: dict[str, Curve]
    limits: dict[str, float]  # of some of these, above which the run is doubtful


def trajectory(folder: Path) -> Trajectory | None:
    """The trajectory of a run folder; None if its lines have no times."""
    try:
        if not any(number(line.get("time")) is not None for line in log.newest(folder / "metrics.jsonl")):
            return None
        lines = log.read(folder / "metrics.jsonl", MOST_TIMES)
    except OSError:
        return None
    lines = [line for line in lines if number(line.get("time")) is not None]
    if not lines:
        return None
    names = [key.removeprefix(PREFIX) for key in dict.fromkeys(key for line in lines for key in line)
             if key.startswith(PREFIX) and not key.endswith("_error")]  # fmt: skip
    measured = {"energy": _curve(lines, "energy", "energy_error")}
    for name in names[:MOST_CURVES]:
        measured[clean(name, LONGEST_NAME)] = _curve(lines, f"{PREFIX}{name}", f"{PREFIX}{name}_error")
    quality = {key: _curve(lines, key) for key in QUALITY}
    begun = quality["dt"].value > 0  # the first line belongs to no step
    quality["dt"] = Curve(*(column[begun] for column in quality["dt"]))
    summary = _json(folder / "summary.json", SETTINGS)
    checks = section(section(summary, "trust"), "checks")
    limits = {key: limit for key, name in CHECKS.items()
              if (limit := number(section(checks, name).get("limit"))) is not None}  # fmt: skip
    return Trajectory(
        number(summary.get("t_end")),
        {name: one for name, one in measured.items() if len(one.time)},
        {name: one for name, one in quality.items() if len(one.time)},
        exact_curves(_json(folder / "reference.json", LARGEST)),
        limits,
    )


def exact_curves(reference: Mapping[str, Any]) -> dict[str, Curve]:
    """Exact curves of ``energy`` and of observables that are numbers, from reference.json; {} if it has none."""
    found = section(reference, "trajectory")
    times = _numbers(found.get("times"))
    if times is None or len(times) < 2 or np.any(np.diff(times) <= 0):
        return {}
    values = {"energy": found.get("energy")} | {str(name): one for name, one in section(found, "observables").items()}
    curves = {}
    for name, given in list(values.items())[:MOST_CURVES]:
        y = _numbers(given)
        if y is not None and len(y) == len(times):
            curves[clean(name, LONGEST_NAME)] = Curve(times, y, np.zeros(len(y)))
    return curves


def off_limits(found: Trajectory) -> float | None:
    """The first time at which r2 exceeds its limit; from there on the curves may not follow H."""
    limit, curve = found.limits.get("r2"), found.quality.get("r2")
    if limit is None or curve is None or not (above := curve.value > limit).any():
        return None
    return float(curve.time[above][0])


def deviation(found: Trajectory) -> tuple[str, float, float] | None:
    """The largest distance of a measured curve from the exact one: its name, value and time; None without exact curves.

    Energies count per site elsewhere; here all observables but the energy are compared, those of one size.
    """
    worst: tuple[str, float, float] | None = None
    for name, curve in found.measured.items():
        exact = found.exact.get(name)
        if exact is None or name == "energy":
            continue
        within = (curve.time >= exact.time[0]) & (curve.time <= exact.time[-1])
        if not within.any():
            continue
        away = np.abs(curve.value - np.interp(curve.time, exact.time, exact.value))[within]
        at = int(np.argmax(away))
        if worst is None or away[at] > worst[1]:
            worst = (name, float(away[at]), float(curve.time[within][at]))
    return worst


def _curve(lines: list[dict[str, Any]], key: str, error: str | None = None) -> Curve:
    rows = [(line["time"], value, number(line.get(error)) if error else None)
            for line in lines if (value := number(line.get(key))) is not None]  # fmt: skip
    table = np.array([(time, value, bar or 0.0) for time, value, bar in rows], float).reshape(-1, 3)
    return Curve(*table.T)


def _numbers(given: Any) -> Array | None:
    if not isinstance(given, list) or not 0 < len(given) <= MOST_TIMES:
        return None
    values = [number(value) for value in given]
    return None if None in values else np.array(values, float)


def _json(path: Path, most: int) -> dict[str, Any]:
    try:
        found = parse_json(data(path, most))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
