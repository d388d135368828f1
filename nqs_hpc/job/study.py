"""manifest.json of a sweep's folder: its points, where each lives, and what its launcher last did with it.

A study is a sweep by name: `study=NAME` has the folder sweeps/NAME, and a point a run folder below it. The launcher
alone writes this file; how far a point has come says its own folder, so that a launcher that was killed is missed by
nobody.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.job.files import read_json, write_json

MANIFEST = "manifest.json"
STATES = (
    "waiting",  # not started yet: others are before it (local launcher), or the launch was broken off
    "submitted",  # Slurm has it, as ``job``
    "running",  # of the local launcher
    "done",
    "stopped",  # with a checkpoint; the same launch goes on
    "failed",  # ``why`` says how
)


class Point(NamedTuple):
    """One combination of a sweep."""

    name: str  # of its run folder, below the study's
    identity: str  # what makes it this point and no other: a hash of its physics and of what else is swept
    swept: dict[str, Any]  # the keys that differ from point to point, and its values
    overrides: list[str]  # all of its command line but run_dir
    command: str  # one line of shell that makes it run again, from the study's ``cwd``
    n_sites: int
    n_steps: int
    after: str | None = None  # the point whose parameters it begins with (chain=KEY)
    job: str | None = None  # of Slurm: NUMBER, or NUMBER_ELEMENT of an array
    ticket: str | None = None  # what the job is called, and _ELEMENT: written before Slurm is asked to take it
    state: str = "waiting"  # as the launcher last knew it: one of STATES
    why: str = ""


class Launch(NamedTuple):
    """One use of the command."""

    time: str
    command: str


class Study(NamedTuple):
    """A sweep."""

    name: str
    cwd: str  # where it was launched, absolute
    launcher: str  # local | slurm, of the latest launch
    launches: list[Launch]
    points: list[Point]


def read(folder: Path) -> Study | None:
    """The study in ``folder``, None where there is none; ValueError in one line where its manifest is broken."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    data = read_json(path)
    if not isinstance(data, dict) or "study" not in data:  # a run's own manifest has the same name
        return None
    try:
        points = [Point(**point) for point in data["points"]]
        launches = [Launch(**launch) for launch in data["launches"]]
        return Study(data["study"], data["cwd"], data["launcher"], launches, points)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not the manifest of a sweep: {error}") from None


def write(folder: Path, study: Study) -> None:
    """Put ``study`` into ``folder``, atomically; raises OSError."""
    points = [point._asdict() for point in study.points]
    launches = [launch._asdict() for launch in study.launches]
    head = {"study": study.name, "cwd": study.cwd, "launcher": study.launcher}
    write_json(folder / MANIFEST, head | {"launches": launches, "points": points})


def now() -> str:
    """The time as manifests have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
