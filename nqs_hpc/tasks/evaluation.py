"""One evaluation of the energy: samples, local energies, the energy with its error, the same on every rank.

E = sum_s w(s) E_loc(s)

Of several wave functions of one network each sample has the local energy of its own, by the operator at the number of
its couplings, and E is the mean of their energies.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.couplings import carrying
from nqs_hpc.operators.local_values import MEMORY, local_energies
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.estimate import estimate, of_each
from nqs_hpc.tasks.measurement import Shared, gathered
from nqs_hpc.types import Ansatz, Batch, Grouped, Groups, Operator, Samples, Tree, WithCouplings


def evaluation(
    ansatz: Ansatz,
    operator: Operator,
    comm: Comm,
    *,
    chain_length: int,
    chunk: int | None,
    memory: int = MEMORY,
    weighted: bool = False,
    groups: Groups | None = None,
) -> Callable[..., tuple[Batch, Shared]]:
    """``(params, samples, counts, rank=own, time=None) -> (Batch, Shared)``; one gather of all local energies and
    scalars. ``time`` counts for operators that depend on it; ``weighted`` and ``groups`` are those of the sampler.
    """
    if groups is not None:
        assert not weighted
        return of_several(ansatz, operator, comm, groups, chain_length=chain_length, chunk=chunk, memory=memory)
    e_loc = local_energies(ansatz, operator, chunk=chunk, memory=memory)

    def evaluate(
        params: Tree,
        samples: Samples,
        counts: dict[str, Array],
        rank: Array | int = comm.rank,
        time: Array | None = None,
    ) -> tuple[Batch, Shared]:
        frozen = ansatz.freeze(params)
        values = [e_loc(frozen, samples.s_BN, time)]
        (e_loc_B,), w_A, (e_loc_A,), shared = gathered(comm, params, samples, counts, values)
        found = estimate(e_loc_A, w_A, chain_length, weighted)
        batch = Batch(jnp.asarray(rank, jnp.int32), samples, e_loc_B, e_loc_A, w_A, found, shared.counts)
        return batch, shared

    return evaluate


def of_several(
    ansatz: Ansatz,
    operator: Operator,
    comm: Comm,
    groups: Groups,
    *,
    chain_length: int,
    chunk: int | None,
    memory: int,
) -> Callable[..., tuple[Batch, Shared]]:
    """`evaluation` of samples of several wave functions, one after the other; ``operator.at`` takes their numbers."""
    told = carrying(ansatz)
    e_loc = local_energies(told, operator, chunk=chunk, memory=memory)

    def evaluate(
        params: Tree, samples: Samples, counts: dict[str, Array], rank: Array | int = comm.rank
    ) -> tuple[Batch, Shared]:
        def of_one(inputs: tuple[Array, Array]) -> Array:
            number, s_bN = inputs
            frozen = told.freeze(WithCouplings(params, jnp.asarray(groups.couplings_KG)[number]))
            return e_loc(frozen, s_bN, number.astype(jnp.float64))

        n_rows, n_sites = samples.s_BN.shape
        numbers, rank = groups.numbers(jnp.asarray(rank, jnp.int32)), jnp.asarray(rank, jnp.int32)
        values = jax.lax.map(of_one, (numbers, samples.s_BN.reshape(groups.n_local, -1, n_sites))).ravel()
        (e_loc_B,), w_A, (e_loc_A,), shared = gathered(comm, params, samples, counts, [values])
        each, found = of_each(e_loc_A, w_A, chain_length, groups)
        of_B = jnp.repeat(numbers, n_rows // groups.n_local)
        of_A = jnp.asarray(groups.joined(np.arange(groups.n, dtype=np.int32), len(w_A)))
        s_BN = jnp.concatenate([samples.s_BN, of_B[:, None].astype(samples.s_BN.dtype)], axis=1)
        own = samples._replace(s_BN=s_BN)
        batch = Batch(rank, own, e_loc_B, e_loc_A, w_A, found, shared.counts, Grouped(of_B, of_A, each))
        return batch, shared

    return evaluate
