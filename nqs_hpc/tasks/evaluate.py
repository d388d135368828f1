"""The expectation values of a wave function whose parameters stay as they are, from fresh chains.

A turn is one call of the sampler; the local values of all calls are kept, and what they come to is one estimate.
"""

from __future__ import annotations

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
from nqs_hpc.stats.chains import diagnostics, widened
from nqs_hpc.stats.host import host_estimate
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.tasks.chains import outside
from nqs_hpc.tasks.final import WORST_R_HAT, Final, System, ending, in_chains
from nqs_hpc.tasks.ground_state import UNIT
from nqs_hpc.tasks.lines import energy_summary, rates
from nqs_hpc.tasks.measurement import check_hashes, measurement
from nqs_hpc.tasks.trees import strong
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
    Task,
    Tree,
)

CHAINS = "samples"
BEGIN, WARM_UP, SAMPLE = (own_purpose(f"evaluate: {what}") for what in ("chains", "warm-up", "samples"))


class Memory(NamedTuple):
    """The local values of all calls so far, rows that are not drawn yet 0, and their sums, so that a line costs no pass
    over all of them. Sums are of the distance from the mean of the first call.
    """

    values_TK: Array  # complex128, A rows a call: of the energy, then of each observable
    w_T: Array  # weights of a call, which sum to 1 in each
    first_K: Array  # mean of the first call
    sums_CK: Array  # of each chain; of samples that no chain joins, of all of them in one row
    squares_K: Array  # of the modulus
    spread_K: Array  # of the real part
    counts: dict[str, Array]  # of the sampler, summed over ranks and calls


