"""A run from its start to its summary: `resume` begins it, `loop` makes its turns, `final` ends it.

All ranks make the same calls in the same order; what only rank 0 does (files, the terminal) contains no collective.
"""

from __future__ import annotations

import time
from pathlib import Path

from nqs_hpc.config.identity import physics
from nqs_hpc.config.schema import Config
from nqs_hpc.job import (
    checkpoint,
    files,
    lifecycle,
    lock,
    log,
    manifest,
    mlflow_store,
    progress,
    slurm,
    tensorboard,
)
from nqs_hpc.parallel.compile_cache import Share
from nqs_hpc.parallel.launch import Placement
from nqs_hpc.parallel.world import World
from nqs_hpc.parts.reference import short_line
from nqs_hpc.report.plots import pictures
from nqs_hpc.run.final import evaluated, finish, kept_final
from nqs_hpc.run.loop import Outcome, loop
from nqs_hpc.run.record import Description, config_text, planned
from nqs_hpc.run.reference import kept_reference, reference
from nqs_hpc.run.resume import begin, changes_since

CODES = {
    "done": lifecycle.DONE,
    "doubtful": lifecycle.DONE,  # all steps are made: another start would get the same
    "stopped": lifecycle.STOPPED,
    "failed": lifecycle.FAULT,
}


