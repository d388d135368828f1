"""Reads the files in the folder of a point without interpretation. Any of them may be missing, truncated or invalid."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.inputs import reading
from nqs_hpc.job import log
from nqs_hpc.job.lifecycle import finished, stop_requested
from nqs_hpc.report.places import Place
from nqs_hpc.report.values import clean, count, items, number, section, text


class Owner(NamedTuple):
    """The process that holds the lock of the folder, or held it until it was killed."""

    host: str
    pid: int
    job: str | None  # of Slurm


class Traces(NamedTuple):
    """Missing or unreadable files are represented by empty mappings and lists."""

    place: Place
    begun: bool  # whether there are files of a run
    summary: dict[str, Any]
    manifest: dict[str, Any]
    starts: list[dict[str, Any]]
    config: dict[str, Any]
    steps: list[dict[str, Any]]  # the newest lines of metrics.jsonl, oldest first
    written: float | None  # Unix time of the newest of them, by the clock of the file server
    started: float | None  # Unix time at which the manifest was last written: at a start, its first step, its end
    done: int | None
    n_final: int | None  # samples of the final evaluation according to DONE, if given
    stop: bool
    owner: Owner | None
    job: str | None  # the Slurm job that runs, or ran, this point
    log: Path | None  # what it printed
    troubles: list[str]  # lines about files that cannot be read
    # for a run of several couplings (`by_coupling`): the number of this coupling, and its values
    number: int | None = None
    couplings: dict[str, float | list[float]] | None = None


def traces(place: Place) -> Traces:
    """Read the folder of ``place``; does not raise, whatever it contains."""
    folder, troubles = place.folder, []
    if folder.exists() and not folder.is_dir():
        troubles.append(f"{clean(folder.name)} is a file, not a run folder")

    def guarded(name: str, read: Any, missing: Any) -> Any:
        try:
            return read(folder / name)
        except (FileNotFoundError, NotADirectoryError):
            return missing
        except (OSError, ValueError) as error:
            troubles.append(f"{name} cannot be read: {_reason(error)}")
            return missing

    manifest = guarded("manifest.json", _json, {})
    starts = items(manifest, "starts")
    owner = guarded(".lock", _owner, None)
    point = place.point
    job = clean(str(point.job)) if point is not None and point.job is not None else None
    if job is None and starts and guarded("job.sbatch", Path.exists, False):
        job = text(starts[-1].get("slurm_job"))
    ended = guarded("DONE", lambda path: finished(path.parent), None)
    found = {
        "summary": guarded("summary.json", _json, {}),
        "config": guarded("config.yaml", _yaml, {}),
        "steps": guarded("metrics.jsonl", log.newest, []),
        "written": guarded("metrics.jsonl", _modified, None),
        "started": guarded("manifest.json", _modified, None),
        "done": ended and ended.step,
        "n_final": ended and ended.n_samples,
        "stop": guarded("STOP", lambda path: stop_requested(path.parent), False),
    }
    begun = bool(manifest or found["summary"] or found["steps"] or found["done"] is not None)
    return Traces(
        place=place,
        begun=begun,
        manifest=manifest,
        starts=starts,
        owner=owner,
        job=job,
        log=guarded("", lambda _: _log(place, job), None),
        troubles=troubles,
        **found,
    )


def in_batch(found: Traces) -> bool:
    """Whether this point was submitted to Slurm."""
    return found.job is not None or (found.place.folder / "job.sbatch").exists()


def n_steps(found: Traces) -> int | None:
    """The number of steps that the point has to make."""
    asked = count(found.place.point.n_steps) if found.place.point is not None else None
    return asked if asked is not None else count(section(found.config, "task").get("n_steps"))


def step(found: Traces) -> int | None:
    """The step it has reached, from the newest line, else from DONE, else from the summary."""
    newest = found.steps[-1]["step"] if found.steps else None
    for known in (newest, found.done, count(found.summary.get("step"))):
        if known is not None:
            return known
    return 0 if found.begun else None


def step_seconds(found: Traces) -> float | None:
    """The time per step, as the median of the newest ones."""
    known = sorted(value for line in found.steps if (value := number(line.get("seconds"))) is not None)
    return known[len(known) // 2] if known else None


def _json(path: Path) -> dict[str, Any]:
    found = reading.parse_json(reading.data(path, reading.SETTINGS))
    if not isinstance(found, dict):
        raise ValueError("it holds no object")
    return found


def _yaml(path: Path) -> dict[str, Any]:
    found = reading.parse_yaml(reading.data(path, reading.SETTINGS))
    if not isinstance(found, dict):
        raise ValueError("it holds no mapping")
    return found


def _owner(path: Path) -> Owner | None:
    raw = reading.data(path, reading.SMALL)
    with suppress(ValueError, KeyError, TypeError, OverflowError):  # empty after a normal end, incomplete after a kill
        data = reading.parse_json(raw)
        job = None if data["job"] is None else clean(str(data["job"]))
        return Owner(clean(str(data["host"])), int(data["pid"]), job)
    return None


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def _log(place: Place, job: str | None) -> Path | None:
    """The newest of the files that may contain the output of the point."""
    candidates = [place.folder / "output.log", *place.folder.glob("slurm-*.log")]
    if place.sweep is not None and job is not None and re.fullmatch(r"\w+", job):
        candidates.append(place.sweep / "logs" / f"{job}.log")
    there = [path for path in candidates if path.is_file()]
    return max(there, key=_modified) if there else None


def _reason(error: Exception) -> str:
    return clean((error.strerror or str(error)) if isinstance(error, OSError) else str(error))
