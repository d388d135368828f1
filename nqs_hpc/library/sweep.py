"""A sweep opened again: its points, lazily, and one table of what came out.

A folder with the manifest of a study (`job.study`), or any folder of run folders. What is not finished, or broken, is a
row that says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nqs_hpc.job import study
from nqs_hpc.library.run import Run, load_run, read_summary
from nqs_hpc.library.tables import columns, frame

if TYPE_CHECKING:
    import pandas

FILES = ("config.yaml", "manifest.json", "metrics.jsonl", "summary.json")  # any of them makes a folder that of a run
ENDED = ("done", "stopped", "failed")  # of summary.json; "running" is also what a killed run has left
# Of a final evaluation: column -> path in summary.json
RESULTS = {
    "energy": ("energy", "mean"),
    "energy_error": ("energy", "error"),
    "energy_variance": ("energy", "variance"),
    "energy_per_site": ("energy_per_site",),
    "v_score": ("v_score",),
    "reference": ("reference", "energy"),
    "relative_error": ("relative_error",),
    "r_hat": ("r_hat",),
    "tau": ("tau",),
    "acceptance": ("acceptance",),
}
FACTS = ("step", "n_sites", "n_parameters", "n_ranks", "seconds")  # of any summary
# What a start is told and no result depends on: no axis of a sweep found by comparing configurations.
APART = ("run_dir", "compile_cache", "max_seconds", "memory_gib", "checkpoint", "log", "resources")


def load_sweep(folder: str | Path) -> Sweep:
    """The sweep in ``folder``; ValueError, one line, where there is neither a manifest of one nor a run below it."""
    place = Path(folder)
    if not place.is_dir():
        raise ValueError(f"{place} is not there; valid: the folder of a sweep, or of run folders")
    known = study.read(place)
    if known is not None:
        points = [Point(place / p.name, p.swept, p.state, p.why) for p in known.points]
    else:
        places = sorted({found.parent for name in FILES for found in place.glob(f"*/{name}")})
        points = [Point(one, swept) for one, swept in zip(places, found_axes(places), strict=True)]
    if not points:
        raise ValueError(f"{place} holds no runs; valid: the folder of a sweep, or of run folders")
    return Sweep(place, points)


class Point:
    """One point of a sweep: its swept keys with their values, its state, and its run."""

    def __init__(self, folder: Path, swept: dict[str, Any], state: str = "unfinished", why: str = "") -> None:
        """``state`` and ``why``: as the launcher last knew them, where there was one."""
        self.folder, self.name, self.swept = folder, folder.name, swept
        self._launched = (state, why)

    def __repr__(self) -> str:
        return f"Point({self.name!r}, {self.state})"

    @cached_property
    def run(self) -> Run:
        """The run, opened; ValueError as `load_run`."""
        return load_run(self.folder)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of summary.json, empty where there is none yet; a broken one is ``{"status": "broken", …}``."""
        path = self.folder / "summary.json"
        try:
            if not path.exists() and self._launched[0] == "done":
                return {"status": "broken", "reason": f"{path} is not there any more"}
            return read_summary(path) if path.exists() else {}
        except (OSError, ValueError) as error:
            return {"status": "broken", "reason": str(error)}

    @property
    def state(self) -> str:
        """done, stopped or failed as the run says; broken where its summary is; else what the launcher last knew."""
        status = self.summary.get("status")
        return status if status in (*ENDED, "broken") else self._launched[0]

    @property
    def why(self) -> str:
        """What the run, or the launcher, gave as the reason of the state."""
        return str(self.summary.get("reason") or "") if self.summary.get("status") == self.state else self._launched[1]

    def row(self) -> dict[str, Any]:
        """The line of the table; results are null until a final evaluation was made."""
        final = self.summary if self.summary.get("final") is True else {}
        return (
            {"point": self.name, **self.swept, "state": self.state, "why": self.why}
            | {name: _number(self.summary, name) for name in FACTS}
            | {name: _number(final, *path) for name, path in RESULTS.items()}
        )


class Sweep:
    """What `load_sweep` returns."""

    def __init__(self, folder: Path, points: list[Point]) -> None:
        self.folder, self.points = folder, points

    def __repr__(self) -> str:
        return f"Sweep({str(self.folder)!r}, {len(self.points)} points)"

    def table(self) -> dict[str, np.ndarray]:
        """A row a point, as columns (points,): point, the swept keys, state, why, and the numbers of summary.json,
        those of an unfinished or broken point NaN. Swept values that are not numbers are text.
        """
        rows = [point.row() for point in self.points]
        swept = dict.fromkeys(key for row in self.points for key in row.swept)
        return columns(rows, first=["point", *swept, "state", "why"])

    def dataframe(self) -> pandas.DataFrame:
        """``table`` as a pandas DataFrame; ValueError where pandas is missing."""
        return frame(self.table())


def found_axes(folders: list[Path]) -> list[dict[str, Any]]:
    """For each run folder the keys of config.yaml that differ between them; {} where it cannot be read."""
    read = [_flat_config(folder / "config.yaml") for folder in folders]
    keys = dict.fromkeys(key for flat in read for key in flat)
    readable = [flat for flat in read if flat]
    axes = [key for key in keys if len({json.dumps(flat.get(key)) for flat in readable}) > 1]
    return [{key: flat[key] for key in axes if key in flat} for flat in read]


def _flat_config(path: Path) -> dict[str, Any]:
    """The keys of a config.yaml, dotted, a group by its choice; {} where it cannot be read."""
    import yaml

    try:
        plain = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError):
        return {}
    flat: dict[str, Any] = {}
    for key, value in plain.items() if isinstance(plain, dict) else ():
        if key in APART:
            continue
        below = value if isinstance(value, Mapping) else {"name": value}
        flat |= {key if name == "name" else f"{key}.{name}": inner for name, inner in below.items()}
    return flat


def _number(summary: Mapping[str, Any], *path: str) -> float | int | None:
    value: Any = summary
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
