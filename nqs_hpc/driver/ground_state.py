"""The ground state by variational Monte Carlo: what one step computes, in three compiled parts that can be timed.

A step takes theta_t, samples |psi(theta_t)|^2, estimates the energy and moves to theta_(t+1). A step whose energies or
update are not finite, or whose energies no state of the spectrum could have, is not taken: the state goes back to the
last parameters with possible energies, and the step size is halved; each step whose outcome proves possible then lets
it grow by 2^(1/8) until it is what the learning rate says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.driver.evaluate import Shared, evaluation
from nqs_hpc.gradient.flat import flat
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.stats.chains import widened
from nqs_hpc.stats.estimate import estimate
from nqs_hpc.types import Ansatz, Average, Batch, Good, Operator, RunState, Sampler, Samples, Tree, Update

LOWER = 0.5
RAISE = 2.0 ** (1 / 8)


estimate_jit = jax.jit(estimate, static_argnums=2)


class Final(NamedTuple):
    """The evaluation of frozen parameters: gathered local energies and weights, the energy, the sampler's counts."""

    e_loc_A: np.ndarray  # chain by chain
    w_A: np.ndarray
    mean: complex
    error: float
    variance: float
    counts: dict[str, float]
    chain_length: int


class GroundState(NamedTuple):
    """Compiled functions; ``update`` alone changes the state, so a step that is not finished has not happened."""

    init: Callable[[], RunState]  # random parameters, fresh chains
    warmed: Callable[[RunState], RunState]  # the same with its chains warmed up
    sample: Callable[[RunState], tuple[Tree, Samples, dict[str, Array]]]  # chains moved on, samples, counts
    evaluate: Callable[[Tree, Samples, dict[str, Array]], tuple[Batch, Shared]]
    update: Callable[[RunState, Tree, Batch], tuple[RunState, dict[str, Array]]]
    # params, samples a chain at least, whether to go on (asked before each part), chains whose sampler has learnt
    # something -> their energy from fresh chains, or None where it was told to stop
    final: Callable[..., Final | None]
    jitted: tuple[Any, ...]  # every function that is compiled in a run, for those who count compilations
    programs: Callable[..., list[Program]]  # fresh: bool -> the large ones with their arguments, largest first


