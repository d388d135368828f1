"""The curve of a run, from metrics.jsonl: as many steps as a plot can show, and a running average."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nqs_hpc.job import log
from nqs_hpc.report.by_coupling import line_of
from nqs_hpc.report.values import number


class Series(NamedTuple):
    """Steps with a value; NaN if a line has no error, or no variance."""

    step: np.ndarray
    value: np.ndarray
    error: np.ndarray
    variance: np.ndarray


def series(
    path: Path,
    at_most: int | None = None,
    key: str = "energy",
    error: str | None = "energy_error",
    *,
    least: int = 2,
    coupling: int | None = None,
) -> Series | None:
    """The values of ``key`` in at most ``at_most`` intact lines, evenly chosen; None if fewer than ``least`` lines have
    one.

    The variance is ``key``_variance. ``coupling``: the number of the coupling in a run of several.
    """
    try:
        lines = log.read(path, at_most)
    except OSError:
        return None
    rows = []
    for line in lines if coupling is None else (line_of(line, coupling) for line in lines):
        if number(line.get(key)) is not None:
            others = (number(line.get(name)) if name else None for name in (key, error, f"{key}_variance"))
            rows.append([line["step"], *(np.nan if value is None else value for value in others)])
    return Series(*np.array(rows, dtype=float).T) if len(rows) >= least else None


def running_mean(values_S: np.ndarray) -> tuple[slice, np.ndarray]:
    """The mean over the last tenth of the values, at least two, ending at each; and the indices of these values."""
    window = max(2, len(values_S) // 10)
    mean = np.convolve(values_S, np.full(window, 1 / window), mode="valid")
    return slice(window - 1, None), mean
