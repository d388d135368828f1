"""An opened sweep: its points, and a table of the results.

A folder with the manifest of a study (`job.study`), or any folder of run folders. The state of a point, and its reason,
are those of `python -m nqs_hpc status` (`report.rows`); an unfinished or broken point has a row that says so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nqs_hpc.job.quantities import TASK
from nqs_hpc.library.run import Run, load_run, read_summary
from nqs_hpc.library.tables import columns, frame
from nqs_hpc.report.measured import OF_ENERGY
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.rows import ReadPoint, Row, flat, read_rows
from nqs_hpc.report.values import clean

if TYPE_CHECKING:
    import pandas

# Columns of the table besides name, swept keys, state and why; fields of report.rows.Row.
FACTS = ("step", "n_sites", "n_parameters", "n_ranks", "seconds")
# Of an energy.
RESULTS = (
    *("energy", "energy_error", "energy_variance", "energy_per_site", "v_score", "reference", "relative_error"),
    *("r_hat", "tau", "acceptance"),
)
# Settings of a start that do not change results: not an axis of a sweep that is found by comparing configurations.
APART = ("run_dir", "compile_cache", "max_seconds", "memory_gib", "checkpoint", "log", "resources")


def load_sweep(folder: str | Path) -> Sweep:
    """The sweep in ``folder`` as it is now; ValueError, one line, if there is neither a manifest of a sweep nor a run
    in it. Asks Slurm once if an unfinished point has a Slurm job.

    A run of several couplings gives a point for each coupling; by itself it is also a sweep.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ValueError(f"{place} is not a folder; valid: the folder of a sweep, or of run folders")
    of = find_runs(str(place))
    found = read_rows(of, time.time(), each_coupling=True)
    if [one.traces.place.folder for one in found] == [place]:
        raise ValueError(f"{place} is itself a run; valid: load_run, or the folder of a sweep or of run folders")
    axes = [_swept(one) for one in found] if of.study is not None else found_axes(found)
    points = [
        Point(one.traces.place.folder, swept, one.row, one.traces.couplings)
        for one, swept in zip(found, axes, strict=True)
    ]
    return Sweep(place, points)


class Point:
    """One point of a sweep: its swept keys with their values, its state and why, and its run."""

    def __init__(
        self, folder: Path, swept: dict[str, Any], row: Row, coupling: Mapping[str, Any] | None = None
    ) -> None:
        """``row``: the content of the point's files when the sweep was opened; ``coupling``: the number of the coupling
        in a run of several.
        """
        self.folder, self.swept = folder, swept
        self.name, self.state, self.why = row.name, row.state, row.why
        self._row, self._coupling = row, coupling

    def __repr__(self) -> str:
        return f"Point({self.name!r}, {self.state})"

    @cached_property
    def run(self) -> Run:
        """The opened run; ValueError as in `load_run`."""
        return load_run(self.folder, coupling=self._coupling)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of summary.json, empty if there is none yet; ValueError, one line, if it is broken."""
        path = self.folder / "summary.json"
        return read_summary(path) if path.exists() else {}

    def row(self) -> dict[str, Any]:
        """The row of the table; results are null until the final evaluation, or, for other tasks than ground states,
        until the run is done.
        """
        row = self._row
        fields, with_results = flat(row), row.final or (row.task != TASK and row.state == "done")
        known = RESULTS if "energy" in row.values else ()
        results = dict.fromkeys([*known, *(key for key in row.values if key not in (*OF_ENERGY, *Row._fields))])
        return (
            {"point": self.name, **self.swept, "state": self.state, "why": self.why}
            | {name: fields[name] for name in FACTS}
            | {name: row.get(name) if with_results else None for name in results}
        )


class Sweep:
    """The result of `load_sweep`."""

    def __init__(self, folder: Path, points: list[Point]) -> None:
        self.folder, self.points = folder, points

    def __repr__(self) -> str:
        return f"Sweep({str(self.folder)!r}, {len(self.points)} points)"

    def table(self) -> dict[str, np.ndarray]:
        """One row per point, as columns (points,): point, the swept keys, state, why, and the numbers of summary.json,
        NaN for an unfinished or broken point. Swept values that are not numbers are text.
        """
        rows = [point.row() for point in self.points]
        swept = dict.fromkeys(key for row in self.points for key in row.swept)
        return columns(rows, first=["point", *swept, "state", "why"])

    def dataframe(self) -> pandas.DataFrame:
        """``table`` as a pandas DataFrame; ValueError if pandas is missing."""
        return frame(self.table())


def found_axes(found: list[ReadPoint]) -> list[dict[str, Any]]:
    """For each run the keys of config.yaml that differ between runs; {} if it cannot be read."""
    read = [_flat(one.traces.config) for one in found]
    keys = dict.fromkeys(key for flat in read for key in flat)
    readable = [flat for flat in read if flat]
    axes = [key for key in keys if len({json.dumps(flat.get(key)) for flat in readable}) > 1]
    return [{clean(key): _clean(flat[key]) for key in axes if key in flat} for flat in read]


def _swept(one: ReadPoint) -> dict[str, Any]:
    """The swept keys of the point, with the values of its launch in their own types."""
    point = one.traces.place.point
    own = point.swept if point is not None and isinstance(point.swept, dict) else {}
    values = one.row.swept | {clean(key): _clean(value) for key, value in own.items()}
    return {key: value for key, value in values.items() if value is not None}


def _clean(value: Any) -> Any:
    """A value with printable text."""
    if isinstance(value, list):
        return [_clean(below) for below in value]
    if isinstance(value, Mapping):
        return {clean(str(key)): _clean(below) for key, below in value.items()}
    return clean(value) if isinstance(value, str) else value


def _flat(config: Mapping[Any, Any]) -> dict[str, Any]:
    """The dotted keys of a config.yaml; a group has the value of its choice."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if key in APART:
            continue
        below = value if isinstance(value, Mapping) else {"name": value}
        flat |= {str(key) if name == "name" else f"{key}.{name}": inner for name, inner in below.items()}
    return flat