STATES = {  # as MLflow has them
    "done": mlflow_store.FINISHED,
    "doubtful": mlflow_store.FINISHED,
    "stopped": mlflow_store.KILLED,
    "failed": mlflow_store.FAILED,
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
    """Run, or continue, the job of ``config`` in ``folder``; returns the exit code, equal on all ranks.

    ``share``: this rank's part in compiling. ``start``: the moments (``time.monotonic()``) of this start so far: begun,
    checked, imported. Raises what `resume.begin` raises, on every rank; OSError and lock.Lost, on every rank, if the
    run folder cannot be written.
    """
    root = world.rank == 0
    files.on_root(world, lambda: files.clean_all(folder))
    beginning = begin(config, folder, world, placement, share)
    parts, state = beginning.parts, beginning.state
    first = int(state.step)
    start["built"] = time.monotonic()
    about = Description(
        config,
        world,
        placement,
        parts,
        versions=manifest.versions(),
        started=start["begun"],
        seconds_before=beginning.seconds_before,
    )
    takes = config.init_from is not None or config.task.source() is not None or bool(config.task.others())
    if takes and beginning.is_new:
        # from here on the run no longer depends on the other's folder
        checkpoint.save(folder, state, world, meta=about.meta(), keep=config.checkpoint.keep)
    changed = files.on_root(world, lambda: changes_since(folder, config, parts.plan))
    manifest.start(folder, world, step=first, reason=beginning.reason, changed=changed.lines, physics=physics(config))
    messages = [*about.warnings, *beginning.messages, *changed.messages]
    # An earlier evaluation counts, with its DONE file, until a new one replaces it.
    task, complete = parts.task, parts.task.progress(state).is_complete
    former = files.on_root(world, lambda: evaluated(folder, first)) if complete else None

    def prepare() -> tuple[list[str], float | None]:
        """The files of a start, further lines for the user, and the time at which Slurm ends the job."""
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
            said.append(f"metrics.jsonl lacks steps before {first}, which the checkpoint includes")
        if config.log.tensorboard:
            tensorboard.match(folder)
        if config.log.mlflow:
            experiment = config.study or config.experiment or "nqs_hpc"
            tags = {f"version.{name}": word for name, word in about.versions.items()}
            mlflow_store.begin(folder, experiment, planned(config, parts.plan), tags)
        try:
            ends = slurm.end_time()
        except slurm.SlurmError as error:
            ends = None
            said.append(f"the time limit of this job is not known ({error}): max_seconds can stand in for it")
        return said, ends

    said, ends = files.on_root(world, prepare)
    show = None
    if root:
        done, total, unit = task.progress(state)
        show = progress.progress(config.log.progress, total, done, quantities=task.shown, unit=unit)
        show.say(about.headline(folder, state, beginning.reason))
        of_ansatz = config.ansatz.lines(parts.lattice, parts.pieces.basis)
        for message in [*config.hamiltonian.lines(parts.lattice), *of_ansatz, *messages, *said]:
            show.say(message)
    watch = lifecycle.lifecycle(
        folder, world, signals, max_seconds=config.max_seconds, started=start["begun"], ends=ends
    )

    why_failed = task.failed(state)
    if why_failed:  # with steps left the next start tries again, with the reduced step size
        state = task.retried(state)
    if why_failed and complete:
        outcome = Outcome(state, "failed", why_failed, None)
    else:
        outcome = loop(config, folder, world, parts, state, about, watch, show, start)
    if (
        int(outcome.state.step) == first and outcome.status != "stopped"
    ):  # it is computed after a step, and there was none
        about.reference = reference(config, parts, folder, world)
    if outcome.status == "running":
        outcome = finish(folder, world, parts, outcome, about, watch, show)
        if outcome.final and (higher := short_line(about.reference)):
            outcome = outcome._replace(reason=f"{outcome.reason}; {higher}")
    in_vain = outcome.status == "stopped" and outcome.turns == 0 and watch.out_of_time(outcome.reason)
    if in_vain and files.on_root(world, lambda: manifest.was_in_vain(folder)):
        # a third start would not get any further, and the job would be requeued again and again
        outcome = outcome._replace(status="failed", reason=too_short(outcome, first, complete, watch.seconds()))
    code = CODES[outcome.status]

    def close() -> None:
        assert show is not None
        lock.check_held(folder)
        last = outcome.last or log.last(folder / "metrics.jsonl")  # of this start, else of an earlier one
        about.reference = about.reference or kept_reference(config, folder)
        summary = about.summary(
            outcome.state,
            last,
            status=outcome.status,
            reason=outcome.reason,
            final=outcome.final,
            doubts=outcome.doubts,
        )
        if former is not None and not outcome.final:
            summary = kept_final(former, summary)
        about.save_results(folder, outcome.state, outcome.results or task.results(outcome.state), summary)
        files.write_json(folder / "summary.json", summary)
        if outcome.final and code != lifecycle.DONE:
            files.remove(folder / "DONE")
        show.close()
        if config.log.mlflow:
            mlflow_store.end(folder, STATES[outcome.status])
        manifest.end(
            folder,
            step=int(outcome.state.step),
            reason=f"{outcome.status}: {outcome.reason}",
            saves=about.saves,
            in_vain=in_vain,
        )
        if code == lifecycle.DONE:
            asked = config.task.samples_of_end or 0
            lifecycle.write_done(folder, int(outcome.state.step), max(asked, summary.get("n_samples") or 0))
        # At the end, because it takes seconds, and not if the queue has asked the job to stop.
        if last is not None and not (outcome.status == "stopped" and lifecycle.by_queue(outcome.reason)):
            try:
                pictures(folder)
            except ValueError as error:  # without matplotlib: the run does not need it
                show.say(str(error))
        show.say(f"{outcome.status}: {outcome.reason}; {folder}")

    try:
        files.on_root(world, close)  # no rank exits before the last file is written
    except (OSError, lock.Lost):
        if code != lifecycle.FAULT:
            raise
        # the cause of the failure, a full disk perhaps, can also prevent its record in the folder
        if show is not None:
            show.say(f"failed: {outcome.reason}")
            show.close()
    return code


def too_short(outcome: Outcome, first: int, complete: bool, seconds: float) -> str:
    """The line for two starts in a row that ran out of time before they made progress."""
    what, also = f"step {first + 1} was made", ""
    if complete:
        what, also = "the final evaluation had ended", ", or lower task.final_samples"
    key = "max_seconds" if "max_seconds" in outcome.reason else "resources.time"
    return (
        f"two starts in a row were stopped ({outcome.reason}) before {what}, this one after {seconds:.0f} s: "
        f"raise {key}{also}"
    )
