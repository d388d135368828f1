"""Differences between two runs: keys, environment, numbers, and the step from which their curves differ.

Two energies differ by |E_A - E_B| / sqrt(err_A^2 + err_B^2) sigma. For different systems this has no meaning and is
left out. Results are plain data, as ``compare --json`` prints them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nqs_hpc.job import log
from nqs_hpc.job.quantities import UNIT
from nqs_hpc.report.figures import COLOURS, GRID, LegendEntry, Panel, Sheet, need_matplotlib, printed, whole_numbers
from nqs_hpc.report.places import VALID, find_runs
from nqs_hpc.report.rows import ReadPoint, flat, read_rows
from nqs_hpc.report.series import Series, series
from nqs_hpc.report.values import clean, number, section

# Keys that make two energies those of different systems, or of different states.
SYSTEM = ("lattice", "hamiltonian", "sector", "task")
# Keys of a task that only set its length: the states are the same.
LENGTHS = ("task.n_steps", "task.final_samples", "task.second_samples", "task.samples", "task.error")
NUMBERS = (
    *("energy", "energy_error", "energy_variance", "energy_per_site", "v_score", "relative_error", "r_hat", "tau"),
    *("acceptance", "step", "seconds", "seconds_per_step", "n_parameters", "n_ranks"),
)
ONE = "the folder of one run"
MACHINE = ("git", "mpi", "hosts", "n_ranks", "versions")


def one_run(name: str) -> ReadPoint:
    """The run in the folder ``name``; ValueError, one line, if it is not exactly one run."""
    try:
        found = find_runs(name)
    except ValueError as error:
        raise ValueError(str(error).replace(VALID, ONE)) from None
    if found.study is not None or len(found.places) != 1 or found.places[0].folder != found.folder:
        held = f"a sweep or a folder of runs: {', '.join(clean(place.name) for place in found.places[:3])}"
        raise ValueError(f"{clean(name)} is not a run but {held}; valid: {ONE}")
    (point,) = read_rows(found, time.time())
    if not point.traces.begun:
        raise ValueError(f"{clean(name)} is not a run: nothing has begun there; valid: {ONE}")
    return point


def differences(a: ReadPoint, b: ReadPoint) -> dict[str, Any]:
    """All differences, as plain data; values missing in one of the runs are left out."""
    keys = _between(_flat(a.traces.config), _flat(b.traces.config))
    physics = {key for one in (a, b) for key in _flat(section(one.traces.manifest, "physics"))}
    for one in keys:
        one["physics"] = one["key"] in physics
    others = [one["key"] for one in keys if _is_system(one["key"])]
    return {
        "a": _told(a),
        "b": _told(b),
        "keys": keys,
        "machine": _between(_machine(a), _machine(b)),
        "energies": _energies(a, b, others),
        "numbers": _numbers(a, b),
        "curves": _curves(a, b),
    }


def _told(one: ReadPoint) -> dict[str, Any]:
    row = one.row
    return {"name": row.name, "folder": str(one.traces.place.folder), "state": row.state, "final": row.final}


def _is_system(key: str) -> bool:
    return key.partition(".")[0] in SYSTEM and key not in LENGTHS


def _flat(data: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys; the choice of a group is the value of the group. A schedule or table is one value."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        key = prefix.removesuffix(".") if name == "name" and prefix else f"{prefix}{name}"
        if isinstance(value, Mapping) and value and "schedule" not in value and prefix.count(".") < 3:
            found |= _flat(value, f"{key}.")
        else:
            found[key] = value
    return found


def _between(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys whose values differ, in order; missing values are left out."""
    found = []
    for key in dict.fromkeys([*a, *b]):
        there = {name: of[key] for name, of in (("a", a), ("b", b)) if key in of}
        if len(there) < 2 or not _same(there["a"], there["b"]):
            found.append({"key": key, **there})
    return found


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def _machine(one: ReadPoint) -> dict[str, Any]:
    manifest = one.traces.manifest
    found = _flat({name: manifest[name] for name in MACHINE if name in manifest})
    ranks = manifest.get("ranks")
    if isinstance(ranks, list) and ranks and isinstance(ranks[0], dict):
        found["threads"] = ranks[0].get("threads")
    if number(found.get("n_ranks")) is not None and one.row.restarts:
        found["restarts"] = one.row.restarts
    return found


def _numbers(a: ReadPoint, b: ReadPoint) -> list[dict[str, Any]]:
    """The numbers of both, and their difference if both have one; then the observables."""
    left, right = _values(a), _values(b)
    found = []
    for key in dict.fromkeys([*left, *right]):
        x, y = left.get(key), right.get(key)
        if x is not None or y is not None:
            differ = None if x is None or y is None else number(y - x)
            found.append({"key": key, "a": x, "b": y, "difference": differ})
    return found


def _values(one: ReadPoint) -> dict[str, float | None]:
    row = flat(one.row)
    values = {key: number(row.get(key)) for key in NUMBERS}
    for name, told in section(one.traces.summary, "observables").items():
        if isinstance(told, dict):
            values |= {f"observables.{clean(str(name))}": number(told.get("mean"))}
            values |= {f"observables.{clean(str(name))}_error": number(told.get("error"))}
    return values


