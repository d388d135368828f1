"""One evaluation of the energy: samples, local energies, the energy with its error, the same on every rank.

E = sum_s w(s) E_loc(s)
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nqs_hpc.operators.local_values import MEMORY, local_energies
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.estimate import estimate
from nqs_hpc.tasks.measurement import Shared, gathered
from nqs_hpc.types import Ansatz, Batch, Operator, Samples, Tree


def evaluation(
    ansatz: Ansatz,
    operator: Operator,
    comm: Comm,
    *,
    chain_length: int,
    chunk: int | None,
    memory: int = MEMORY,
    weighted: bool = False,
) -> Callable[..., tuple[Batch, Shared]]:
    """``(params, samples, counts, rank=own, time=None) -> (Batch, Shared)``; one gather of all local energies and
    scalars. ``time`` counts for operators that depend on it; ``weighted`` is that of the sampler.
    """
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
