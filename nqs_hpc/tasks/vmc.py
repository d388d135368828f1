"""Variational Monte Carlo: what one step computes, in three compiled parts that can be timed, and an evaluation of
frozen parameters from the same programs.

A step takes theta_t, samples |psi(theta_t)|^2, estimates the energy and moves to theta_(t+1), past the guard of
rejected steps (`tasks.guard`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.gradient.flat import flat
from nqs_hpc.operators.local_values import MEMORY
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.tasks import guard
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.tasks.final import Final, joined
from nqs_hpc.tasks.measurement import Shared
from nqs_hpc.tasks.trees import choose, strong
from nqs_hpc.types import Ansatz, Batch, Operator, RunState, Sampler, Samples, Tree, Update

CHAINS = "samples"  # the name of the sampler's state among the chains of a run


class Vmc(NamedTuple):
    """Compiled functions; ``update`` alone changes the state, so a step that is not finished has not happened."""

    init: Callable[[], RunState]  # random parameters, fresh chains
    warmed: Callable[[RunState], RunState]  # the same with its chains warmed up
    sample: Callable[[RunState], tuple[Tree, Samples, dict[str, Array]]]  # chains moved on, samples, counts
    evaluate: Callable[[Tree, Samples, dict[str, Array]], tuple[Batch, Shared]]
    update: Callable[[RunState, Tree, Batch], tuple[RunState, dict[str, Array]]]
    # params, samples a chain at least, whether to go on (asked before each part), chains whose sampler has learnt
    # something, what else sees the samples -> their energy from fresh chains, or None where it was told to stop
    final: Callable[..., Final | None]
    jitted: tuple[Any, ...]  # every function that is compiled in a run, for those who count compilations
    programs: Callable[..., list[Program]]  # fresh: bool -> the large ones with their arguments, largest first


def vmc(
    ansatz: Ansatz,
    operator: Operator,
    sampler: Sampler,
    update: Update,
    comm: Comm,
    *,
    seed: int,
    chunk: int | None,
    memory: int = MEMORY,
    average: float | None = None,
    broadcast: bool = False,
) -> Vmc:
    """The parts of one step, and the final evaluation.

    ``final`` draws new chains and warms them up, with random numbers of their own, so that its samples are not
    those that trained; they and their energies come from the compiled programs of a step. ``average``: decay of the
    running mean of theta. ``broadcast``: every rank takes rank 0's step.
    """

    rank = np.int32(comm.rank)  # data of every program, a constant of none: all ranks compile the same ones

    def first_state(chains: Tree) -> RunState:
        params = ansatz.init(jax.random.wrap_key_data(jnp.asarray(purpose_key(seed, Purpose.PARAMETERS))))
        memory = guard.fresh(params, update.init(params), average=average)
        return strong(RunState(jnp.int32(0), params, {CHAINS: chains}, memory))

    # One compiled program draws all samples: those of a step, of a warm-up and of the final evaluation.
    draw = jax.jit(sampler.sample)
    fresh_chains = jax.jit(sampler.init)
    evaluate_jit = jax.jit(
        evaluation(ansatz, operator, comm, chain_length=sampler.chain_length, chunk=chunk, memory=memory)
    )

    def evaluate(params: Tree, samples: Samples, counts: dict[str, Array]) -> tuple[Batch, Shared]:
        return evaluate_jit(params, samples, counts, rank)

    def warm_up(params: Tree, chains: Tree, purpose: Purpose) -> Tree:
        for call in range(sampler.warmup_calls):
            chains, _, _ = draw(purpose_key(seed, purpose, stage=call), params, chains)
        return chains

    def sample(state: RunState) -> tuple[Tree, Samples, dict[str, Array]]:
        return draw(purpose_key(seed, Purpose.SAMPLE, int(state.step)), state.params, state.chains[CHAINS])

    def final(
        params: Tree,
        samples_a_chain: int,
        go_on: Callable[[], bool] = lambda: True,
        learnt: Tree | None = None,
        also: Callable[[Tree, Samples, dict[str, Array]], None] = lambda *call: None,
    ) -> Final | None:
        chains = fresh_chains(purpose_key(seed, Purpose.FINAL_CHAINS), rank)
        if sampler.inherit is not None and learnt is not None:
            chains = sampler.inherit(chains, learnt)
        chains = warm_up(params, chains, Purpose.FINAL_WARMUP)
        n_calls = -(-samples_a_chain // sampler.chain_length) if sampler.chain_length else 1
        parts = []
        for call in range(n_calls):
            if not go_on():
                return None
            chains, samples, counts = draw(purpose_key(seed, Purpose.FINAL_SAMPLE, stage=call), params, chains)
            parts.append(evaluate(params, samples, counts))
            also(params, samples, counts)
        return joined(parts, sampler)

    def take(state: RunState, chains: Tree, batch: Batch) -> tuple[RunState, dict[str, Array]]:
        memory = state.memory
        delta, next_update, info = update.step(state.params, memory.update, batch, state.step, memory.scale)
        if sampler.adapt is not None:
            chains, learnt = sampler.adapt(chains, batch.e_loc_A)
            info = info | learnt
        if broadcast:
            form = flat(delta, "real")
            vector_P = form.ravel(delta)
            delta = form.unravel(comm.sum(jnp.where(batch.rank == 0, vector_P, jnp.zeros_like(vector_P))))

        found = guard.guarded(state.params, memory, batch, delta, next_update, bounds=operator.bounds, average=average)
        # chains that walked under parameters without possible energies are of no use to those before
        kept = {CHAINS: choose(found.believable, chains, state.chains[CHAINS])}
        new_state = RunState(state.step + 1, found.params, kept, found.memory)
        return new_state, info | {"rejected": ~found.accepted, "scale": memory.scale}

    update_step, start = jax.jit(take), jax.jit(first_state)

    def programs(*, fresh: bool) -> list[Program]:
        key = jax.ShapeDtypeStruct((2,), np.uint32)
        chains = jax.eval_shape(fresh_chains, key, rank)
        state = jax.eval_shape(start, chains)
        moved, samples, counts = jax.eval_shape(draw, key, state.params, state.chains[CHAINS])
        evaluated = (state.params, samples, counts, rank)
        batch, _ = jax.eval_shape(evaluate_jit, *evaluated)
        return [
            Program(update_step, (state, moved, batch)),
            Program(evaluate_jit, evaluated),
            Program(draw, (key, state.params, state.chains[CHAINS])),
        ] + [Program(start, (chains,))] * fresh

    return Vmc(
        init=lambda: start(fresh_chains(purpose_key(seed, Purpose.CHAINS), rank)),
        warmed=lambda state: state._replace(
            chains={CHAINS: warm_up(state.params, state.chains[CHAINS], Purpose.WARMUP)}
        ),
        sample=sample,
        evaluate=evaluate,
        update=update_step,
        final=final,
        jitted=(start, fresh_chains, draw, evaluate_jit, update_step),
        programs=programs,
    )
