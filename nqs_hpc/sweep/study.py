"""A launch: what is left to do of the points of a sweep, handed to this machine or to Slurm, and written down.

The same launch again starts only what is neither done nor under way: that is asked of the points' own folders and of
the queue, never of what the manifest remembers.
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
from nqs_hpc.config.admission import Leave, refusal
from nqs_hpc.config.compose import check_folder
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import InputError, bad
from nqs_hpc.job import files, slurm
from nqs_hpc.job import study as manifest
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT, STOPPED
from nqs_hpc.job.lock import alone, in_use
from nqs_hpc.job.study import Launch, Point, Study
from nqs_hpc.sweep import local, queue
from nqs_hpc.sweep.book import Book, Todo
from nqs_hpc.sweep.points import Combination, command_words, n_sites, path_word, refined, shown

LOCK = ".launch.lock"


class Order(NamedTuple):
    """What a launch is told."""

    study: str
    folder: Path  # absolute
    launcher: Any  # a choice of hydra/launcher
    command: str  # as it was typed


def launch(order: Order, combined: list[Combination]) -> tuple[Leave, list[str]]:
    """Launch what is left of ``combined``; returns the last line with the exit code, and each point's state.

    Raises InputError where the folder is not this study's or a point's folder holds another run, SlurmError where Slurm
    refuses, OSError where the folder cannot be written. Before the first of them is launched nothing has been made.
    """
    check_folder(order.folder, "study", order.study)
    if order.launcher.is_queue:
        check_place(order.folder, "hydra.sweep.dir")
    before = _before(order)
    todos = _todos(order, combined, before)
    queued = _queued(order, todos)
    standing = [_standing(todo, order.folder, queued) for todo in todos]
    if (wrong := next((left for left in standing if left.code == BAD_INPUT), None)) is not None:
        raise InputError(wrong.line)
    left = [
        todo._replace(point=todo.point._replace(state=state.state, why=state.why, job=state.job or todo.point.job))
        for todo, state in zip(todos, standing, strict=True)
    ]
    if order.launcher.dry_run:
        return _dry_run(order, left), ["waiting"] * len(left)
    batches = []
    if order.launcher.is_queue:
        batches = queue.batches(order.launcher, order.folder, left)
    else:
        local.check(order.launcher, left)
    made = files.make(order.folder)
    with alone(order.folder / LOCK, wait=False, guard=True) as mine:
        if not mine:
            line = f"{order.folder} is being launched by another process: wait for it, or stop it"
            return Leave(FAULT, line), ["waiting"] * len(left)
        others = [] if before is None else before.points
        names = {todo.point.name for todo in left}
        points = [point for point in others if point.name not in names] + [todo.point for todo in left]
        launches = [*([] if before is None else before.launches), Launch(manifest.now(), order.command)]
        book = Book(order.folder, Study(order.study, os.getcwd(), order.launcher.name, launches, points))
        try:
            book.write()
            if order.launcher.is_queue:
                queue.submit(batches, book)
            else:
                local.run(order.launcher, [todo for todo in left if todo.point.state == "waiting"], book)
        except slurm.SlurmError:
            if not any(book.point(name).job for name in names):  # nothing of it is anywhere
                _forget(order.folder, before, made)
            raise
    return _told(order, book, names), [book.point(todo.point.name).state for todo in left]


def _before(order: Order) -> Study | None:
    """The study that is in the folder already; raises InputError where the folder is somebody else's."""
    try:
        before = manifest.read(order.folder)
    except ValueError as error:
        raise InputError(f"study={order.study} is not valid: {error}; valid: a folder of its own") from None
    if before is not None and before.name != order.study:
        raise bad("study", order.study, f"{before.name}, whose sweep is in {order.folder}, or another hydra.sweep.dir")
    ours = {LOCK}
    if before is None and order.folder.exists() and {path.name for path in order.folder.iterdir()} - ours:
        raise bad("study", order.study, f"another name: {order.folder} is there and holds no sweep")
    return before