def evaluate(
    ansatz: Ansatz,
    operator: Operator,
    observables: Mapping[str, Observable],
    sampler: Sampler,
    comm: Comm,
    *,
    hilbert: Hilbert,
    system: System,
    n_steps: int,
    seed: int,
    chunk: int | None,
    memory: int,
) -> Task:
    """``n_steps`` calls of the sampler with the parameters that `Task.given` brings."""
    rank = np.int32(comm.rank)
    energy = local_values(operator, chunk=chunk, memory=memory)
    names = list(observables)
    draw, fresh_chains = jax.jit(sampler.sample), jax.jit(sampler.init)
    measured = [one.local for one in observables.values() if one.local is not None]
    measure = jax.jit(measurement(ansatz, [energy, *measured], comm))
    n_rows = sampler.n_samples
    joined_by_chains = sampler.chain_length > 0 and not sampler.independent
    n_chains = n_rows // sampler.chain_length if joined_by_chains else 1

    def first_state(chains: Tree) -> RunState:
        params = ansatz.init(jax.random.wrap_key_data(jnp.asarray(purpose_key(seed, Purpose.PARAMETERS))))
        _, _, counts = jax.eval_shape(sampler.sample, jax.ShapeDtypeStruct((2,), np.uint32), params, chains)
        n_values = 1 + len(names)
        memory = Memory(
            jnp.zeros((n_steps * n_rows, n_values), jnp.complex128),
            jnp.zeros(n_steps * n_rows, jnp.float64),
            jnp.zeros(n_values, jnp.complex128),
            jnp.zeros((n_chains, n_values), jnp.complex128),
            jnp.zeros(n_values, jnp.float64),
            jnp.zeros(n_values, jnp.float64),
            {name: jnp.float64(0) for name in counts},
        )
        return strong(RunState(jnp.int32(0), params, {CHAINS: chains}, memory))

    @jax.jit
    def keep(state: RunState, chains: Tree, values_AK: Array, w_A: Array, counts: dict[str, Array]) -> RunState:
        memory, row = state.memory, state.step * n_rows
        first_K = jnp.where(state.step == 0, jnp.mean(values_AK, axis=0), memory.first_K)
        apart_AK = values_AK - first_K
        by_chain = apart_AK.reshape(n_chains, -1, apart_AK.shape[1])
        kept = Memory(
            jax.lax.dynamic_update_slice(memory.values_TK, values_AK, (row, jnp.int32(0))),
            jax.lax.dynamic_update_slice(memory.w_T, w_A, (row,)),
            first_K,
            memory.sums_CK + jnp.sum(by_chain, axis=1),
            memory.squares_K + jnp.sum(jnp.abs(apart_AK) ** 2, axis=0),
            memory.spread_K + jnp.sum(jnp.real(apart_AK) ** 2, axis=0),
            {name: memory.counts[name] + counts[name] for name in memory.counts},
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
        values_AK, w_A, shared = jax.block_until_ready(measure(state.params, samples, counts))
        check_hashes(shared.hash_R, step)
        state = jax.block_until_ready(keep(state, chains, values_AK, w_A, shared.counts))
        measured = time.monotonic()
        times = {"seconds": measured - begun, "sample_s": sampled - begun, "local_energy_s": measured - sampled}
        return state, Record(lambda: line(state, times), lambda line: [])

    def estimates(state: RunState) -> list[Final]:
        """Of the energy and of each observable, from all calls so far."""
        n_calls, counts = int(state.step), {name: float(value) for name, value in state.memory.counts.items()}
        values_TK = np.asarray(state.memory.values_TK)[: n_calls * n_rows]
        w_A = np.asarray(state.memory.w_T)[:n_rows]
        found = []
        for values_T in values_TK.T:
            values_A, weights_A, length = in_chains(list(values_T.reshape(n_calls, n_rows)), w_A, sampler)
            one = host_estimate(values_A, weights_A, length)
            # of the real part, which is the value: where psi is complex local values have an imaginary part of mean 0
            error = widened(host_estimate(values_A.real, weights_A, length).error, values_A.real, length)
            found.append(Final(values_A, weights_A, one.mean, error, one.variance, counts, length))
        return found

    def so_far(state: RunState) -> list[tuple[float, float, float]]:
        """Mean, error and variance of each value from the sums."""
        if not joined_by_chains and not sampler.independent:  # exact sums: one call
            return [(one.mean.real, one.error, one.variance) for one in estimates(state)]
        memory = jax.device_get(state.memory._replace(values_TK=(), w_T=()))
        n_samples = int(state.step) * n_rows
        apart_K = memory.sums_CK.sum(axis=0) / n_samples
        mean_K, variance_K = memory.first_K + apart_K, memory.squares_K / n_samples - np.abs(apart_K) ** 2
        if joined_by_chains:
            means_CK = memory.sums_CK.real / (n_samples // n_chains)
            error_K = np.sqrt(np.sum((means_CK - apart_K.real) ** 2, axis=0) / n_chains / max(n_chains - 1, 1))
        else:
            error_K = np.sqrt((memory.spread_K / n_samples - apart_K.real**2) / (n_samples - 1))
        if n_chains == 1 and joined_by_chains:
            error_K = np.full_like(error_K, np.nan)
        return list(zip(mean_K.real.tolist(), error_K.tolist(), variance_K.tolist(), strict=True))

    def line(state: RunState, times: dict[str, float]) -> dict[str, Any]:
        """The values of all calls so far."""
        (energy, error, variance), *others = so_far(state)
        n_samples = int(state.step) * n_rows
        counts = {name: float(value) for name, value in state.memory.counts.items()}
        whole: dict[str, Any] = {"energy": energy, "energy_error": error, "energy_variance": variance}
        whole |= {**rates(counts, n_samples), "n_samples": n_samples}
        for name, (mean, error, _) in zip(names, others, strict=True):
            whole |= {f"observables.{name}": mean, f"observables.{name}_error": error}
        return whole | times

    def finish(
        state: RunState, go_on: Callable[[], bool], say: Callable[[str], None]
    ) -> Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending] | None:
        del go_on, say  # nothing is left to compute
        found = estimates(state)
        judge = ending(found[0], system._replace(n_sites=0), int(state.step))  # no V-score, which is of eigenstates

        def ended(lines: list[dict[str, Any]], reference: dict[str, Any] | None) -> Ending:
            # what is measured need not be a ground state, and the energies of earlier lines are of the same samples
            whole = judge([], None)
            measured = {name: _told(one, observables[name].outputs[0].unit) for name, one in zip(names, found[1:], strict=True)}
            odd = [
                name for name, one in measured.items() if one["r_hat"] is not None and not one["r_hat"] < WORST_R_HAT
            ]
            said = tuple(f"R-hat of {name} {measured[name]['r_hat']:.3f}: its chains do not agree" for name in odd)
            return whole._replace(line=whole.line | {"observables": measured}, warnings=(*whole.warnings, *said))

        return ended

    def summary(line: dict[str, Any], reference: dict[str, Any] | None) -> dict[str, Any]:
        n_sites, e_infinity = system.n_sites, system.e_infinity
        own = energy_summary(line, reference, n_sites=n_sites, e_infinity=e_infinity, n_samples=n_rows)
        at = {name: f"observables.{name}" for name in names}
        newest = {name: {"mean": line.get(key), "error": line.get(f"{key}_error")} for name, key in at.items()}
        return own | {"observables": line.get("observables", newest)}

    def programs(*, fresh: bool) -> list[Program]:
        key = jax.ShapeDtypeStruct((2,), np.uint32)
        chains = jax.eval_shape(fresh_chains, key, rank)
        state = jax.eval_shape(start, chains)
        _, samples, counts = jax.eval_shape(draw, key, state.params, chains)
        return [
            Program(measure, (state.params, samples, counts)),
            Program(draw, (key, state.params, chains)),
        ] + [Program(start, (chains,))] * fresh

    own = [
        Quantity(f"observables.{name}", name, observables[name].outputs[0].unit, "error", f"observables.{name}_error")
        for name in names
    ]
    return Task(
        init=lambda: start(fresh_chains(purpose_key(seed, BEGIN), rank)),
        warmed=warmed,
        given=given,
        turn=turn,
        progress=lambda state: Progress(int(state.step), n_steps),
        failed=lambda state: "",
        retried=lambda state: state,
        finish=finish,
        summary=summary,
        impossible=lambda state: outside(state.chains, hilbert),
        shown=(Quantity("energy", "E", UNIT, "error", "energy_error"), *own),
        growing=("memory/values_TK", "memory/w_T"),
        programs=programs,
        jitted=(start, fresh_chains, draw, measure, keep),
    )


def _told(found: Final, unit: str) -> dict[str, Any]:
    """An expectation value as summary.json has it; tau in samples, R-hat null below 16 samples a chain."""
    judged = diagnostics(found.e_loc_A, found.w_A, found.chain_length, error=found.error)
    return {
        "mean": found.mean.real,
        "error": found.error,
        "variance": found.variance,
        "unit": unit,
        **judged,
    }
