"""The ground state by variational Monte Carlo: updates of the parameters, then the final evaluation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.trust import is_frozen
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.tasks import guard
from nqs_hpc.tasks.chains import outside
from nqs_hpc.tasks.final import FROZEN_ADVICE, Final, System, believable, ending
from nqs_hpc.tasks.lines import energy_summary, metrics
from nqs_hpc.tasks.measurement import check_hashes
from nqs_hpc.tasks.observing import Tally, observing, one_a_chain
from nqs_hpc.tasks.penalty import Drawn, Lower, fidelities, of_energy, overlap_line
from nqs_hpc.tasks.running_mean import averaged
from nqs_hpc.tasks.second import Compared, SecondEnsemble, compared, in_words
from nqs_hpc.tasks.told import disagreeing, energy_result, line_of, numbers_of, quantities, told
from nqs_hpc.tasks.vmc import CHAINS, vmc
from nqs_hpc.types import (
    Ansatz,
    Ending,
    Observable,
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
NO_FACTOR = "the linear system has no Cholesky factor, its pseudo-inverse was taken; raise optimizer.diag_shift"
CG_ADVICE = (
    "raise optimizer.preconditioner, optimizer.diag_shift or optimizer.cg_max_iterations, or take another solver"
)
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
    observables: Mapping[str, Observable] = MappingProxyType({}),
    every: int | None = None,
    basis: Basis | None = None,
    lower: Sequence[Lower] = (),
    end: Callable[[Final, System, int, Any], Callable[..., Ending]] = ending,
    compare: Callable[[Tree, Final, Callable[[], bool]], Any] | None = None,
    second: SecondEnsemble | None = None,
    no_second: str = "",
    fractions: Sequence[float] = (),
) -> Task:
    """``n_steps`` updates of the parameters, then their energy from fresh chains of ``final_chain_length`` samples.

    A turn is a step. ``max_rejected``: rejected steps in a row before the run fails. ``average``: decay of the running
    mean of the parameters, which the final evaluation then takes. ``broadcast``: every rank takes rank 0's step.
    ``observables`` are measured in the final evaluation, and every so many steps over the last sample of each chain;
    their operators are seen in ``basis``, by default the physical one. ``lower``: wave functions that psi is kept away
    from (`tasks.excited_state`). ``end`` judges the final evaluation. ``second``: the ensemble with which the final
    energy is compared; ``no_second``: why there is none; ``compare`` does it in another way, None if it was stopped.
    ``fractions`` of a step that are tried (`tasks.line_search`).
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
        lower=lower,
        fractions=fractions,
    )
    told_frozen, told_unsolved, told_fallback = False, False, False
    rank = np.int32(comm.rank)
    basis = Basis(hilbert) if basis is None else basis
    of_chains = one_a_chain(sampler)
    seen = observing(ansatz, [], observables, of_chains.sampler, comm, basis=basis, chunk=chunk, memory=memory)
    measure = jax.jit(seen.measure)

    def turn(state: RunState) -> tuple[RunState, Record]:
        begun = time.monotonic()
        chains, samples, counts = jax.block_until_ready(functions.sample(state))
        sampled = time.monotonic()
        batch, shared = jax.block_until_ready(functions.evaluate(state.params, samples, counts))
        evaluated = time.monotonic()
        check_hashes(shared.hash_R, int(state.step))
        tally = None
        if observables and every is not None and (int(state.step) + 1) % every == 0:
            tally = Tally(seen, of_chains.sampler)
            own = samples.own if isinstance(samples, Drawn) else samples
            tally.add(measure(state.params, of_chains.pick(own, of_chains.n - 1), counts, rank)[0])
        measured = time.monotonic()
        state, info = jax.block_until_ready(functions.update(state, chains, batch))
        updated = time.monotonic()
        times = {
            "seconds": updated - begun,
            "sample_s": sampled - begun,
            "local_energy_s": evaluated - sampled,
            "solve_s": updated - measured,
        }

        def line() -> dict[str, Any]:
            of_h = of_energy(batch, shared, sampler.chain_length, sampler.weighted) if lower else batch
            whole = metrics(of_h, shared.counts, info, times, sampler.chain_length)
            if lower:
                whole |= overlap_line(fidelities([shared.overlaps], [batch.w_A], sampler))
                whole["penalised_energy"] = float(np.real(batch.estimate.mean))
            if tally is None:
                return whole
            return whole | line_of(numbers_of(tally.results())) | {"observables_s": measured - evaluated}

        return state, Record(line, lambda line: messages(state, line))

    def messages(state: RunState, line: dict[str, Any]) -> list[str]:
        nonlocal told_frozen, told_unsolved, told_fallback
        found, step = [], int(state.step)
        if line["rejected"]:
            why = guard.why_rejected(line, operator.bounds)
            found.append(
                f"step {step} rejected: {why}; back to the last good parameters, steps scaled by "
                f"{float(state.memory.scale):g} ({int(state.memory.rejected)} in a row of {max_rejected})"
            )
        is_unsolved = line.get("cg_converged") == 0
        if is_unsolved and not told_unsolved and not line["rejected"]:
            found.append(
                f"step {step}: conjugate gradients ended after {line['cg_iterations']:.0f} iterations at a residual of "
                f"{line['cg_residual']:.1g}, above optimizer.cg_tolerance; {CG_ADVICE}"
            )
        told_unsolved = is_unsolved
        if line.get("fallback") == 1 and not told_fallback:
            found.append(f"step {step}: {NO_FACTOR}")
        told_fallback = line.get("fallback") == 1
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

        tally = Tally(seen, of_chains.sampler)

        def energy(params: Tree) -> Final | None:
            nonlocal tally
            tally = Tally(seen, of_chains.sampler)
            return functions.final(params, final_chain_length, go_on, learnt, also, state if lower else None)

        def also(params: Tree, samples: Samples, counts: dict[str, Array]) -> None:
            for number in range(of_chains.n) if observables else ():
                tally.add(measure(params, of_chains.pick(samples, number), counts, rank)[0])

        params = averaged(state.params, memory.average)
        final = energy(params)
        if final is not None and not believable(final, operator.bounds):
            # the result of the last update is not evaluated yet: it may have gone too far
            how = "is not finite" if not math.isfinite(final.variance) else "is none that the spectrum has"
            say(f"the energy after the last step {how}: evaluating the last good parameters instead")
            params = averaged(memory.good.params, memory.good.average)
            final = energy(params)
        if final is None:
            return None
        against: Any = no_second if second is None else "the energy is impossible"
        if second is not None and believable(final, operator.bounds):
            so_far = with_error(final.mean.real, final.error)
            say(f"energy {so_far}; second ensemble: other starts, other moves, the same parameters")
            found = (compare or checked_against)(params, final, go_on)
            if found is None:
                return None
            against = found
            say(in_words(found))
        of_final, judge = final, end(final, system, int(state.step), against)

        def ended(lines: list[dict[str, Any]], reference: dict[str, Any] | None) -> Ending:
            whole = judge(lines, reference)
            if not observables:
                return whole
            found = tally.results()
            return whole._replace(
                line=whole.line | {"observables": told(found)},
                warnings=(*whole.warnings, *disagreeing(found)),
                results=(energy_result(of_final, UNIT), *found),
            )

        return ended

    def checked_against(params: Tree, final: Final, go_on: Callable[[], bool]) -> Compared | None:
        """The second ensemble, of the same compiled energies; None if it was told to stop."""
        assert second is not None
        begun, n_rows = time.monotonic(), sampler.n_samples // comm.size
        # of the types that samplers give, so that no program is compiled again
        w_B, nothing = jnp.full(n_rows, 1.0 / sampler.n_samples), dict.fromkeys(final.counts, jnp.float64(0))

        def energies(params: Tree, s_BN: Array) -> Array:
            return functions.energies(params, Samples(s_BN, w_B), nothing)[0].e_loc_A

        of_others = second.run(params, energies, n_rows, go_on)
        if of_others is None:
            return None
        return compared(final.e_loc_A, final.w_A, final.chain_length, final.error, *of_others, begun)

    def summary(line: dict[str, Any], reference: dict[str, Any] | None) -> dict[str, Any]:
        sizes: dict[str, Any] = {
            "n_sites": system.n_sites,
            "n_degrees": system.n_degrees,
            "n_samples": sampler.n_samples,
        }
        own = energy_summary(line, reference, e_infinity=system.e_infinity, **sizes)
        return own | {"observables": line["observables"]} if "observables" in line else own

    def given(state: RunState, params: Tree, learnt: Tree | None = None) -> RunState:
        del learnt  # what it optimizes is another wave function
        good = state.memory.good._replace(params=params)
        return state._replace(params=params, memory=state.memory._replace(good=good))

    def programs(*, fresh: bool) -> list[Program]:
        found = functions.programs(fresh=fresh)
        if second is None or compare is not None:
            return found
        return [*found, *second.programs(jax.eval_shape(functions.init).params)]

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
        shown=(*SHOWN, *quantities(observables)),
        growing=(),
        programs=programs,
        jitted=(*functions.jitted, measure, *(() if second is None else second.jitted)),
        functions=functions,
    )
