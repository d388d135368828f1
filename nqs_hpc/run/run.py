"""A run from its first step to its summary: steps, log, checkpoints; `final` evaluates what they came to.

All ranks go through the same calls in the same order; what only rank 0 does (files, the terminal) contains no
collective.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nqs_hpc.config.compose import physics
from nqs_hpc.job import checkpoint, files, lifecycle, lock, log, manifest, progress, slurm, tensorboard
from nqs_hpc.job.pace import pace
from nqs_hpc.parallel.compile_cache import Share
from nqs_hpc.parallel.launch import Placement
from nqs_hpc.parallel.world import World
from nqs_hpc.parts import Parts
from nqs_hpc.parts.reference import lowest_line, short_line
from nqs_hpc.report.plots import energy_png
from nqs_hpc.resolve.bonds import words_of_bonds
from nqs_hpc.run.final import FROZEN_ADVICE, Outcome, evaluated, finish, kept_final
from nqs_hpc.run.record import Book, config_text, metrics, why_rejected
from nqs_hpc.run.reference import kept_reference, reference
from nqs_hpc.run.resume import begin, changes_since
from nqs_hpc.schema import Config
from nqs_hpc.stats.trust import is_frozen
from nqs_hpc.types import RunState

SUMMARY_SECONDS = 30.0  # how stale the summary of a running job may be
CODES = {
    "done": lifecycle.DONE,
    "doubtful": lifecycle.DONE,  # all steps are made: another start would find the same
    "stopped": lifecycle.STOPPED,
    "failed": lifecycle.FAULT,
}


def run(
    config: Config,
    folder: Path,
    world: World,
    placement: Placement,
    share: Share | None,
    signals: lifecycle.Signals,
    start: dict[str, float],
) -> int:
    """Run, or go on with, the job of ``config`` in ``folder`` to its end; returns the exit code, equal on all ranks.

    ``share``: this rank's part in compiling. ``start``: the moments (``time.monotonic()``) of this start so far: begun,
    checked, imported. Raises what `resume.begin` raises, on every rank; OSError and lock.Lost, on every rank, where the
    run folder cannot be written.
    """
    root = world.rank == 0
    files.on_root(world, lambda: files.clean_all(folder))
    beginning = begin(config, folder, world, placement, share)
    parts, state = beginning.parts, beginning.state
    first = int(state.step)
    start["built"] = time.monotonic()
    book = Book(
        config,
        world,
        placement,
        parts,
        versions=manifest.versions(),
        started=start["begun"],
        seconds_before=beginning.seconds_before,
    )
    if config.init_from is not None and beginning.is_new:
        # from here on the run no longer depends on the other's folder
        checkpoint.save(folder, state, world, meta=book.meta(), keep=config.checkpoint.keep)
    changed = files.on_root(world, lambda: changes_since(folder, config, parts.plan))
    manifest.start(folder, world, step=first, reason=beginning.reason, changed=changed.lines, physics=physics(config))
    messages = [*book.warnings, *beginning.messages, *changed.messages]
    # What was evaluated before counts, DONE and all, until there is something in its place.
    former = files.on_root(world, lambda: evaluated(folder, first)) if first >= config.task.n_steps else None

    def prepare() -> tuple[list[str], float | None]:
        """The files of a start; what more there is to say, and when Slurm ends the job."""
        files.write(folder / "config.yaml", config_text(config, parts.plan))
        said = []
        if former is None:
            files.remove(folder / "DONE")
        else:
            n = former.get("n_samples")
            said.append(f"all {first} steps are made: the final evaluation is done again, before from {n} samples")
        cut = log.cut(folder / "metrics.jsonl", first)
        if cut.n_cut:
            why = "there is no checkpoint" if beginning.is_new else f"after step {first}"
            said.append(f"metrics.jsonl: {cut.n_cut} lines removed ({why}), these steps are made again")
        if cut.missing:
            said.append(f"metrics.jsonl lacks steps before {first}, which the checkpoint has behind it")
        if config.log.tensorboard:
            tensorboard.match(folder)
        try:
            ends = slurm.end_time()
        except slurm.SlurmError as error:
            ends = None
            said.append(f"the time limit of this job is not known ({error}): max_seconds can stand in for it")
        return said, ends

    said, ends = files.on_root(world, prepare)
    show = None
    if root:
        show = progress.progress(config.log.progress, config.task.n_steps, first)
        show.say(book.headline(folder, first, beginning.reason))
        for message in [*words_of_bonds(config, parts.lattice), *messages, *said]:
            show.say(message)
    watch = lifecycle.lifecycle(
        folder, world, signals, max_seconds=config.max_seconds, started=start["begun"], ends=ends
    )

    had_failed = int(state.rejected) >= config.optimizer.max_rejected
    if had_failed:  # with steps left it gets another chance, at the step size it was lowered to
        state = state._replace(rejected=jax.numpy.zeros_like(state.rejected))
    if had_failed and first >= config.task.n_steps:
        reason = "its last steps were not finite; lower optimizer.learning_rate and raise task.n_steps to go on"
        outcome = Outcome(state, "failed", reason, None)
    else:
        outcome = loop(config, folder, world, parts, state, book, watch, show, start)
    if int(outcome.state.step) == first and outcome.status != "stopped":  # no step was made, after which it is computed
        book.reference = reference(config, parts, folder, world)
    if outcome.status == "running":
        outcome = finish(config, folder, world, parts, outcome, book, watch, show)
        if outcome.final and (higher := short_line(book.reference)):
            outcome = outcome._replace(reason=f"{outcome.reason}; {higher}")
    in_vain = outcome.status == "stopped" and int(outcome.state.step) == first and watch.out_of_time(outcome.reason)
    if in_vain and files.on_root(world, lambda: manifest.was_in_vain(folder)):
        # a third one would not come any further either, and a job would go back to the queue again and again
        outcome = outcome._replace(status="failed", reason=too_short(config, outcome, first, watch.seconds()))
    code = CODES[outcome.status]

    def close() -> None:
        assert show is not None
        lock.check_held(folder)
        last = outcome.last or log.last(folder / "metrics.jsonl")  # this start's, else that of an earlier one
        book.reference = book.reference or kept_reference(config, folder)
        summary = book.summary(
            outcome.state,
            last,
            status=outcome.status,
            reason=outcome.reason,
            final=outcome.final,
            doubts=outcome.doubts,
        )
        if former is not None and not outcome.final:
            summary = kept_final(former, summary)
        files.write_json(folder / "summary.json", summary)
        if outcome.final and code != lifecycle.DONE:
            files.remove(folder / "DONE")
        show.close()
        if last is not None:
            try:
                energy_png(folder)
            except ValueError as error:  # no matplotlib here: the run does not need it
                show.say(str(error))
        manifest.end(
            folder,
            step=int(outcome.state.step),
            reason=f"{outcome.status}: {outcome.reason}",
            saves=book.saves,
            in_vain=in_vain,
        )
        if code == lifecycle.DONE:
            n_samples = max(config.task.final_samples, summary["n_samples"])
            lifecycle.write_done(folder, int(outcome.state.step), n_samples)
        show.say(f"{outcome.status}: {outcome.reason}; {folder}")

    try:
        files.on_root(world, close)  # no rank leaves before the last file is written
    except (OSError, lock.Lost):
        if code != lifecycle.FAULT:
            raise
        # what made the run fail, a full disk perhaps, keeps it from saying so in its folder
        if show is not None:
            show.say(f"failed: {outcome.reason}")
            show.close()
    return code


def loop(
    config: Config,
    folder: Path,
    world: World,
    parts: Parts,
    state: RunState,
    book: Book,
    watch: lifecycle.Lifecycle,
    show: progress.Progress | None,
    start: dict[str, float],
) -> Outcome:
    """Steps until there are ``n_steps``, or a stop is asked for, or too many steps in a row were rejected."""
    root = world.rank == 0
    first = int(state.step)
    if first >= config.task.n_steps:
        return Outcome(state, "running", "", None)
    if (verdict := watch.check()).stop:  # asked for during the start; what is not saved yet is cheap to make again
        return Outcome(state, "stopped", verdict.reason, None)
    journal: log.Log | None = None

    def open_journal() -> None:
        nonlocal journal
        journal = log.log(folder / "metrics.jsonl")
        if config.log.tensorboard:
            journal = log.both(journal, tensorboard.board(folder))

    files.on_root(world, open_journal)
    saves = pace(config.checkpoint.every_steps, config.checkpoint.every_seconds, started=start["begun"])
    save_seconds, last_summary, told_frozen = 0.0, -math.inf, False
    line: dict[str, Any] | None = None
    outcome = None

    while outcome is None and int(state.step) < config.task.n_steps:
        begun = time.monotonic()
        chains, samples, counts = jax.block_until_ready(parts.driver.sample(state))
        sampled = time.monotonic()
        batch, shared = jax.block_until_ready(parts.driver.evaluate(state.params, samples, counts))
        evaluated = time.monotonic()
        check_hashes(np.asarray(shared.hash_R), int(state.step))
        state, info = jax.block_until_ready(parts.driver.update(state, chains, batch))
        updated = time.monotonic()

        step, rejections = int(state.step), int(state.rejected)
        trouble = ""
        if root:
            assert journal is not None and show is not None
            times = {
                "seconds": updated - begun,
                "sample_s": sampled - begun,
                "local_energy_s": evaluated - sampled,
                "solve_s": updated - evaluated,
            }
            line = metrics(step, batch, shared.counts, info, times, parts.sampler.chain_length)
            show.update(line)
            if line["rejected"]:
                why = why_rejected(line, parts.operator.bounds)
                show.say(
                    f"step {step} rejected: {why}; back to the last good parameters, "
                    f"steps scaled by {float(state.scale):g} ({rejections} in a row of {config.optimizer.max_rejected})"
                )
            if is_frozen(line) and not told_frozen:
                told_frozen = True
                moves = line["accepted_per_sample"]
                show.say(f"step {step}: the chains are frozen, {moves:.1g} accepted moves a sample; {FROZEN_ADVICE}")
            try:
                journal.append(line)
                if step == first + 1:
                    manifest.first_step(folder, start | {"first_step": time.monotonic()})
                if time.monotonic() - last_summary > SUMMARY_SECONDS:
                    files.write_json(folder / "summary.json", book.summary(state, line, status="running", reason=""))
                    last_summary = time.monotonic()
            except (OSError, lock.Lost) as error:
                trouble = files.why(error)
        if step == first + 1:  # what can take longer than a step, now that one sees the run go
            book.reference = reference(config, parts, folder, world)
            if show is not None and (where := lowest_line(book.reference)):
                show.say(where)

        verdict = watch.check(updated - begun, save_seconds, root and saves.due(step), trouble != "")
        save_seconds = 0.0
        broken = verdict.stop and not verdict.save  # rank 0 could not log the step: no checkpoint outlives its lines
        if broken:
            outcome = Outcome(state, "failed", trouble, line)
        elif rejections >= config.optimizer.max_rejected:
            reason = (
                f"{rejections} steps in a row were not finite, optimizer.max_rejected={config.optimizer.max_rejected}"
            )
            outcome = Outcome(state, "failed", reason, line)
        elif verdict.stop and step < config.task.n_steps:
            outcome = Outcome(state, "stopped", verdict.reason, line)
        if not broken and (verdict.save or outcome is not None or step == config.task.n_steps):
            save_begin = time.monotonic()
            flush = journal.sync if journal is not None else None
            try:
                checkpoint.save(folder, state, world, meta=book.meta(), keep=config.checkpoint.keep, flush=flush)
            except (OSError, lock.Lost) as error:  # the same on all ranks
                outcome = Outcome(state, "failed", files.why(error), line)
            else:
                if (left := watch.saved()) and show is not None:
                    show.say(left)
            save_seconds = time.monotonic() - save_begin
            saves.saved(save_seconds)
            if show is not None and (excess := saves.excess()):
                show.say(excess)

    book.saves = saves.spent()
    if journal is not None:
        journal.close()
    if show is not None and (excess := saves.excess(final=True)):
        show.say(excess)
    return outcome or Outcome(state, "running", "", line)


def too_short(config: Config, outcome: Outcome, first: int, seconds: float) -> str:
    """What to say where two starts in a row ran out of time before they had come any further."""
    what, also = f"step {first + 1} was made", ""
    if first >= config.task.n_steps:
        what, also = "the final evaluation had ended", ", or lower task.final_samples"
    key = "max_seconds" if "max_seconds" in outcome.reason else "resources.time"
    return (
        f"two starts in a row were stopped ({outcome.reason}) before {what}, this one after {seconds:.0f} s: "
        f"raise {key}{also}"
    )


def check_hashes(hash_R: np.ndarray, step: int) -> None:
    """All ranks hold the same parameters, else the run is worth nothing: a fault that names the ranks."""
    odd = np.flatnonzero(hash_R != hash_R[0])
    if len(odd):
        raise RuntimeError(
            f"after {step} steps the parameters of ranks {odd.tolist()} differ from those of rank 0; "
            "on mixed nodes set optimizer.broadcast=true"
        )