def ground_state(
    ansatz: Ansatz,
    operator: Operator,
    sampler: Sampler,
    update: Update,
    comm: Comm,
    *,
    seed: int,
    chunk: int | None,
    average: float | None = None,
    broadcast: bool = False,
) -> GroundState:
    """The parts of one step, and the final evaluation.

    ``final`` draws new chains and warms them up, with random numbers of their own, so that its samples are not
    those that trained; they and their energies come from the compiled programs of a step. ``average``: decay of the
    running mean of theta. ``broadcast``: every rank takes rank 0's step.
    """

    rank = np.int32(comm.rank)  # data of every program, a constant of none: all ranks compile the same ones

    def first_state(chains: Tree) -> RunState:
        params = ansatz.init(jax.random.wrap_key_data(jnp.asarray(purpose_key(seed, Purpose.PARAMETERS))))
        mean = None if average is None else Average(jax.tree.map(jnp.zeros_like, params), jnp.float64(0.0))
        state = RunState(
            step=jnp.int32(0),
            params=params,
            sampler=chains,
            update=update.init(params),
            good=Good(params, update.init(params), mean),
            average=mean,
            scale=jnp.float64(1.0),
            rejected=jnp.int32(0),
            untried=jnp.bool_(False),
        )
        # no weak types: a restored state compiles to the same program, with the same bits
        return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), state)

    # One compiled program draws all samples: those of a step, of a warm-up and of the final evaluation.
    draw = jax.jit(sampler.sample)
    fresh_chains = jax.jit(sampler.init)
    evaluate_jit = jax.jit(evaluation(ansatz, operator, comm, chain_length=sampler.chain_length, chunk=chunk))

    def evaluate(params: Tree, samples: Samples, counts: dict[str, Array]) -> tuple[Batch, Shared]:
        return evaluate_jit(params, samples, counts, rank)

    def warm_up(params: Tree, chains: Tree, purpose: Purpose) -> Tree:
        for call in range(sampler.warmup_calls):
            chains, _, _ = draw(purpose_key(seed, purpose, stage=call), params, chains)
        return chains

    def sample(state: RunState) -> tuple[Tree, Samples, dict[str, Array]]:
        return draw(purpose_key(seed, Purpose.SAMPLE, int(state.step)), state.params, state.sampler)

    def final(
        params: Tree, samples_a_chain: int, go_on: Callable[[], bool] = lambda: True, learnt: Tree | None = None
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
        return joined(parts, sampler)

    def take(state: RunState, chains: Tree, batch: Batch) -> tuple[RunState, dict[str, Array]]:
        delta, next_update, info = update.step(state.params, state.update, batch, state.step, state.scale)
        if sampler.adapt is not None:
            chains, learnt = sampler.adapt(chains, batch.e_loc_A)
            info = info | learnt
        if broadcast:
            form = flat(delta, "real")
            vector_P = form.ravel(delta)
            delta = form.unravel(comm.sum(jnp.where(batch.rank == 0, vector_P, jnp.zeros_like(vector_P))))

        believable = jnp.isfinite(batch.estimate.variance) & jnp.all(jnp.isfinite(batch.e_loc_A))
        believable &= possible(batch.estimate.mean, batch.estimate.variance, operator.bounds)
        accepted = believable & finite(delta) & finite(next_update)
        good = choose(believable, Good(state.params, state.update, state.average), state.good)
        # Going back and stepping again proves nothing: only possible energies of what an update made do.
        proven = believable & state.untried
        rejected = jnp.where(proven, 0, state.rejected)
        moved = jax.tree.map(lambda p, d: p + d.astype(p.dtype), state.params, delta)
        params = choose(accepted, moved, good.params)
        mean = good.average
        if average is not None and mean is not None:
            fresh = 1 - average
            kept = Average(
                jax.tree.map(lambda m, p: average * m + fresh * p, mean.params, params),
                average * mean.weight + fresh,
            )
            mean = choose(accepted, kept, mean)
        new_state = RunState(
            step=state.step + 1,
            params=params,
            # chains that walked under parameters without possible energies are of no use to those before
            sampler=choose(believable, chains, state.sampler),
            update=choose(accepted, next_update, good.update),
            good=good,
            average=mean,
            scale=jnp.where(
                accepted, jnp.minimum(1.0, state.scale * jnp.where(proven, RAISE, 1.0)), state.scale * LOWER
            ),
            rejected=jnp.where(accepted, rejected, rejected + 1).astype(jnp.int32),
            untried=accepted,
        )
        return new_state, info | {"rejected": ~accepted, "scale": state.scale}

    update_step, start = jax.jit(take), jax.jit(first_state)

    def programs(*, fresh: bool) -> list[Program]:
        key = jax.ShapeDtypeStruct((2,), np.uint32)
        chains = jax.eval_shape(fresh_chains, key, rank)
        state = jax.eval_shape(start, chains)
        moved, samples, counts = jax.eval_shape(draw, key, state.params, state.sampler)
        evaluated = (state.params, samples, counts, rank)
        batch, _ = jax.eval_shape(evaluate_jit, *evaluated)
        return [
            Program(update_step, (state, moved, batch)),
            Program(evaluate_jit, evaluated),
            Program(draw, (key, state.params, state.sampler)),
        ] + [Program(start, (chains,))] * fresh

    return GroundState(
        init=lambda: start(fresh_chains(purpose_key(seed, Purpose.CHAINS), rank)),
        warmed=lambda state: state._replace(sampler=warm_up(state.params, state.sampler, Purpose.WARMUP)),
        sample=sample,
        evaluate=evaluate,
        update=update_step,
        final=final,
        jitted=(start, fresh_chains, draw, evaluate_jit, update_step),
        programs=programs,
    )


def joined(parts: list[tuple[Batch, Shared]], sampler: Sampler) -> Final:
    """The parts of an evaluation as one: each a further piece of the same chains, or more independent samples."""
    chain_length = sampler.chain_length
    counts = {name: sum(float(shared.counts[name]) for _, shared in parts) for name in parts[0][1].counts}
    if chain_length == 0:
        e_loc_A, w_A = np.asarray(parts[0][0].e_loc_A), np.asarray(parts[0][0].w_A)
    else:
        pieces = [np.asarray(batch.e_loc_A).reshape(-1, chain_length) for batch, _ in parts]
        e_loc_A = np.concatenate(pieces, axis=1).ravel()
        w_A = np.full(len(e_loc_A), 1.0 / len(e_loc_A))
        chain_length *= 1 if sampler.independent else len(parts)
    found = estimate_jit(e_loc_A, w_A, chain_length)
    error = widened(float(found.error), e_loc_A, chain_length)
    return Final(e_loc_A, w_A, complex(found.mean), error, float(found.variance), counts, chain_length)


def possible(mean: Any, variance: Any, bounds: tuple[float, float]) -> Any:
    """Whether samples of |psi|^2 could have this mean and variance of the energy; of numbers or of traced arrays.

    Of a spectrum between the bounds the mean lies between them, and the variance is at most a quarter of their distance
    squared (Popoviciu 1935). The estimates of a chain that is stuck where psi nearly vanishes are orders of magnitude
    larger. Noise is allowed for: half the distance beyond the bounds, and four times the largest variance.
    """
    low, high = bounds
    width = high - low
    if not 0 < width < math.inf:
        return True
    energy = jnp.real(mean)
    return (energy >= low - width / 2) & (energy <= high + width / 2) & (variance <= width**2)


def averaged(params: Tree, mean: Average | None) -> Tree:
    """The running mean of the parameters where there is one, else the parameters."""
    if mean is None:
        return params
    # before the first good step the mean is empty
    return choose(mean.weight > 0, jax.tree.map(lambda m: m / jnp.maximum(mean.weight, 1e-300), mean.params), params)


def choose(condition: Array, yes: Tree, no: Tree) -> Tree:
    """``yes`` or ``no``, leaf by leaf, in the dtypes of ``no``."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a.astype(b.dtype), b), yes, no)


def finite(tree: Tree) -> Array:
    """Whether every number of a pytree is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)], bool))
