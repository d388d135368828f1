"""The end of a run: the energy of its final parameters from fresh samples, and what that energy is worth.

All ranks go through the same calls in the same order; what only rank 0 does contains no collective.
"""

from __future__ import annotations

import math
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.driver.ground_state import Final, averaged, possible
from nqs_hpc.job import files, lifecycle, log, progress
from nqs_hpc.parallel.world import World
from nqs_hpc.parts import Parts
from nqs_hpc.parts.sampler import final_chain_length
from nqs_hpc.resolve.gauge import switched_off
from nqs_hpc.run.record import Book, rates
from nqs_hpc.schema import Config
from nqs_hpc.stats.chains import diagnostics
from nqs_hpc.stats.trust import RECENT, Known, doubts, is_frozen, near
from nqs_hpc.types import RunState

WORST_R_HAT = 1.1  # beyond which the final evaluation warns
FROZEN_ADVICE = "lower optimizer.learning_rate, or try sampler=tempering, another sampler.move, sampler=enumerate"


class Outcome(NamedTuple):
    """How the loop ended."""

    state: RunState
    status: str  # running (all steps made) | done | doubtful | stopped | failed
    reason: str
    last: dict[str, Any] | None  # the metrics of the last step made, None where there was none; the final evaluation's
    final: bool = False  # whether ``last`` is that of the final evaluation
    doubts: tuple[str, ...] = ()  # why its energy is not to be believed


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
    asked: float | None = None

    def go_on() -> bool:
        nonlocal verdict, asked
        now = time.monotonic()
        verdict = watch.check(now - asked if asked is not None else 0.0)  # a part may take longer than a step
        asked = now
        return not verdict.stop

    if show is not None:
        show.say("final evaluation: fresh chains, frozen parameters")
    length, bounds = final_chain_length(config), parts.operator.bounds
    final = parts.driver.final(averaged(state.params, state.average), length, go_on, state.sampler)
    if final is not None and not believable(final, bounds):
        # nobody has evaluated what the last update made: perhaps it went too far
        if show is not None:
            how = "is not finite" if not math.isfinite(final.variance) else "is none that the spectrum has"
            show.say(f"the energy after the last step {how}: evaluating the last good parameters instead")
        final = parts.driver.final(averaged(state.good.params, state.good.average), length, go_on, state.sampler)
    if final is None:
        return Outcome(state, "stopped", f"{verdict.reason}, during the final evaluation", outcome.last)
    line = {
        "energy": final.mean.real,
        "energy_error": final.error,
        "energy_variance": final.variance,
        **rates(final.counts, len(final.e_loc_A)),
        "n_samples": len(final.e_loc_A),
    } | diagnostics(final.e_loc_A, final.w_A, final.chain_length, error=final.error)
    step = int(state.step)
    status, reason, found = files.on_root(world, lambda: judged(config, folder, parts, final, line, step, book))
    if show is not None and line["r_hat"] is not None and not line["r_hat"] < WORST_R_HAT and not is_frozen(line):
        book.warnings.append(
            f"R-hat {line['r_hat']:.3f}: the chains do not agree, more than the error says; raise sampler.sweep"
        )
        show.say(book.warnings[-1])
    return Outcome(state, status, reason, line, final=True, doubts=found)


def evaluated(folder: Path, step: int) -> dict[str, Any] | None:
    """The summary of the final evaluation of a run that is done at ``step``; None where there is none. Rank 0 asks."""
    try:
        done = lifecycle.finished(folder)
        summary = files.read_json(folder / "summary.json")
    except (OSError, ValueError):
        return None
    good = isinstance(summary, dict) and summary.get("final") is True and isinstance(summary.get("energy"), dict)
    return summary if done is not None and done.step == step and good and summary.get("step") == step else None


def kept_final(former: dict[str, Any], summary: dict[str, Any]) -> dict[str, Any]:
    """The summary of a start that did not end its final evaluation: how it ended, and the ``former`` energy."""
    kept = f"the energy is that of the final evaluation before, from {former.get('n_samples')} samples"
    reason = f"{summary['reason']}; {kept}"
    return former | {"status": summary["status"], "reason": reason, "seconds": summary["seconds"]}


def believable(final: Final, bounds: tuple[float, float]) -> bool:
    return math.isfinite(final.variance) and bool(possible(final.mean.real, final.variance, bounds))


def judged(
    config: Config, folder: Path, parts: Parts, final: Final, line: dict[str, Any], step: int, book: Book
) -> tuple[str, str, tuple[str, ...]]:
    """The status of a final evaluation, why, and what speaks against its energy. Rank 0 calls it."""
    bounds = parts.operator.bounds
    energy, exact = line["energy"], book.reference["energy"] if book.reference else None
    if not math.isfinite(final.variance):
        return "failed", "the energy of the final parameters is not finite", ()
    if not believable(final, bounds):
        spectrum = f"({bounds[0]:.6g} to {bounds[1]:.6g})"
        return "failed", f"no state of the spectrum {spectrum} has the energy of the final samples, {energy:.6g}", ()
    if is_frozen(line):
        moved = f"{final.counts['accepted']:.0f} of {final.counts['proposed']:.0f} proposals accepted"
        frozen = f"the chains are frozen, {moved}: {energy:.6f} has no error and need not be the lowest energy"
        if near(energy, exact):
            frozen = f"the chains are frozen, {moved}, so the energy has no error; it agrees with the exact {exact:.6f}"
            return "doubtful", f"{step} steps, energy {energy:.6f}: {frozen}", (frozen,)
        return "failed", f"{frozen}; {FROZEN_ADVICE}", (frozen,)
    steps = [one for one in log.read(folder / "metrics.jsonl")[-RECENT:] if not one.get("rejected")]
    recent = [one["energy"] for one in steps if one.get("energy") is not None]
    errors = [one["energy_error"] for one in steps if one.get("energy_error") is not None]
    known = Known(
        bounds,
        parts.operator.e_infinity,
        exact,
        recent,
        recent_error=statistics.median(errors) if errors else 0.0,
        n_sites=parts.lattice.n_sites,
        is_averaged=config.optimizer.average is not None,
    )
    found = tuple(doubts(line, known))
    key = switched_off(config.hamiltonian, parts.lattice) if parts.ansatz.kind == "real" else None
    if key is not None and not near(energy, exact):
        found = (*found, f"this ansatz is positive, and the signs that the ground state needs are off ({key})")
    said = f"{step} steps, energy {progress.with_error(energy, line['energy_error'])}"
    return ("doubtful", f"{said}: {found[0]}", found) if found else ("done", said, ())
