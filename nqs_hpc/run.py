"""The loop of a run: steps, log, checkpoints, the final evaluation, the summary. The only caller of job/.

All ranks go through the same calls in the same order; what only rank 0 does (files, the terminal) contains no
collective.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nqs_hpc.build import Parts, Plan, build, final_chain_length
from nqs_hpc.config import differences, physics
from nqs_hpc.driver.ground_state import averaged
from nqs_hpc.job import checkpoint, files, lifecycle, log, manifest, progress
from nqs_hpc.parallel.ahead import compile_ahead
from nqs_hpc.parallel.comm import comm
from nqs_hpc.parallel.compile_cache import Share
from nqs_hpc.parallel.launch import Placement
from nqs_hpc.parallel.world import World
from nqs_hpc.record import Book, acceptance, config_text, differences_of_machine, metrics, rejected_part
from nqs_hpc.report.plots import energy_png
from nqs_hpc.schema import Config
from nqs_hpc.stats.chains import diagnostics
from nqs_hpc.system.hilbert import dimension
from nqs_hpc.types import RunState

WORST_R_HAT = 1.1  # beyond which the final evaluation warns
SUMMARY_SECONDS = 30.0  # how stale the summary of a running job may be


class Outcome(NamedTuple):
    """How the loop ended."""

    state: RunState
    status: str  # running (all steps made) | stopped | failed
    reason: str
    last: dict[str, Any] | None  # the metrics of the last step made, None where there was none to make


def run(
    config: Config, folder: Path, world: World, placement: Placement, share: Share | None, start: dict[str, float]
) -> int:
    """Run, or go on with, the job of ``config`` in ``folder`` to its end; returns the exit code, equal on all ranks.

    ``share``: this rank's part in compiling. ``start``: the moments (``time.monotonic()``) of this start so far: begun,
    checked, imported.
    """
    root = world.rank == 0
    if root:
        for place in (folder, folder / "checkpoints"):
            files.clean(place)
    channel = comm(world)
    parts = build(config, channel)
    template = jax.eval_shape(parts.driver.init)
    watch = lifecycle.lifecycle(folder, world, max_seconds=config.max_seconds, started=start["begun"])
    try:
        loaded = checkpoint.load(folder, template, world)
        if loaded and (changed := differences(loaded.meta["physics"], physics(config))):
            raise ValueError(f"{loaded.path} is of another physics: {'; '.join(changed)}; choose another run_dir")
    except ValueError as error:  # the same on all ranks
        if root:
            print(error, file=sys.stderr, flush=True)
        return lifecycle.FAULT
    messages = list(loaded.messages) if loaded else []
    if loaded:
        stored = Plan(**loaded.meta["plan"])
        plan, changed = merge_plans(config, stored, parts.plan)
        messages += changed
        if plan != parts.plan:
            parts = build(config, channel, plan)
        messages += differences_of_machine(loaded.meta, world, placement)
    compile_ahead(parts.driver.programs(fresh=loaded is None), share, world)
    state = loaded.state if loaded else parts.driver.warmed(parts.driver.init())
    first = int(state.step)
    start["built"] = time.monotonic()
    book = Book(
        config,
        world,
        placement,
        parts,
        versions=manifest.versions(),
        started=start["begun"],
        seconds_before=loaded.meta["seconds"] if loaded else 0.0,
    )

    reason = f"resumed from {loaded.path.name}" if loaded else "new"
    manifest.start(folder, world, step=first, reason=reason, physics=physics(config))
    show = None
    if root:
        files.write(folder / "config.yaml", config_text(config, parts.plan))
        (folder / "DONE").unlink(missing_ok=True)
        cut = log.cut(folder / "metrics.jsonl", first)
        if cut.n_cut:
            messages.append(f"metrics.jsonl: {cut.n_cut} lines after step {first} removed, these steps are made again")
        if cut.missing:
            messages.append(f"metrics.jsonl lacks steps before {first}, which the checkpoint has behind it")
        show = progress.progress(config.log.progress, config.task.n_steps, first)
        show.say(book.headline(folder, first, reason))
        for message in messages:
            show.say(message)

    had_failed = int(state.rejected) >= config.optimizer.max_rejected
    if had_failed:  # with steps left it gets another chance, at the step size it was lowered to
        state = state._replace(rejected=jax.numpy.zeros_like(state.rejected))
    if had_failed and first >= config.task.n_steps:
        reason = "its last steps were not finite; lower optimizer.learning_rate and raise task.n_steps to go on"
        outcome = Outcome(state, "failed", reason, None)
    else:
        outcome = loop(config, folder, world, parts, state, book, watch, show, start)
    if int(outcome.state.step) == first:  # no step was made, after which it is computed
        book.reference = reference(config, parts, folder, world)
    if outcome.status == "running":
        outcome = finish(config, folder, world, parts, outcome, book, watch, show)
    elif root:
        summary = book.summary(outcome.state, outcome.last, status=outcome.status, reason=outcome.reason)
        files.write_json(folder / "summary.json", summary)
    code = {"done": lifecycle.DONE, "stopped": lifecycle.STOPPED, "failed": lifecycle.FAULT}[outcome.status]
    if root:
        assert show is not None
        show.close()
        try:
            energy_png(folder)
        except ValueError as error:  # no matplotlib here: the run does not need it
            show.say(str(error))
        manifest.end(folder, step=int(outcome.state.step), reason=f"{outcome.status}: {outcome.reason}")
        if code == lifecycle.DONE:
            lifecycle.write_done(folder, int(outcome.state.step))
        show.say(f"{outcome.status}: {outcome.reason}; {folder}")
    watch.close()
    world.barrier()  # no rank leaves before the last file is written
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
    journal = log.log(folder / "metrics.jsonl") if root else None
    save_seconds, last_save, last_summary = 0.0, time.monotonic(), -math.inf
    line: dict[str, Any] | None = None
    outcome = None
    first = int(state.step)

    while outcome is None and int(state.step) < config.task.n_steps:
        begin = time.monotonic()
        chains, samples, counts = jax.block_until_ready(parts.driver.sample(state))
        sampled = time.monotonic()
        batch, shared = jax.block_until_ready(parts.driver.evaluate(state.params, samples, counts))
        evaluated = time.monotonic()
        check_hashes(np.asarray(shared.hash_R), int(state.step))
        state, info = jax.block_until_ready(parts.driver.update(state, chains, batch))
        updated = time.monotonic()

        step, rejections = int(state.step), int(state.rejected)
        if root:
            assert journal is not None and show is not None
            times = {
                "seconds": updated - begin,
                "sample_s": sampled - begin,
                "local_energy_s": evaluated - sampled,
                "solve_s": updated - evaluated,
            }
            line = metrics(step, batch, shared.counts, info, times, parts.sampler.chain_length)
            journal.append(line)
            show.update(line)
            if line["rejected"]:
                show.say(
                    f"step {step} rejected: the {rejected_part(line)} is not finite; back to the last good parameters, "
                    f"steps scaled by {float(state.scale):g} ({rejections} in a row of {config.optimizer.max_rejected})"
                )
        if step == first + 1:  # what can take longer than a step, now that one sees the run go
            if root:
                manifest.first_step(folder, start | {"first_step": time.monotonic()})
            book.reference = reference(config, parts, folder, world)
        if root and time.monotonic() - last_summary > SUMMARY_SECONDS:
            files.write_json(folder / "summary.json", book.summary(state, line, status="running", reason=""))
            last_summary = time.monotonic()

        if rejections >= config.optimizer.max_rejected:
            reason = (
                f"{rejections} steps in a row were not finite, optimizer.max_rejected={config.optimizer.max_rejected}"
            )
            outcome = Outcome(state, "failed", reason, line)
        every = config.checkpoint
        overdue = every.every_seconds is not None and time.monotonic() - last_save >= every.every_seconds
        verdict = watch.check(updated - begin, save_seconds, overdue)
        if outcome is None and verdict.stop and step < config.task.n_steps:
            outcome = Outcome(state, "stopped", verdict.reason, line)
        on_count = every.every_steps is not None and step % every.every_steps == 0
        if outcome is not None or verdict.save or on_count or step == config.task.n_steps:
            save_begin = time.monotonic()
            if journal is not None:
                journal.sync()  # a checkpoint never outlives its lines
            checkpoint.save(folder, state, world, meta=book.meta(), keep=every.keep)
            watch.saved()
            last_save = time.monotonic()
            save_seconds = last_save - save_begin

    if journal is not None:
        journal.close()
    return outcome or Outcome(state, "running", "", line)


def finish(
    config: Config,
    folder: Path,
    world: World,
    parts: Parts,
    outcome: Outcome,
    book: Book,
    watch: lifecycle.Lifecycle,
    show: progress.Progress | None,
) -> Outcome:
    """The energy of the final parameters, frozen, from fresh samples. Stopped here, the next start repeats it."""
    state = outcome.state
    verdict = lifecycle.Verdict(False, False, "")

    def go_on() -> bool:
        nonlocal verdict
        verdict = watch.check(0.0, 0.0, False)
        return not verdict.stop

    if show is not None:
        show.say("final evaluation: fresh chains, frozen parameters")
    length = final_chain_length(config)
    final = parts.driver.final(averaged(state.params, state.average), length, go_on)
    if final is not None and not math.isfinite(
        final.variance
    ):  # nobody has evaluated what the last update made: perhaps it went too far
        if show is not None:
            show.say("the energy after the last step is not finite: evaluating the last good parameters instead")
        final = parts.driver.final(averaged(state.good.params, state.good.average), length, go_on)
    if final is None:
        if world.rank == 0:
            summary = book.summary(state, outcome.last, status="stopped", reason=verdict.reason)
            files.write_json(folder / "summary.json", summary)
        return Outcome(state, "stopped", f"{verdict.reason}, during the final evaluation", outcome.last)
    diagnosis = diagnostics(final.e_loc_A, final.w_A, final.chain_length, error=final.error)
    line = {
        "energy": final.mean.real,
        "energy_error": final.error,
        "energy_variance": final.variance,
        "acceptance": acceptance(final.counts),
        "n_samples": len(final.e_loc_A),
    } | diagnosis
    if not math.isfinite(final.variance):
        reason = "the energy of the final parameters is not finite"
        outcome = Outcome(state, "failed", reason, line)
    else:
        error = progress.with_error(final.mean.real, final.error)
        outcome = Outcome(state, "done", f"{int(state.step)} steps, energy {error}", line)
    if show is not None and diagnosis["r_hat"] is not None and not diagnosis["r_hat"] < WORST_R_HAT:
        show.say(
            f"R-hat {diagnosis['r_hat']:.3f}: the chains do not agree, more than the error says; raise sampler.sweep"
        )
    if world.rank == 0:
        summary = book.summary(state, line, status=outcome.status, reason=outcome.reason, final=True)
        files.write_json(folder / "summary.json", summary)
    return outcome


def check_hashes(hash_R: np.ndarray, step: int) -> None:
    """All ranks hold the same parameters, else the run is worth nothing: a fault that names the ranks."""
    odd = np.flatnonzero(hash_R != hash_R[0])
    if len(odd):
        raise RuntimeError(
            f"after {step} steps the parameters of ranks {odd.tolist()} differ from those of rank 0; "
            "on mixed nodes set optimizer.broadcast=true"
        )


def reference(config: Config, parts: Parts, folder: Path, world: World) -> dict[str, Any] | None:
    """The exact lowest energy of the sector, where that is small enough. Collective.

    Computed once, and kept in reference.json with the system it belongs to.
    """
    system = {name: part for name, part in physics(config).items() if name in ("lattice", "hamiltonian", "sector")}

    def on_rank_0() -> dict[str, Any] | None:
        from nqs_hpc.operators.exact import MAX_STATES, ground_state  # loads SciPy, which other ranks do not need

        path = folder / "reference.json"
        try:
            kept = files.read_json(path)
            if kept["system"] == system:
                return {"energy": float(kept["energy"]), "method": kept["method"]}
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there yet, or not readable: it can be computed again
        if dimension(parts.hilbert) > MAX_STATES:
            return None
        energies, _ = ground_state(parts.operator, parts.hilbert)
        found = {"energy": float(energies[0]), "method": "exact diagonalisation of the sector sampled"}
        files.write_json(path, found | {"system": system})
        return found

    return files.on_root(world, on_rank_0)


def merge_plans(config: Config, stored: Plan, fresh: Plan) -> tuple[Plan, list[str]]:
    """What ``auto`` chose at step 0 stays; what the user now sets by hand wins, with a line that bits will change."""
    chosen, messages = {}, []
    optimizer = config.optimizer
    asked = {
        "solver": getattr(optimizer, "solver", None),
        "chunk_size": config.chunk_size,
        "blocks": getattr(optimizer, "blocks", None),
    }
    for name, before in stored._asdict().items():
        now = getattr(fresh, name)
        # checkpoints older than blocks have none; mixed nodes do not share the bits by which cg counts its iterations
        is_new = name == "blocks" and before is None
        unfit = name == "solver" and before == "cg" and getattr(optimizer, "broadcast", False)
        chosen[name] = before if asked[name] == "auto" and not is_new and not unfit else now
        if chosen[name] != before and not is_new:
            messages.append(f"{name} is now {now}, was {before}: from here on the run differs in rounding")
    return Plan(**chosen), messages
