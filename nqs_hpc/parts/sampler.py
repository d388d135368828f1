"""Samplers: from their keys to functions, with the moves they propose."""

from __future__ import annotations

import numpy as np

from nqs_hpc import schema
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.sampler.autoregressive import autoregressive
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import Proposal, exchange, flip, hop
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice, neighbours
from nqs_hpc.types import Ansatz, Sampler

FINAL_CHAIN_LENGTH = 64  # at least so many samples a chain, for R-hat and tau mean nothing below


def make_sampler(
    config: schema.Sampler,
    ansatz: Ansatz,
    lattice: Lattice,
    hilbert: Hilbert,
    comm: Comm,
    *,
    chunk: int | None,
) -> Sampler:
    match config:
        case schema.Metropolis():
            return metropolis(
                ansatz,
                make_proposal(config.move, lattice, hilbert),
                hilbert,
                comm,
                n_chains=config.n_chains,
                n_samples=config.n_samples,
                sweep=config.sweep,
                warmup=config.warmup,
            )
        case schema.Enumerate():
            return enumeration(ansatz, hilbert, comm, chunk=chunk)
        case schema.Direct():
            return autoregressive(ansatz, hilbert, comm, n_samples=config.n_samples, chunk=chunk)


def make_proposal(move: str, lattice: Lattice, hilbert: Hilbert) -> Proposal:
    if move == "flip":
        return flip(hilbert)
    pairs = neighbours(lattice, 1)
    if not connected(lattice.n_sites, pairs):  # nearest neighbours alone would not reach every state of the sector
        pairs = np.array(np.triu_indices(lattice.n_sites, 1), dtype=np.int32).T
    return exchange(pairs) if move == "exchange" else hop(pairs, hilbert)


def final_chain_length(config: schema.Config) -> int:
    """Samples a chain of the final evaluation: ``task.final_samples`` shared out, and at least 64; 0 for exact sums.

    Of independent samples, how many calls there are.
    """
    if isinstance(config.sampler, schema.Enumerate):
        return 0
    if isinstance(config.sampler, schema.Direct):
        return -(-config.task.final_samples // config.sampler.n_samples)
    return max(FINAL_CHAIN_LENGTH, -(-config.task.final_samples // config.sampler.n_chains))


def connected(n_sites: int, pairs: np.ndarray) -> bool:
    """Whether the pairs join all sites."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_sites, n_sites))
    return connected_components(graph, directed=False)[0] == 1
