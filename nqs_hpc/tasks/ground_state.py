"""The ground state by variational Monte Carlo: updates of the parameters, then the final evaluation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.trust import is_frozen
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.tasks import guard
from nqs_hpc.tasks.chains import outside
from nqs_hpc.tasks.final import FROZEN_ADVICE, Final, System, believable, ending
from nqs_hpc.tasks.lines import energy_summary, metrics
from nqs_hpc.tasks.measurement import check_hashes
from nqs_hpc.tasks.running_mean import averaged
from nqs_hpc.tasks.second import SecondEnsemble, compared
from nqs_hpc.tasks.vmc import CHAINS, vmc
from nqs_hpc.types import (
    Ansatz,
    Ending,
    Operator,
    Progress,
    Quantity,
    Record,
    RunState,
    Sampler,
    Samples,
    Task,
    Tree,
    Update,
)

UNIT = "units of the couplings"
SHOWN = (
    Quantity("energy", "E", UNIT, "error", "energy_error"),
    Quantity("energy_variance", "var", f"({UNIT})²", ".3g"),
    Quantity("r_hat", "R-hat", "", ".3f"),
    Quantity("acceptance", "acc", "", ".2f"),
)


def ground_state(
    ansatz: Ansatz,
    operator: Operator,
    sampler: Sampler,
    update: Update,
    comm: Comm,
    *,
    hilbert: Hilbert,
    system: System,
    n_steps: int,
    final_chain_length: int,
    max_rejected: int,
    seed: int,
    chunk: int | None,
    memory: int,
    average: float | None = None,
    broadcast: bool = False,
    second: SecondEnsemble | None = None,
    no_second: str = "",
) -> Task:
    """``n_steps`` updates of the parameters, then their energy from fresh chains of ``final_chain_length`` samples.

    A turn is a step. ``max_rejected``: rejected steps in a row before the run fails. ``average``: decay of the running
    mean of the parameters, which the final evaluation then takes. ``broadcast``: every rank takes rank 0's step.
    ``second``: the ensemble with which the final energy is compared; ``no_second``: why there is none.
    """
    functions = vmc(
        ansatz,
        operator,
        sampler,
        update,
        comm,
        seed=seed,
        chunk=chunk,
        memory=memory,
        average=average,
        broadcast=broadcast,
    )
    told_frozen = False

    def turn(state: RunState) -> tuple[RunState, Record]:
        begun = time.monotonic()
        chains, samples, counts = jax.block_until_ready(functions.sample(state))
        sampled = time.monotonic()
        batch, shared = jax.block_until_ready(functions.evaluate(state.params, samples, counts))
        evaluated = time.monotonic()
        check_hashes(shared.hash_R, int(state.step))
        state, info = jax.block_until_ready(functions.update(state, chains, batch))
        updated = time.monotonic()
        times = {
            "seconds": updated - begun,
            "sample_s": sampled - begun,
            "local_energy_s": evaluated - sampled,
            "solve_s": updated - evaluated,
        }
        line = lambda: metrics(batch, shared.counts, info, times, sampler.chain_length)  # noqa: E731
        return state, Record(line, lambda line: messages(state, line))

    def messages(state: RunState, line: dict[str, Any]) -> list[str]:
        nonlocal told_frozen
        found, step = [], int(state.step)
        if line["rejected"]:
            why = guard.why_rejected(line, operator.bounds)
            found.append(
                f"step {step} rejected: {why}; back to the last good parameters, steps scaled by "
                f"{float(state.memory.scale):g} ({int(state.memory.rejected)} in a row of {max_rejected})"
            )
        if is_frozen(line) and not told_frozen:
            told_frozen = True
            moves = line["accepted_per_sample"]
            found.append(f"step {step}: the chains are frozen, {moves:.1g} accepted moves a sample; {FROZEN_ADVICE}")
        return found

    def failed(state: RunState) -> str:
        if (rejected := int(state.memory.rejected)) < max_rejected:
            return ""
        if int(state.step) >= n_steps:
            return "its last steps were not finite; lower optimizer.learning_rate and raise task.n_steps to go on"
        return f"{rejected} steps in a row were not finite, optimizer.max_rejected={max_rejected}"

    def finish(
        state: RunState, go_on: Callable[[], bool], say: Callable[[str], None]
    ) -> Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending] | None:
        say("final evaluation: fresh chains, frozen parameters")
        memory, learnt = state.memory, state.chains[CHAINS]

        def energy(params: Tree) -> Final | None:
            return functions.final(params, final_chain_length, go_on, learnt)

        params = averaged(state.params, memory.average)
        final = energy(params)
        if final is not None and not believable(final, operator.bounds):
            # nobody has evaluated what the last update made: perhaps it went too far
            how = "is not finite" if not math.isfinite(final.variance) else "is none that the spectrum has"
            say(f"the energy after the last step {how}: evaluating the last good parameters instead")
            params = averaged(memory.good.params, memory.good.average)
            final = energy(params)
        if final is None:
            return None
        if second is None or not believable(final, operator.bounds):
            return ending(final, system, int(state.step), no_second if second is None else "the energy is impossible")
        begun, n_rows = time.monotonic(), sampler.n_samples // comm.size
        # of the types that samplers give, so that no program is compiled again
        w_B, nothing = jnp.full(n_rows, 1.0 / sampler.n_samples), dict.fromkeys(final.counts, jnp.float64(0))

        def energies(params: Tree, s_BN: Array) -> Array:
            return functions.evaluate(params, Samples(s_BN, w_B), nothing)[0].e_loc_A

        of_others = second.run(params, energies, n_rows, go_on)
        if of_others is None:
            return None
        against = compared(final.e_loc_A, final.chain_length, final.error, *of_others, begun)
        return ending(final, system, int(state.step), against)

    def summary(line: dict[str, Any], reference: dict[str, Any] | None) -> dict[str, Any]:
        return energy_summary(
            line, reference, n_sites=system.n_sites, e_infinity=system.e_infinity, n_samples=sampler.n_samples
        )

    def given(state: RunState, params: Tree, learnt: Tree | None = None) -> RunState:
        del learnt  # what it optimizes is another wave function
        good = state.memory.good._replace(params=params)
        return state._replace(params=params, memory=state.memory._replace(good=good))

    def retried(state: RunState) -> RunState:
        rejected = jnp.zeros_like(state.memory.rejected)
        return state._replace(memory=state.memory._replace(rejected=rejected))

    return Task(
        init=functions.init,
        warmed=functions.warmed,
        given=given,
        turn=turn,
        progress=lambda state: Progress(int(state.step), n_steps),
        failed=failed,
        retried=retried,
        finish=finish,
        summary=summary,
        impossible=lambda state: guard.why_impossible(state.memory) or outside(state.chains, hilbert),
        shown=SHOWN,
        growing=(),
        programs=functions.programs,
        jitted=(*functions.jitted, *(() if second is None else second.jitted)),
        functions=functions,
    )
