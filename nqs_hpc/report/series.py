"""The curve of a run, out of metrics.jsonl: as many steps as a plot can show, and a running average."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nqs_hpc.inputs.reading import METRICS, data, lines, parse_json
from nqs_hpc.report.values import count, number


class Series(NamedTuple):
    """Steps with an energy; NaN where a line lacks the value."""

    step: np.ndarray
    energy: np.ndarray
    error: np.ndarray
    variance: np.ndarray


def series(path: Path, at_most: int) -> Series | None:
    """At most ``at_most`` intact lines, evenly chosen; None where fewer than two have an energy."""
    try:
        raw = data(path, METRICS)
    except OSError:
        return None
    n_lines = raw.count(b"\n") + (not raw.endswith(b"\n"))
    chosen = set(np.linspace(0, n_lines - 1, min(at_most, n_lines)).astype(int).tolist()) if raw else set()
    rows = []
    for i, text in enumerate(lines(raw)):
        if i not in chosen:
            continue
        try:
            line = parse_json(text)
        except ValueError:
            continue
        if not isinstance(line, dict) or count(line.get("step")) is None or number(line.get("energy")) is None:
            continue
        values = (number(line.get(key)) for key in ("energy", "energy_error", "energy_variance"))
        rows.append([line["step"], *(np.nan if value is None else value for value in values)])
    return Series(*np.array(rows, dtype=float).T) if len(rows) > 1 else None


def running_mean(values_S: np.ndarray) -> tuple[slice, np.ndarray]:
    """The mean over a tenth of the values, ending at each; and to which of them it belongs. At least over two."""
    window = max(2, len(values_S) // 10)
    mean = np.convolve(values_S, np.full(window, 1 / window), mode="valid")
    return slice(window - 1, None), mean
