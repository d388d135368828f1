"""A launch: runs the unfinished points of a sweep on this machine or by Slurm, and records them.

Repeating a launch starts only points that are neither done nor running. That is read from the points' own folders and
from the queue, never from the manifest.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.cluster.batch import check_place
from nqs_hpc.config.admission import Answer, refusal
from nqs_hpc.config.compose import check_folder
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import InputError, bad
from nqs_hpc.job import files, slurm
from nqs_hpc.job import study as manifest
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT, STOPPED
from nqs_hpc.job.lock import alone, in_use
from nqs_hpc.job.study import Launch, Point, Study
from nqs_hpc.sweep import local, queue
from nqs_hpc.sweep.points import Combination, command_words, n_sites, path_word, refined, shown
from nqs_hpc.sweep.study_file import StudyFile, Todo

LOCK = ".launch.lock"


class LaunchRequest(NamedTuple):
    """What to launch, where and how."""

    study: str
    folder: Path  # absolute
    launcher: Any  # a choice of hydra/launcher
    command: str  # as it was typed


def launch(request: LaunchRequest, combined: list[Combination]) -> tuple[Answer, list[str]]:
    """Launch the unfinished points of ``combined``; returns the last line with the exit code, and each point's state.

    Raises InputError if the folder does not belong to this study or a point's folder holds another run, SlurmError if
    Slurm refuses, OSError if the folder cannot be written. Nothing is made before the first point is launched.
    """
    check_folder(request.folder, "study", request.study)
    if request.launcher.is_queue:
        check_place(request.folder, "hydra.sweep.dir")
    before = _before(request)
    todos = _todos(request, combined, before)
    queued = _queued(request, todos)
    states = [_state_of(todo, request.folder, queued) for todo in todos]
    if (wrong := next((left for left in states if left.code == BAD_INPUT), None)) is not None:
        raise InputError(wrong.line)
    left = [
        todo._replace(point=todo.point._replace(state=state.state, why=state.why, job=state.job or todo.point.job))
        for todo, state in zip(todos, states, strict=True)
    ]
    if request.launcher.dry_run:
        return _dry_run(request, left), ["waiting"] * len(left)
    submissions = []
    if request.launcher.is_queue:
        submissions = queue.submissions(request.launcher, request.folder, left)
    else:
        local.check(request.launcher, left)
    made = files.make(request.folder)
    with alone(request.folder / LOCK, wait=False, guard=True) as mine:
        if not mine:
            line = f"{request.folder} is being launched by another process: wait for it, or stop it"
            return Answer(FAULT, line), ["waiting"] * len(left)
        others = [] if before is None else before.points
        names = {todo.point.name for todo in left}
        points = [point for point in others if point.name not in names] + [todo.point for todo in left]
        launches = [*([] if before is None else before.launches), Launch(manifest.now(), request.command)]
        study_file = StudyFile(
            request.folder, Study(request.study, os.getcwd(), request.launcher.name, launches, points)
        )
        try:
            study_file.write()
            if request.launcher.is_queue:
                queue.submit(submissions, study_file)
            else:
                local.run(request.launcher, [todo for todo in left if todo.point.state == "waiting"], study_file)
        except slurm.SlurmError:
            if not any(study_file.point(name).job for name in names):  # no trace of it is left
                _forget(request.folder, before, made)
            raise
    return _last_line(request, study_file, names), [study_file.point(todo.point.name).state for todo in left]


def _before(request: LaunchRequest) -> Study | None:
    """The study in the folder, if there is one; raises InputError if the folder holds something else."""
    try:
        before = manifest.read(request.folder)
    except ValueError as error:
        raise InputError(f"study={request.study} is not valid: {error}; valid: a folder of its own") from None
    if before is not None and before.name != request.study:
        raise bad(
            "study", request.study, f"{before.name}, whose sweep is in {request.folder}, or another hydra.sweep.dir"
        )
    ours = {LOCK}
    if before is None and request.folder.exists() and {path.name for path in request.folder.iterdir()} - ours:
        raise bad("study", request.study, f"another name: {request.folder} exists and holds no sweep")
    return before


def _todos(request: LaunchRequest, combined: list[Combination], before: Study | None) -> list[Todo]:
    """The points with their present or future names in this folder."""
    known = {} if before is None else {point.identity: point for point in before.points}
    todos: list[Todo] = []
    for one in refined(combined, () if before is None else before.points):
        old = known.get(one.identity)
        name = one.name if old is None else old.name
        config, words, after = one.config, one.words, None
        if one.after is not None:
            source = todos[one.after].point
            after = source.name
            words = [
                *(word for word in words if not word.startswith("init_from=")),
                path_word("init_from", request.folder / after),
            ]
            config = dataclasses.replace(config, init_from=os.path.normpath(request.folder / after))
        point = Point(
            name=name,
            identity=one.identity,
            swept=one.swept,
            overrides=words,
            command=_again(request, config, words, request.folder / name),
            n_sites=n_sites(config),
            n_steps=config.task.total_steps,
            after=after,
            job=None if old is None else old.job,
            ticket=None if old is None else old.ticket,
        )
        todos.append(Todo(point, config, command_words(words, request.folder / name)))
    return todos


def _again(request: LaunchRequest, config: Config, words: list[str], folder: Path) -> str:
    """The shell command that runs the point again."""
    command = ["python", "-m", "nqs_hpc"]
    if request.launcher.is_queue:
        command.append("submit")
    elif (n_ranks := local.ranks(request.launcher, config)) > 1:
        command = ["mpiexec", "-n", str(n_ranks), *command]
    return shlex.join([*command, *command_words(words, folder)])


class _PointState(NamedTuple):
    state: str
    why: str
    code: int = DONE
    line: str = ""
    job: str | None = None  # of Slurm, if it is known to be alive


def _queued(request: LaunchRequest, todos: list[Todo]) -> dict[str, slurm.Queued]:
    """The jobs in the queue, for either launcher, because points of this study may be there; empty if none can be."""
    if request.launcher.dry_run:
        return {}
    if request.launcher.is_queue:
        return slurm.queued()
    if any(todo.point.job or todo.point.ticket for todo in todos):
        with suppress(slurm.NoSlurm):  # a study moved to a machine without a queue
            return slurm.queued()
    return {}


def _state_of(todo: Todo, study: Path, queued: dict[str, slurm.Queued]) -> _PointState:
    """The state of a point: waiting if it has to be launched."""
    folder = study / todo.point.name
    if (job := queue.find(todo.point, queued)) is not None:
        return _PointState("submitted", f"job {job} is {queued[job].state}", job=job)
    if owner := in_use(folder):
        return _PointState("running", f"in use by {owner}")
    # the run whose parameters it begins with may have to run first
    left = refusal(todo.config, folder, source_is_there=todo.point.after is None)
    if left is None:
        return _PointState("waiting", "")
    state = {DONE: "done", STOPPED: "stopped"}.get(left.code, "failed")
    return _PointState(
        state, "" if state == "done" else left.line, left.code, f"{shown(todo.point.swept)}: {left.line}"
    )


def _dry_run(request: LaunchRequest, todos: list[Todo]) -> Answer:
    waiting = [todo for todo in todos if todo.point.state == "waiting"]
    if request.launcher.is_queue:
        scripts = [one.script for one in queue.submissions(request.launcher, request.folder, todos, bounded=False)]
        return Answer(DONE, "\n".join(scripts).rstrip("\n"))
    lines = [f"{len(todos)} points, {len(waiting)} to run", *(todo.point.command for todo in waiting)]
    return Answer(DONE, "\n".join(lines))


def _forget(folder: Path, before: Study | None, made: list[Path]) -> None:
    """Remove what a launch made if it started nothing."""
    if before is not None:
        manifest.write(folder, before)
        return
    for name in (manifest.MANIFEST, LOCK):
        files.remove(folder / name)  # the lock last: then nothing is left to guard
    if (logs := folder / queue.LOGS).is_dir():
        logs.rmdir()
    files.unmake(made)


def _last_line(request: LaunchRequest, study_file: StudyFile, names: set[str]) -> Answer:
    """The last line, and the exit code."""
    points = [point for point in study_file.study.points if point.name in names]
    counts = Counter(point.state for point in points)
    what = ", ".join(f"{counts[state]} {state}" for state in manifest.STATES if counts[state])
    line = f"study {request.study}: {len(points)} points: {what}; {request.folder}"
    if request.launcher.is_queue:
        return Answer(DONE, line)
    if counts["failed"]:
        return Answer(FAULT, line)
    return Answer(DONE if counts["done"] == len(points) else STOPPED, line)
