"""Samplers: from their keys to functions, with the moves they propose."""

from __future__ import annotations

import numpy as np

from nqs_hpc import schema
from nqs_hpc.inputs.checks import Range, Weights
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.sampler.adaptive import Bounds
from nqs_hpc.sampler.autoregressive import autoregressive
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import Mixture, Proposal, exchange, flip, flip_groups, global_flip, hamiltonian, hop
from nqs_hpc.sampler.tempering import ladder, tempering
from nqs_hpc.system.graph import connected
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice, neighbours
from nqs_hpc.system.plaquettes import flipped_groups
from nqs_hpc.types import Ansatz, Operator, Sampler

FINAL_CHAIN_LENGTH = 64  # at least so many samples a chain, for R-hat and tau mean nothing below


def make_sampler(
    config: schema.Sampler,
    ansatz: Ansatz,
    lattice: Lattice,
    hilbert: Hilbert,
    comm: Comm,
    *,
    operator: Operator,
    chunk: int | None,
) -> Sampler:
    ansatz = ansatz.modulus or ansatz
    match config:
        case schema.Tempering():
            return tempering(
                ansatz,
                make_moves(config.move, operator, lattice, hilbert),
                hilbert,
                comm,
                betas=ladder(config.n_replicas, config.beta_min, config.spacing),
                n_chains=config.n_chains,
                n_samples=config.n_samples,
                sweep=config.sweep,  # type: ignore[arg-type]  # a number: checked
                warmup=config.warmup,
            )
        case schema.Metropolis():
            return metropolis(
                ansatz,
                make_moves(config.move, operator, lattice, hilbert),
                hilbert,
                comm,
                n_chains=config.n_chains,
                n_samples=config.n_samples,
                sweep=Bounds(*config.sweep) if isinstance(config.sweep, Range) else config.sweep,
                warmup=config.warmup,
            )
        case schema.Enumerate():
            return enumeration(ansatz, hilbert, comm, chunk=chunk)
        case schema.Direct():
            return autoregressive(ansatz, hilbert, comm, n_samples=config.n_samples)


def make_moves(move: str | Weights, operator: Operator, lattice: Lattice, hilbert: Hilbert) -> Proposal | Mixture:
    if not isinstance(move, Weights):
        return make_proposal(move, operator, lattice, hilbert)
    names, weights = zip(*move.entries, strict=True)
    return Mixture(names, tuple(make_proposal(name, operator, lattice, hilbert) for name in names), weights)


def make_proposal(move: str, operator: Operator, lattice: Lattice, hilbert: Hilbert) -> Proposal:
    match move:
        case "flip":
            return flip(hilbert)
        case "plaquette":
            return flip_groups(flipped_groups(lattice))
        case "global_flip":
            return global_flip(hilbert.n_sites)
        case "hamiltonian":
            return hamiltonian(operator)
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
