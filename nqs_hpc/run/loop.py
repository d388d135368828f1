"""The loop: turn by turn until the task is done or the run has to stop. It contains no physics.

All ranks make the same calls in the same order; what only rank 0 does (files, the terminal) contains no collective.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.config.schema import Config
from nqs_hpc.job import checkpoint, files, lifecycle, lock, log, manifest, mlflow_store, progress, tensorboard
from nqs_hpc.job.pace import pace
from nqs_hpc.parallel.world import World
from nqs_hpc.parts import Parts
from nqs_hpc.parts.reference import lowest_line
from nqs_hpc.run.record import Description
from nqs_hpc.run.reference import reference, trajectory
from nqs_hpc.types import Record, Result, RunState

SUMMARY_SECONDS = 30.0  # the greatest age of the summary of a running job


class Outcome(NamedTuple):
    """How a start ended."""

    state: RunState
    status: str  # running (only the end is left) | done | doubtful | stopped | failed
    reason: str
    last: dict[str, Any] | None  # the line of the last step, None if there was none; at the end the final numbers
    final: bool = False  # whether ``last`` holds the final result
    doubts: tuple[str, ...] = ()  # why its numbers are doubtful
    results: tuple[Result, ...] = ()  # what was measured
    turns: int = 0  # made by this start


def loop(
    config: Config,
    folder: Path,
    world: World,
    parts: Parts,
    state: RunState,
    about: Description,
    watch: lifecycle.Lifecycle,
    show: progress.Progress | None,
    start: dict[str, float],
) -> Outcome:
    """Make turns until the task is complete, a stop is requested, or the task can make no further turn."""
    root, task = world.rank == 0, parts.task
    first, began = int(state.step), state
    if task.progress(state).is_complete:
        return Outcome(state, "running", "", None)
    if (verdict := watch.check()).stop:  # requested during the start; what is not saved yet is cheap to repeat
        return Outcome(state, "stopped", verdict.reason, None)
    journal: log.Log | None = None

    def open_journal() -> None:
        nonlocal journal
        journal = log.log(folder / "metrics.jsonl")
        if config.log.tensorboard:
            journal = log.both(journal, tensorboard.board(folder))
        if config.log.mlflow:
            journal = log.both(journal, mlflow_store.store(folder))

    files.on_root(world, open_journal)
    saves = pace(config.checkpoint.every_steps, config.checkpoint.every_seconds, started=start["begun"])
    save_seconds, last_summary = 0.0, -math.inf
    line: dict[str, Any] | None = None
    outcome, turns = None, 0

    def write(record: Record, step: int) -> None:
        """Write the line of a step and what belongs to it. Rank 0 calls it."""
        nonlocal line, last_summary
        assert journal is not None and show is not None
        line = {"step": step, **record.line()}
        show.update(line, task.progress(state).done)
        for message in record.messages(line):
            show.say(message)
        journal.append(line)
        if step == first + 1:
            manifest.first_step(folder, start | {"first_step": time.monotonic()})
        if time.monotonic() - last_summary > SUMMARY_SECONDS:
            summary = about.summary(state, line, status="running", reason="")
            about.save_results(folder, state, task.results(state), summary)
            files.write_json(folder / "summary.json", summary)
            last_summary = time.monotonic()

    while outcome is None and not task.progress(state).is_complete:
        begun = time.monotonic()
        state, record = task.turn(state)
        turned, turns = time.monotonic() - begun, turns + 1
        step, trouble = int(state.step), ""
        if root and record is not None:
            try:
                write(record, step)
            except (OSError, lock.Lost) as error:
                trouble = files.why(error)
        if (
            step == first + 1 and record is not None
        ):  # it can take longer than a step; now the user has seen that the run works
            about.reference = reference(config, parts, folder, world)
            if show is not None and (where := lowest_line(about.reference)):
                show.say(where)
            short = trajectory(config, parts, folder, world, began)
            if show is not None and short:
                show.say(short)

        complete = task.progress(state).is_complete
        verdict = watch.check(turned, save_seconds, root and saves.due(step), trouble != "")
        save_seconds = 0.0
        broken = (
            verdict.stop and not verdict.save
        )  # rank 0 could not log the step: no checkpoint may be ahead of the log
        if broken:
            outcome = Outcome(state, "failed", trouble, line)
        elif why := task.failed(state):
            outcome = Outcome(state, "failed", why, line)
        elif verdict.stop and not complete:
            outcome = Outcome(state, "stopped", verdict.reason, line)
        if not broken and (verdict.save or outcome is not None or complete):
            save_begin = time.monotonic()
            flush = journal.sync if journal is not None else None
            try:
                checkpoint.save(folder, state, world, meta=about.meta(), keep=config.checkpoint.keep, flush=flush)
            except (OSError, lock.Lost) as error:  # the same on all ranks
                outcome = Outcome(state, "failed", files.why(error), line)
            else:
                if (left := watch.saved()) and show is not None:
                    show.say(left)
            save_seconds = time.monotonic() - save_begin
            saves.saved(save_seconds)
            if show is not None and (excess := saves.excess()):
                show.say(excess)

    about.saves = saves.spent()
    if journal is not None:
        journal.close()
    if show is not None and (excess := saves.excess(final=True)):
        show.say(excess)
    return (outcome or Outcome(state, "running", "", line))._replace(turns=turns)
