"""Submits points to Slurm: one array for all with the same resources, dependent jobs for a chain."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.choices.hydra.launcher.slurm import Slurm
from nqs_hpc.cluster.batch import ARRAY_LOGS, Entry, array_script, job_name, job_script
from nqs_hpc.cluster.site import load_site
from nqs_hpc.config.sections import Resources
from nqs_hpc.job import files, slurm
from nqs_hpc.job.study import Point
from nqs_hpc.sweep.study_file import StudyFile, Todo

LOGS = ARRAY_LOGS  # in the study's folder: output of the elements of arrays, and the scripts


class Submission(NamedTuple):
    """One call of sbatch."""

    script: str
    todos: list[Todo]  # one for each element, or one
    name: str  # of the job, unique
    is_array: bool


def submissions(launcher: Slurm, study: Path, todos: list[Todo], *, bounded: bool = True) -> list[Submission]:
    """The scripts for those of ``todos`` that wait. ``bounded``: by Slurm's largest size of an array.

    Raises InputError for an invalid site file or template, SlurmError if Slurm does not answer.
    """
    waiting = [todo for todo in todos if todo.point.state == "waiting"]
    in_chains = {todo.point.after for todo in todos} | {todo.point.name for todo in todos if todo.point.after}
    alike: dict[Resources, list[Todo]] = {}
    found: list[Submission] = []
    for todo in waiting:
        if todo.point.name in in_chains:
            found.append(_single(todo, study))
        else:
            alike.setdefault(todo.config.resources, []).append(todo)
    most = slurm.max_array_size() if bounded and any(len(group) > 1 for group in alike.values()) else len(waiting)
    for wanted, group in alike.items():
        for part in (group[first : first + most] for first in range(0, len(group), max(most, 1))):
            if len(part) == 1:
                found.append(_single(part[0], study))
                continue
            entries = [_entry(todo, study) for todo in part]
            site, name = load_site(wanted.site), f"{study.name}-{secrets.token_hex(4)}"
            script = array_script(wanted, site, entries, name=name, parallelism=launcher.array_parallelism)
            found.append(Submission(script, part, name, True))
    return found


def _entry(todo: Todo, study: Path) -> Entry:
    return Entry(study / todo.point.name, todo.words)


def _single(todo: Todo, study: Path) -> Submission:
    wanted = todo.config.resources
    entry = _entry(todo, study)
    return Submission(job_script(wanted, load_site(wanted.site), entry), [todo], job_name(entry.folder), False)


def submit(found: list[Submission], study_file: StudyFile) -> None:
    """Submit to Slurm in order, and record each submission that is accepted. Raises SlurmError if one is refused.

    The name of a job is recorded before: after a launch that was killed in between, the next one finds the job in the
    queue.
    """
    for submission in found:
        with _undisturbed():
            points = [todo.point.name for todo in submission.todos]
            tickets = (
                [f"{submission.name}_{i}" for i in range(len(points))] if submission.is_array else [submission.name]
            )
            pairs = zip(points, tickets, strict=True)
            study_file.note_all({point: {"job": None, "ticket": ticket} for point, ticket in pairs})
            jobs = (
                _submit_array(submission, study_file) if submission.is_array else [_submit_one(submission, study_file)]
            )
            pairs = zip(points, jobs, strict=True)
            study_file.note_all({point: {"state": "submitted", "job": job, "why": ""} for point, job in pairs})


def _submit_array(submission: Submission, study_file: StudyFile) -> list[str]:
    files.subfolder(study_file.folder / LOGS)
    job = slurm.submit(submission.script, study_file.folder)
    files.write(study_file.folder / LOGS / f"{job}.sbatch", submission.script)
    print(f"submitted array {job}: {len(submission.todos)} points", flush=True)
    return [f"{job}_{element}" for element in range(len(submission.todos))]


def _submit_one(submission: Submission, study_file: StudyFile) -> str:
    (todo,) = submission.todos
    folder = study_file.folder / todo.point.name
    made = files.make(folder)
    options = []
    if todo.point.after is not None:
        before = study_file.point(todo.point.after)
        if before.state != "done":
            # it begins with the result of the other job; if that fails, Slurm removes it from the queue
            options = [f"--dependency=afterok:{before.job}", "--kill-on-invalid-dep=yes"]
    try:
        job = slurm.submit(submission.script, folder, *options)
    except slurm.SlurmError:
        files.unmake(made)
        raise
    files.write(folder / "job.sbatch", submission.script)
    print(f"submitted job {job}: {todo.point.name}", flush=True)
    return job


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Delay a Ctrl-C or a TERM until the block ends: between sbatch and its record the job would be unknown."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def find(point: Point, queued: dict[str, slurm.Queued]) -> str | None:
    """The living job of a point, None if there is none: the recorded one, else the one with the name of its ticket."""
    if point.job in queued:
        return point.job
    if point.ticket is None:
        return None
    for job, one in queued.items():
        _, is_element, element = job.partition("_")
        if point.ticket == (f"{one.name}_{element}" if is_element else one.name):
            return job
    return None
