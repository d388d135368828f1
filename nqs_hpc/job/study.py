"""manifest.json of a sweep: its points, their folders, and what the launcher last did with them.

A study is a named sweep: `study=NAME` has the folder sweeps/NAME, and each point a run folder in it. Only the launcher
writes this file. The progress of a point is read from its own folder, so a launcher may be killed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.inputs.reading import is_name, printable, unfit
from nqs_hpc.job.files import read_json, write_json

MANIFEST = "manifest.json"
STATES = (
    "waiting",  # not started yet: others are before it (local launcher), or the launch was interrupted
    "submitted",  # Slurm has it, as ``job``
    "running",  # of the local launcher
    "done",
    "stopped",  # with a checkpoint; the same launch continues it
    "failed",  # ``why`` says how
)


class Point(NamedTuple):
    """One combination of a sweep."""

    name: str  # of its run folder, below the study's
    identity: str  # a hash of its physics and of what else is swept, unique to this point
    swept: dict[str, Any]  # the keys that differ from point to point, and its values
    overrides: list[str]  # its command line without run_dir
    command: str  # the shell command that runs it again, from the study's ``cwd``
    n_sites: int
    n_steps: int | None
    after: str | None = None  # the point whose parameters it begins with (chain=KEY)
    job: str | None = None  # of Slurm: NUMBER, or NUMBER_ELEMENT of an array
    ticket: str | None = None  # the name of the job, and _ELEMENT: written before the submission
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


def read(folder: Path, *, strict: bool = True) -> Study | None:
    """The study in ``folder``, None if there is none; ValueError, one line, if its manifest is broken.

    It is broken if a field has a value that `write` would not write. Without ``strict``, for readers that only display
    it, only invalid names count: as paths they would lead out of the folder.
    """
    path = folder / MANIFEST
    try:
        data = read_json(path)
    except FileNotFoundError:
        return None
    if not isinstance(data, dict) or "study" not in data:  # the manifest of a run has the same file name
        return None
    try:
        points = [Point(**point) for point in data["points"]]
        launches = [Launch(**launch) for launch in data["launches"]]
        study = Study(data["study"], data["cwd"], data["launcher"], launches, points)
        for number, point in enumerate(points):
            _check(point, _POINT if strict else {"name": _is_folder_name}, f"point {number}")
        if strict:
            _check(study, _STUDY, "the sweep")
            for launch in launches:
                _check(launch, _LAUNCH, "a launch")
            if len({point.name for point in points}) < len(points):
                raise ValueError("two points have one name")
        return study
    except (KeyError, TypeError, ValueError) as error:
        raise unfit(path, f"is not the manifest of a sweep: {error}") from None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_folder_name(value: Any) -> bool:
    return is_name(value) and not value.startswith(".")  # hidden names are ours: .lock and the like


def _is_job(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}(_[0-9]{1,20})?", value) is not None


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


# What each field has to be. Names become folders, jobs words of Slurm's commands.
_POINT: dict[str, Callable[[Any], bool]] = {
    "name": _is_folder_name,
    "identity": _is_text,
    "swept": lambda value: isinstance(value, dict),
    "overrides": _is_list_of_texts,
    "command": _is_text,
    "n_sites": _is_count,
    "n_steps": _or_none(_is_count),
    "after": _or_none(_is_folder_name),
    "job": _or_none(_is_job),
    "ticket": _or_none(_is_text),
    "state": lambda value: value in STATES,
    "why": _is_text,
}
_LAUNCH = {"time": _is_text, "command": _is_text}
_STUDY: dict[str, Callable[[Any], bool]] = {"name": _is_folder_name, "cwd": _is_text, "launcher": _is_text}


def _check(of: NamedTuple, checks: Mapping[str, Callable[[Any], bool]], what: str) -> None:
    """Raise ValueError for the first field of ``of`` with an invalid value."""
    for field, check in checks.items():
        value = getattr(of, field)
        if not check(value):
            raise ValueError(f"{what} has {field} {printable(repr(value), 60)}")


def write(folder: Path, study: Study) -> None:
    """Write ``study`` into ``folder``, atomically; raises OSError."""
    points = [point._asdict() for point in study.points]
    launches = [launch._asdict() for launch in study.launches]
    head = {"study": study.name, "cwd": study.cwd, "launcher": study.launcher}
    write_json(folder / MANIFEST, head | {"launches": launches, "points": points})


def now() -> str:
    """The time as manifests have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
