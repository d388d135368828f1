"""The compiled functions of projected evolution: samples, energies, an infidelity, and a step down it."""

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
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.tasks.infidelity import Known, Pairs, Substep, fitted, infidelity
from nqs_hpc.tasks.measurement import Shared
from nqs_hpc.tasks.trees import choose
from nqs_hpc.types import Ansatz, Batch, Operator, Projection, Sampler, Samples, Tree


class Search(NamedTuple):
    """Functions of arrays; times are numbers of the host. Collective but for ``known``."""

    fresh_chains: Callable[[np.ndarray], Tree]  # key
    draw: Callable[[np.ndarray, Tree, Tree], tuple[Tree, Samples, dict[str, Array]]]  # key, params, chains
    energies: Callable[[Tree, Samples, dict[str, Array], np.float64], tuple[Batch, Shared]]
    known: Callable[[Tree, Tree, Array, np.float64], Known]  # params of psi, of phi, s_BN, time
    mean: Callable[[Known, Samples], Array]
    compare: Callable[..., tuple[Batch, Pairs, Shared]]  # as of `tasks.infidelity`, without the rank
    # params, batch, pairs, shift, whether to fit log R -> params a step down, the part of the infidelity that its model
    # leaves, the rank
    step: Callable[..., tuple[Tree, Array, Array]]
    everywhere: Callable[[np.ndarray], Array]  # what ranks decide from equal numbers, they decide alike
    # chains of psi, of phi, local energies and counts of psi -> both with what their sampler has learnt; None of one
    # that does not
    adapt: Callable[[Tree, Tree, Array, dict[str, Array]], tuple[Tree, Tree]] | None
    programs: Callable[[Tree, Tree], list[Program]]  # shapes of params and chains -> the large ones
    jitted: tuple[Any, ...]


def search(
    ansatz: Ansatz,
    operator: Operator,
    sampler: Sampler,
    projection: Projection,
    comm: Comm,
    *,
    split: bool,
    chunk: int | None,
    memory: int = MEMORY,
) -> Search:
    """``projection`` takes the shift instead of the number of a step."""
    rank = np.int32(comm.rank)
    draw, fresh_chains = jax.jit(sampler.sample), jax.jit(sampler.init)
    options: dict[str, Any] = {"chunk": chunk, "memory": memory}
    of_samples: dict[str, Any] = {"chain_length": sampler.chain_length, "weighted": sampler.weighted}
    energies_jit = jax.jit(evaluation(ansatz, operator, comm, **of_samples, **options))
    functions = infidelity(ansatz, operator, comm, split=split, **options)
    known, mean, compare_jit = (jax.jit(one) for one in functions)
    everywhere = jax.jit(comm.max)

    @jax.jit
    def step(params: Tree, batch: Batch, pairs: Pairs, shift: Array, fits: Array) -> tuple[Tree, Array, Array]:
        form = flat(params, ansatz.kind)
        batch = choose(fits, fitted(batch, pairs), batch)
        found = projection(params, batch, shift)
        d_P, total = found.direction_P, batch.estimate.variance
        # |X d - eps|^2 = |eps|^2 - d F - shift |d|^2 of (S + shift) d = F, where no eigenvalue is left out
        gain = jnp.real(jnp.vdot(d_P, found.force_P)) + shift * jnp.real(jnp.vdot(d_P, d_P))
        left = 1.0 - gain / jnp.where(total > 0, total, 1.0)
        rank_kept = found.info.get("rank", jnp.float64(jnp.nan))
        moved = form.unravel(form.ravel(params) - d_P)
        return moved, jnp.clip(left, 0.0, 1.0).astype(jnp.float64), rank_kept

    def adapted(own: Tree, beside: Tree, e_loc_A: Array, counts: dict[str, Array]) -> tuple[Tree, Tree]:
        assert sampler.adapt is not None and sampler.inherit is not None
        own = sampler.adapt(own, e_loc_A, counts)[0]
        return own, sampler.inherit(beside, own)

    adapt = None if sampler.adapt is None else jax.jit(adapted)

    def compare(*given: Any) -> tuple[Batch, Pairs, Shared]:
        return compare_jit(*given, rank)

    def programs(params: Tree, chains: Tree) -> list[Program]:
        key, number = jax.ShapeDtypeStruct((2,), np.uint32), jax.ShapeDtypeStruct((), np.float64)
        factor = jax.ShapeDtypeStruct((), np.complex128)
        _, samples, counts = jax.eval_shape(draw, key, params, chains)
        of_samples = jax.eval_shape(known, params, params, samples.s_BN, number)
        compared = (params, of_samples, of_samples, samples, samples, counts, Substep(factor, factor, factor), rank)
        batch, pairs, _ = jax.eval_shape(compare_jit, *compared)
        fits = jax.ShapeDtypeStruct((), np.bool_)
        return [
            Program(step, (params, batch, pairs, number, fits)),
            Program(known, (params, params, samples.s_BN, number)),
            Program(energies_jit, (params, samples, counts, rank, number)),
            Program(draw, (key, params, chains)),
            Program(compare_jit, compared),
        ]

    return Search(
        fresh_chains=lambda key: fresh_chains(key, rank),
        draw=draw,
        energies=lambda params, samples, counts, time: energies_jit(params, samples, counts, rank, time),
        known=known,
        mean=mean,
        compare=compare,
        step=step,
        everywhere=everywhere,
        adapt=adapt,
        programs=programs,
        jitted=(draw, fresh_chains, energies_jit, known, mean, compare_jit, step, everywhere),
    )
