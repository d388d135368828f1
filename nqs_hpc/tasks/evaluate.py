"""The expectation values of a wave function whose parameters stay as they are, from fresh chains.

A turn is one call of the sampler. Of few values the series of all calls is kept, of many the sums of bins of chains
(`tasks.observing`), and what they come to is one estimate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.operators.local_values import local_values
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import Purpose, own_purpose, purpose_key
from nqs_hpc.stats.chains import SHORTEST, widened
from nqs_hpc.stats.host import host_estimate
from nqs_hpc.system.basis import Basis
from nqs_hpc.tasks.chains import outside
from nqs_hpc.tasks.final import Final, System, believable, ending, in_chains
from nqs_hpc.tasks.ground_state import UNIT
from nqs_hpc.tasks.lines import energy_summary, rates
from nqs_hpc.tasks.measurement import Shared, check_hashes
from nqs_hpc.tasks.observing import BINS, Seen, name_of, observing, of_sums, results
from nqs_hpc.tasks.second import Compared, SecondEnsemble, compared, in_words
from nqs_hpc.tasks.told import disagreeing, energy_result, line_of, numbers, quantities, told
from nqs_hpc.tasks.trees import strong
from nqs_hpc.types import (
    Ansatz,
    Ending,
    Observable,
    Operator,
    Progress,
    Quantity,
    Record,
    Result,
    RunState,
    Sampler,
    Samples,
    Task,
    Tree,
)

CHAINS = "samples"
BEGIN, WARM_UP, SAMPLE = (own_purpose(f"evaluate: {what}") for what in ("chains", "warm-up", "samples"))


class Memory(NamedTuple):
    """What all calls so far have given, and its sums, so that a line costs no pass over all of it. Sums of the series
    are of the distance from the mean of the first call.
    """

    values_TK: Array  # complex128, A rows a call, those that are not drawn yet 0: of the energy, then of observables
    w_T: Array  # weights of a call, which sum to 1 in each
    first_K: Array  # mean of the first call
    sums_CK: Array  # weighted, of each chain; of samples that no chain joins, of some blocks of each call
    w_C: Array
    squares_K: Array  # weighted, of the modulus
    bins_ED: Array  # of each bin of chains sum w and sum w x
    whole_D: Array  # weighted sums of what is not a mean of local values
    counts: dict[str, Array]  # of the sampler, summed over ranks and calls
    reached: Array  # float64, the number of the goal that is reached (`Goal.number`); 0: none


class Goal(NamedTuple):
    """The error at which an evaluation ends."""

    error: float
    of: str  # energy, or the name of a result that is a number

    @property
    def number(self) -> float:
        """Tells this goal from others: a later start may ask for another."""
        return float(own_purpose(f"evaluate: {self.of} to {self.error!r}"))


def evaluate(
    ansatz: Ansatz,
    operator: Operator,
    observables: Mapping[str, Observable],
    sampler: Sampler,
    comm: Comm,
    *,
    basis: Basis,
    system: System,
    n_steps: int,
    goal: Goal | None,
    seed: int,
    chunk: int | None,
    memory: int,
    second: SecondEnsemble | None = None,
    no_second: str = "",
) -> Task:
    """At most ``n_steps`` calls of the sampler with the parameters that `Task.given` brings, until ``goal``.

    ``second``: the ensemble with which the energy is compared at the end; ``no_second``: why there is none.
    """
    rank = np.int32(comm.rank)
    energy = local_values(operator, chunk=chunk, memory=memory)
    draw, fresh_chains = jax.jit(sampler.sample), jax.jit(sampler.init)
    seen = observing(ansatz, [energy], observables, sampler, comm, basis=basis, chunk=chunk, memory=memory)
    measure_jit = jax.jit(seen.measure)
    # the energy alone, of the second ensemble
    alone = observing(ansatz, [energy], {}, sampler, comm, basis=basis, chunk=chunk, memory=memory)
    energies_jit = jax.jit(alone.measure) if observables else measure_jit
    everywhere = jax.jit(comm.max)  # what ranks decide from equal numbers, they decide alike
    n_rows = sampler.n_samples
    is_exact = sampler.chain_length == 0
    n_groups = 1 if is_exact else math.gcd(n_rows, BINS) if sampler.independent else n_rows // sampler.chain_length

    def measure(params: Tree, samples: Samples, counts: dict[str, Array]) -> tuple[Seen, Shared]:
        return measure_jit(params, samples, counts, rank)

    def first_state(chains: Tree) -> RunState:
        params = ansatz.init(jax.random.wrap_key_data(jnp.asarray(purpose_key(seed, Purpose.PARAMETERS))))
        _, _, counts = jax.eval_shape(sampler.sample, jax.ShapeDtypeStruct((2,), np.uint32), params, chains)
        n = seen.n_series
        memory = Memory(
            jnp.zeros((n_steps * n_rows, n), jnp.complex128),
            jnp.zeros(n_steps * n_rows, jnp.float64),
            jnp.zeros(n, jnp.complex128),
            jnp.zeros((n_groups, n), jnp.complex128),
            jnp.zeros(n_groups, jnp.float64),
            jnp.zeros(n, jnp.float64),
            jnp.zeros((seen.n_bins if seen.n_binned else 1, 1 + seen.n_binned), jnp.complex128),
            jnp.zeros(seen.n_whole, jnp.complex128),
            {name: jnp.float64(0) for name in counts},
            jnp.float64(0),
        )
        return strong(RunState(jnp.int32(0), params, {CHAINS: chains}, memory))

    @jax.jit
    def keep(state: RunState, chains: Tree, call: Seen, counts: dict[str, Array]) -> RunState:
        memory, row = state.memory, state.step * n_rows
        first_K = jnp.where(state.step == 0, call.w_A @ call.series_AK, memory.first_K)
        apart_AK = call.w_A[:, None] * (call.series_AK - first_K)
        in_groups = apart_AK.reshape(n_groups, -1, apart_AK.shape[1])
        kept = memory._replace(
            values_TK=jax.lax.dynamic_update_slice(memory.values_TK, call.series_AK, (row, jnp.int32(0))),
            w_T=jax.lax.dynamic_update_slice(memory.w_T, call.w_A, (row,)),
            first_K=first_K,
            sums_CK=memory.sums_CK + jnp.sum(in_groups, axis=1),
            w_C=memory.w_C + jnp.sum(call.w_A.reshape(n_groups, -1), axis=1),
            squares_K=memory.squares_K + call.w_A @ jnp.abs(call.series_AK - first_K) ** 2,
            bins_ED=memory.bins_ED + (call.bins_ED if seen.n_binned else 0),
            whole_D=memory.whole_D + call.whole_D,
            counts={name: memory.counts[name] + counts[name] for name in memory.counts},
        )
        return RunState(state.step + 1, state.params, {CHAINS: chains}, kept)

    start = jax.jit(first_state)

    def warmed(state: RunState) -> RunState:
        chains = state.chains[CHAINS]
        for call in range(sampler.warmup_calls):
            chains, _, _ = draw(purpose_key(seed, WARM_UP, stage=call), state.params, chains)
        return state._replace(chains={CHAINS: chains})

    def given(state: RunState, params: Tree, learnt: Tree | None = None) -> RunState:
        chains = state.chains[CHAINS]
        if sampler.inherit is not None and learnt is not None:
            chains = sampler.inherit(chains, learnt)
        return state._replace(params=params, chains={CHAINS: chains})

    def turn(state: RunState) -> tuple[RunState, Record]:
        begun = time.monotonic()
        step = int(state.step)
        key = purpose_key(seed, SAMPLE, stage=step)
        chains, samples, counts = jax.block_until_ready(draw(key, state.params, state.chains[CHAINS]))
        sampled = time.monotonic()
        call, shared = jax.block_until_ready(measure(state.params, samples, counts))
        check_hashes(shared.hash_R, step)
        state = jax.block_until_ready(keep(state, chains, call, shared.counts))
        if goal is not None:
            reached = everywhere(jnp.float64(goal.number * is_reached(state, goal)))
            state = state._replace(memory=state.memory._replace(reached=reached))
        measured = time.monotonic()
        times = {"seconds": measured - begun, "sample_s": sampled - begun, "local_energy_s": measured - sampled}
        return state, Record(lambda: line(state, times), lambda line: [])

    def is_reached(state: RunState, goal: Goal) -> bool:
        """Of chains that are long enough to know their error."""
        if not (is_exact or sampler.independent) and int(state.step) * sampler.chain_length < SHORTEST:
            return False
        _, error = so_far(state)[goal.of]
        if not error <= goal.error:
            return False
        return float(next(one.error for one in everything(state) if one.name == goal.of)) <= goal.error

    def everything(state: RunState) -> list[Result]:
        """All results, the energy in front, with errors that know tau where chains are few."""
        values_TK, w_T, length = series(state)
        bins_ED = np.asarray(state.memory.bins_ED)
        whole_D = np.asarray(state.memory.whole_D, complex) / int(state.step)
        of_energy = energy_result(final(values_TK[:, 0], w_T, length, state), UNIT)
        return [of_energy, *results(seen, (values_TK, w_T, length), bins_ED, whole_D)]

    def series(state: RunState) -> tuple[np.ndarray, np.ndarray, int]:
        """The series (T, K) and the weights (T,) of all calls chain by chain, and the length of a chain; 0: exact."""
        n_calls = int(state.step)
        values_cAK = np.asarray(state.memory.values_TK)[: n_calls * n_rows].reshape(n_calls, n_rows, -1)
        w_cA = np.asarray(state.memory.w_T)[: n_calls * n_rows].reshape(n_calls, n_rows)
        columns = [in_chains(list(values_cA), list(w_cA), sampler) for values_cA in np.moveaxis(values_cAK, 2, 0)]
        w_T = columns[0][1] if sampler.weighted else in_chains(list(w_cA), list(w_cA), sampler)[0] / n_calls
        return np.stack([values_T for values_T, _, _ in columns], axis=1), w_T, columns[0][2]

    def final(values_T: np.ndarray, w_T: np.ndarray, length: int, state: RunState) -> Final:
        """Of the energy. The error is of the real part: where psi is complex the imaginary part has the mean 0."""
        counts = {name: float(value) for name, value in state.memory.counts.items()}
        one = host_estimate(values_T, w_T, length)
        error = widened(host_estimate(values_T.real, w_T, length).error, values_T.real, length, w_T)
        return Final(values_T, w_T, one.mean, error, one.variance, counts, length)

    def so_far(state: RunState) -> dict[str, tuple[float, float]]:
        """Value and error, from the sums, of the energy and of each result that is a number."""
        memory = jax.device_get(state.memory._replace(values_TK=(), w_T=()))
        sums_CK = memory.sums_CK + memory.w_C[:, None] * memory.first_K
        of_energy = of_sums(sums_CK[:, :1], memory.w_C, is_exact, Observable())[""]
        found = {"energy": (float(of_energy.value), float(of_energy.error))}
        for label, one in seen.kept.items():
            if one.where == "whole" or not any(output.shape == () for output in one.observable.outputs):
                continue
            sums, weights = sums_CK, memory.w_C
            if one.where == "bins":
                sums, weights = memory.bins_ED, memory.bins_ED[:, 0].real
            elif one.observable.joined > 1 and not is_exact:
                sums, weights = (
                    x.reshape(-1, one.observable.joined, *x.shape[1:]).sum(axis=1) for x in (sums, weights)
                )
            estimated = of_sums(sums[:, one.columns], weights, is_exact, one.observable)
            for output in one.observable.outputs:
                if output.shape == ():
                    value, error = estimated[output.name]
                    found[name_of(label, output)] = (float(value), float(error))
        return found

    def line(state: RunState, times: dict[str, float]) -> dict[str, Any]:
        """The values of all calls so far."""
        found, memory = so_far(state), state.memory
        n_samples, n_calls = int(state.step) * n_rows, int(state.step)
        counts = {name: float(value) for name, value in memory.counts.items()}
        apart = complex(jnp.sum(memory.sums_CK[:, 0])) / n_calls
        variance = float(memory.squares_K[0]) / n_calls - abs(apart) ** 2
        value, error = found.pop("energy")
        whole: dict[str, Any] = {"energy": value, "energy_error": error, "energy_variance": variance}
        whole |= {**rates(counts, n_samples), "n_samples": n_samples}
        return whole | line_of(found) | times

    def finish(
        state: RunState, go_on: Callable[[], bool], say: Callable[[str], None]
    ) -> Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending] | None:
        values_TK, w_T, length = series(state)
        of_energy = final(values_TK[:, 0], w_T, length, state)
        against: Compared | str = no_second if second is None else "the energy is impossible"
        if second is not None and believable(of_energy, operator.bounds):
            found = checked_against(second, state.params, of_energy, go_on)
            if found is None:
                return None
            against = found
            say(in_words(found))
        # A network of couplings stands for the ground state at them. What else is measured need not be one,
        # and has no V-score, which is of eigenstates.
        judged = system if ansatz.bound is not None else system._replace(n_sites=0)
        judge = ending(of_energy, judged, int(state.step), against)

        def ended(lines: list[dict[str, Any]], reference: dict[str, Any] | None) -> Ending:
            del lines  # their energies are of the same samples
            whole = judge([], reference)
            first, *found = everything(state)
            return whole._replace(
                line=whole.line | {"observables": told(found)},
                warnings=(*whole.warnings, *_missed(goal, [first, *found]), *disagreeing(found)),
                results=(first, *found),
            )

        return ended

    def checked_against(
        second: SecondEnsemble, params: Tree, final: Final, go_on: Callable[[], bool]
    ) -> Compared | None:
        """The second ensemble; None if it was told to stop."""
        begun, n_own = time.monotonic(), n_rows // comm.size
        w_B, nothing = jnp.full(n_own, 1.0 / n_rows), dict.fromkeys(final.counts, jnp.float64(0))

        def energies(params: Tree, s_BN: Array) -> Array:
            return energies_jit(params, Samples(s_BN, w_B), nothing, rank)[0].series_AK[:, 0]

        of_others = second.run(params, energies, n_own, go_on)
        if of_others is None:
            return None
        return compared(final.e_loc_A, final.w_A, final.chain_length, final.error, *of_others, begun)

    def summary(line: dict[str, Any], reference: dict[str, Any] | None) -> dict[str, Any]:
        sizes: dict[str, Any] = {"n_sites": system.n_sites, "n_degrees": system.n_degrees, "n_samples": n_rows}
        own = energy_summary(line, reference, e_infinity=system.e_infinity, **sizes)
        at = {one.label: one.key for one in numbers(observables)}
        newest = {name: {"mean": line.get(key), "error": line.get(f"{key}_error")} for name, key in at.items()}
        return own | {"observables": line.get("observables", newest)}

    def programs(*, fresh: bool) -> list[Program]:
        key = jax.ShapeDtypeStruct((2,), np.uint32)
        chains = jax.eval_shape(fresh_chains, key, rank)
        state = jax.eval_shape(start, chains)
        _, samples, counts = jax.eval_shape(draw, key, state.params, chains)
        of_second = [] if second is None else second.programs(state.params)
        return [
            Program(measure_jit, (state.params, samples, counts, rank)),
            Program(draw, (key, state.params, chains)),
            *of_second,
        ] + [Program(start, (chains,))] * fresh

    return Task(
        init=lambda: start(fresh_chains(purpose_key(seed, BEGIN), rank)),
        warmed=warmed,
        given=given,
        turn=turn,
        progress=lambda state: _progress(state, n_steps, goal),
        failed=lambda state: "",
        retried=lambda state: state,
        finish=finish,
        summary=summary,
        impossible=lambda state: outside(state.chains, basis.hilbert),
        shown=(Quantity("energy", "E", UNIT, "error", "energy_error"), *quantities(observables)),
        growing=("memory/values_TK", "memory/w_T"),
        programs=programs,
        jitted=(start, fresh_chains, draw, measure_jit, keep, everywhere, *(() if second is None else second.jitted)),
    )


def _missed(goal: Goal | None, results: list[Result]) -> tuple[str, ...]:
    """A line where the error that was asked for is not reached."""
    if goal is None:
        return ()
    error = next(float(one.error) for one in results if one.name == goal.of)
    if error <= goal.error:
        return ()
    return (f"the error of {goal.of}, {error:.2g}, is above task.error={goal.error:g}: raise task.samples",)


def _progress(state: RunState, n_steps: int, goal: Goal | None) -> Progress:
    step = int(state.step)
    return Progress(step, step if goal is not None and float(state.memory.reached) == goal.number else n_steps)