def _todos(order: Order, combined: list[Combination], before: Study | None) -> list[Todo]:
    """The points under the names they have, or will have, in this folder."""
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
                path_word("init_from", order.folder / after),
            ]
            config = dataclasses.replace(config, init_from=os.path.normpath(order.folder / after))
        point = Point(
            name=name,
            identity=one.identity,
            swept=one.swept,
            overrides=words,
            command=_again(order, config, words, order.folder / name),
            n_sites=n_sites(config),
            n_steps=config.task.total_steps,
            after=after,
            job=None if old is None else old.job,
            ticket=None if old is None else old.ticket,
        )
        todos.append(Todo(point, config, command_words(words, order.folder / name)))
    return todos


def _again(order: Order, config: Config, words: list[str], folder: Path) -> str:
    """One line of shell that makes the point run again."""
    command = ["python", "-m", "nqs_hpc"]
    if order.launcher.is_queue:
        command.append("submit")
    elif (n_ranks := local.ranks(order.launcher, config)) > 1:
        command = ["mpiexec", "-n", str(n_ranks), *command]
    return shlex.join([*command, *command_words(words, folder)])


class _Standing(NamedTuple):
    state: str
    why: str
    code: int = DONE
    line: str = ""
    job: str | None = None  # of Slurm, where it is known to live


def _queued(order: Order, todos: list[Todo]) -> dict[str, slurm.Queued]:
    """What is in the queue, on either launcher: points of this study may be; nothing where none can be."""
    if order.launcher.dry_run:
        return {}
    if order.launcher.is_queue:
        return slurm.queued()
    if any(todo.point.job or todo.point.ticket for todo in todos):
        with suppress(slurm.NoSlurm):  # a study that was carried to a machine without a queue
            return slurm.queued()
    return {}


def _standing(todo: Todo, study: Path, queued: dict[str, slurm.Queued]) -> _Standing:
    """How far a point is: waiting where it is to be launched."""
    folder = study / todo.point.name
    if (job := queue.find(todo.point, queued)) is not None:
        return _Standing("submitted", f"job {job} is {queued[job].state}", job=job)
    if owner := in_use(folder):
        return _Standing("running", f"in use by {owner}")
    # the run it begins with may have to be made first
    left = refusal(todo.config, folder, source_is_there=todo.point.after is None)
    if left is None:
        return _Standing("waiting", "")
    state = {DONE: "done", STOPPED: "stopped"}.get(left.code, "failed")
    return _Standing(state, "" if state == "done" else left.line, left.code, f"{shown(todo.point.swept)}: {left.line}")


def _dry_run(order: Order, todos: list[Todo]) -> Leave:
    waiting = [todo for todo in todos if todo.point.state == "waiting"]
    if order.launcher.is_queue:
        scripts = [batch.script for batch in queue.batches(order.launcher, order.folder, todos, bounded=False)]
        return Leave(DONE, "\n".join(scripts).rstrip("\n"))
    lines = [f"{len(todos)} points, {len(waiting)} to run", *(todo.point.command for todo in waiting)]
    return Leave(DONE, "\n".join(lines))


def _forget(folder: Path, before: Study | None, made: list[Path]) -> None:
    """Take back what a launch that came to nothing has made."""
    if before is not None:
        manifest.write(folder, before)
        return
    for name in (manifest.MANIFEST, LOCK):
        files.remove(folder / name)  # the lock last: what it guards is gone then
    if (logs := folder / queue.LOGS).is_dir():
        logs.rmdir()
    files.unmake(made)


def _told(order: Order, book: Book, names: set[str]) -> Leave:
    """The last line, and the exit code."""
    points = [point for point in book.study.points if point.name in names]
    counts = Counter(point.state for point in points)
    what = ", ".join(f"{counts[state]} {state}" for state in manifest.STATES if counts[state])
    line = f"study {order.study}: {len(points)} points: {what}; {order.folder}"
    if order.launcher.is_queue:
        return Leave(DONE, line)
    if counts["failed"]:
        return Leave(FAULT, line)
    return Leave(DONE if counts["done"] == len(points) else STOPPED, line)