def _energies(a: ReadPoint, b: ReadPoint, others: list[str]) -> dict[str, Any]:
    """The difference of the energies in units of their errors; or why that has no meaning."""
    mean = [one.row.get("energy") for one in (a, b)]
    if mean[0] is None or mean[1] is None:
        lacks = " and ".join(name for name, x in zip("AB", mean, strict=True) if x is None)
        return {"difference": None, "error": None, "sigma": None, "why": f"{lacks} has no energy"}
    difference = number(mean[1] - mean[0])
    if others:
        why = f"the systems or states differ: {', '.join(others[:3])}{', …' * (len(others) > 3)}"
        return {"difference": difference, "error": None, "sigma": None, "why": why}
    errors = [error for one in (a, b) if (error := one.row.get("energy_error")) is not None]
    error = math.hypot(*errors)
    if len(errors) < 2 or error == 0:
        return {"difference": difference, "error": None, "sigma": None, "why": "an error is not known, or both are 0"}
    return {"difference": difference, "error": error, "sigma": abs(mean[1] - mean[0]) / error, "why": None}


def _curves(a: ReadPoint, b: ReadPoint) -> dict[str, Any]:
    """The metrics at common steps: where each begins to differ, and the largest relative difference."""
    lines = [_lines(one) for one in (a, b)]
    steps = sorted(lines[0].keys() & lines[1].keys())
    first: dict[str, dict[str, Any]] = {}
    same: list[str] = []
    only: dict[str, list[str]] = {"a": [], "b": []}
    has = [{key for line in of.values() for key in line} for of in lines]
    for key in sorted(has[0] ^ has[1]):
        only["a" if key in has[0] else "b"].append(clean(key))
    for key in sorted(has[0] & has[1] - {"step"}):
        pairs = [(step, lines[0][step].get(key), lines[1][step].get(key)) for step in steps]
        unlike = [(step, x, y) for step, x, y in pairs if not _same(x, y)]
        if not unlike:
            same.append(clean(key))
            continue
        step, x, y = unlike[0]
        apart = [one for _, p, q in unlike if (one := _relative(p, q)) is not None]
        first[clean(key)] = {"step": step, "a": x, "b": y, "largest_relative": max(apart, default=None)}
    span = {
        "n_common": len(steps),
        "first_common": steps[0] if steps else None,
        "last_common": steps[-1] if steps else None,
    }
    last = {f"last_{name}": max(of, default=None) for name, of in zip("ab", lines, strict=True)}
    return {**span, **last, "same": same, "differ": first, "only": only}


def _lines(one: ReadPoint) -> dict[int, dict[str, Any]]:
    """The metrics by step, without times."""
    try:
        read = log.read(one.traces.place.folder / "metrics.jsonl")
    except (OSError, ValueError):
        return {}
    timed = [{key: x for key, x in line.items() if key != "seconds" and not key.endswith("_s")} for line in read]
    return {line["step"]: _each(line) for line in timed}


def _each(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of metrics with each list over couplings split into numbers: energies_0, energies_1, …"""
    found: dict[str, Any] = {}
    for key, value in line.items():
        found |= {f"{key}_{k}": one for k, one in enumerate(value)} if isinstance(value, list) else {key: value}
    return found


def _relative(a: Any, b: Any) -> float | None:
    x, y = number(a), number(b)
    if x is None or y is None:
        return None
    return abs(x - y) / max(abs(x), abs(y)) if x != y else 0.0


def picture(a: ReadPoint, b: ReadPoint, form: str) -> bytes:
    """Both energies by step, and their difference with its error, as one of `figures.FORMATS`; ValueError if there is
    nothing to draw.
    """
    need_matplotlib()
    found = [series(one.traces.place.folder / "metrics.jsonl", least=1) for one in (a, b)]
    known = [(one, of) for one, of in zip((a, b), found, strict=True) if of is not None]
    if not known:
        raise ValueError("neither run has a step with an energy; valid: without --plot")
    curves = [(of, COLOURS[i]) for i, (_, of) in enumerate(known)]
    entries = [
        LegendEntry(f"{'B' if one is b else 'A'} {one.row.name}", COLOURS[i], "") for i, (one, _) in enumerate(known)
    ]
    panels = [Panel("Energy", f"energy [{UNIT}]", _drawn(curves))]
    if len(known) == 2 and (apart := _apart(known[0][1], known[1][1])) is not None:
        panels.append(Panel("B − A", f"energy [{UNIT}]", _drawn([(apart, COLOURS[3])], zero=True)))
    return printed(Sheet("compare", panels, entries))[form]


def _apart(a: Series, b: Series) -> Series | None:
    """B minus A at common steps."""
    step, of_a, of_b = np.intersect1d(a.step, b.step, return_indices=True)
    if len(step) == 0:
        return None
    error = np.hypot(a.error[of_a], b.error[of_b])
    return Series(step, b.value[of_b] - a.value[of_a], error, np.full(len(step), np.nan))


def _drawn(curves: list[tuple[Series, str]], *, zero: bool = False) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        if zero:
            axes.axhline(0.0, color=GRID, linewidth=1)
        for curve, colour in curves:
            error = np.nan_to_num(curve.error)
            axes.fill_between(
                curve.step, curve.value - error, curve.value + error, color=colour, alpha=0.25, linewidth=0
            )
            axes.plot(curve.step, curve.value, color=colour, linewidth=0.9, marker="." if len(curve.step) < 30 else "")
        axes.set_xlabel("step")
        whole_numbers(axes.xaxis)

    return draw
