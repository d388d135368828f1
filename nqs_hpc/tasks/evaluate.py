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
from nqs_hpc.tasks.final import Final, System, ending, in_chains
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
    """The local values of all calls so far; rows that are not drawn yet are 0."""

    values_TK: Array  # complex128, A rows a call: of the energy, then of each observable
    w_T: Array  # weights of a call, which sum to 1 in each
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
    measure = jax.jit(measurement(ansatz, [energy, *(observables[name].local for name in names)], comm))
    n_rows = sampler.n_samples

    def first_state(chains: Tree) -> RunState:
        params = ansatz.init(jax.random.wrap_key_data(jnp.asarray(purpose_key(seed, Purpose.PARAMETERS))))
        _, _, counts = jax.eval_shape(sampler.sample, jax.ShapeDtypeStruct((2,), np.uint32), params, chains)
        memory = Memory(
            jnp.zeros((n_steps * n_rows, 1 + len(names)), jnp.complex128),
            jnp.zeros(n_steps * n_rows, jnp.float64),
            {name: jnp.float64(0) for name in counts},
        )
        return strong(RunState(jnp.int32(0), params, {CHAINS: chains}, memory))

    @jax.jit
    def keep(state: RunState, chains: Tree, values_AK: Array, w_A: Array, counts: dict[str, Array]) -> RunState:
        memory, row = state.memory, state.step * n_rows
        kept = Memory(
            jax.lax.dynamic_update_slice(memory.values_TK, values_AK, (row, jnp.int32(0))),
            jax.lax.dynamic_update_slice(memory.w_T, w_A, (row,)),
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
            error = widened(one.error, values_A, length)
            found.append(Final(values_A, weights_A, one.mean, error, one.variance, counts, length))
        return found

    def line(state: RunState, times: dict[str, float]) -> dict[str, Any]:
        """The values of all calls so far."""
        found = estimates(state)
        whole = {
            "energy": found[0].mean.real,
            "energy_error": found[0].error,
            "energy_variance": found[0].variance,
            **rates(found[0].counts, len(found[0].e_loc_A)),
            "n_samples": len(found[0].e_loc_A),
        }
        for name, one in zip(names, found[1:], strict=True):
            whole |= {name: one.mean.real, f"{name}_error": one.error}
        return whole | times

    def finish(
        state: RunState, go_on: Callable[[], bool], say: Callable[[str], None]
    ) -> Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending] | None:
        del go_on, say  # nothing is left to compute
        found = estimates(state)
        judge = ending(found[0], system, int(state.step))

        def ended(lines: list[dict[str, Any]], reference: dict[str, Any] | None) -> Ending:
            whole = judge([], reference)  # the energies of earlier lines are of the same samples
            measured = {name: _told(one, observables[name].unit) for name, one in zip(names, found[1:], strict=True)}
            return whole._replace(line=whole.line | {"observables": measured})

        return ended

    def summary(line: dict[str, Any], reference: dict[str, Any] | None) -> dict[str, Any]:
        n_sites, e_infinity = system.n_sites, system.e_infinity
        own = energy_summary(line, reference, n_sites=n_sites, e_infinity=e_infinity, n_samples=n_rows)
        so_far = {name: {"mean": line.get(name), "error": line.get(f"{name}_error")} for name in names}
        return own | {"observables": line.get("observables", so_far)}

    def programs(*, fresh: bool) -> list[Program]:
        key = jax.ShapeDtypeStruct((2,), np.uint32)
        chains = jax.eval_shape(fresh_chains, key, rank)
        state = jax.eval_shape(start, chains)
        _, samples, counts = jax.eval_shape(draw, key, state.params, chains)
        return [
            Program(measure, (state.params, samples, counts)),
            Program(draw, (key, state.params, chains)),
        ] + [Program(start, (chains,))] * fresh

    own = [Quantity(name, name, observables[name].unit, "error", f"{name}_error") for name in names]
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
