"""Markov chains of |psi|^2 by single moves (Metropolis et al. 1953, doi:10.1063/1.1699114).

Every chain has a global number, which travels with its state; with the step's key it fixes all its random numbers, so
the chains are the same at any rank count. How they move is in `walk`. The number of proposals before each sample is
given, or follows the energies (`adaptive`).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.sampler.adaptive import Bounds, proposals, stretched
from nqs_hpc.sampler.fresh import random_state
from nqs_hpc.sampler.moves import Mixture, Proposal, inside
from nqs_hpc.sampler.walk import Walkers, walk
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Ansatz, Sampler, Samples, Tree


class MetropolisState(NamedTuple):
    """This rank's chains."""

    chain_C: Array  # int32, global numbers
    s_CN: Array  # int8
    # float64, if it is adaptive: one number, but for each chain, by which checkpoints deal the leaves of a sampler
    sweep_C: Array | None = None


def metropolis(
    ansatz: Ansatz,
    moves: Proposal | Mixture,
    hilbert: Hilbert,
    comm: Comm,
    *,
    n_chains: int,
    n_samples: int,
    sweep: int | Bounds,
    warmup: int,
    power: float = 2.0,
) -> Sampler:
    """A sampler of ``n_samples`` configurations a call from ``n_chains`` chains, both over all ranks.

    The chains are of |psi|^power, all samples of the same weight: of another power than 2 `reweighted` makes them
    samples of |psi|^2.

    Before each sample of a chain lie ``sweep`` proposals, a number or one within bounds that begins with the number of
    sites. ``init`` draws random states, which need at least ``warmup`` sweeps, in whole calls of ``sample``; ``sample``
    goes on from where the chains are. info: accepted and proposed moves of this rank, and of a mixture those of each
    kind.
    """
    chain_length = n_samples // n_chains
    assert chain_length * n_chains == n_samples and n_chains % comm.size == 0
    c_local = n_chains // comm.size
    bounds = sweep if isinstance(sweep, Bounds) else None
    fixed = None if isinstance(sweep, Bounds) else sweep
    most = bounds.most if bounds else 0
    beta_C = None if power == 2 else np.full(c_local, power / 2)
    path = walk(ansatz, inside(moves, hilbert), hilbert.n_sites, n_sweeps=chain_length, length=fixed, most=most)
    names = moves.names if isinstance(moves, Mixture) else ()

    def init(key: Array, rank: Array | int = comm.rank) -> MetropolisState:
        chain_C = rank * c_local + jnp.arange(c_local, dtype=jnp.int32)
        s_CN = jax.vmap(lambda chain: random_state(hilbert, key, chain))(chain_C)
        sweep_C = None
        if bounds is not None:
            first = min(max(hilbert.n_sites, bounds.least), bounds.most)
            sweep_C = jnp.full(c_local, first, jnp.float64)
        return MetropolisState(chain_C, s_CN, sweep_C)

    def sample(key: Array, params: Tree, state: MetropolisState) -> tuple[MetropolisState, Samples, dict[str, Array]]:
        frozen = ansatz.freeze(params)
        length = None if state.sweep_C is None else proposals(state.sweep_C)

        def next_sample(walkers: Walkers, number: Array) -> tuple[Walkers, tuple[Array, Array, Array]]:
            walkers, tally = path.sweep(params, frozen, key, state.chain_C, walkers, number, length, beta_C)
            accepted_Q = jnp.stack([jnp.sum(accepted_C) for accepted_C in tally.accepted_QC])
            return walkers, (walkers.s_CN, accepted_Q, tally.proposed_Q)

        start = path.start(frozen, state.s_CN)
        numbers = jnp.arange(chain_length, dtype=jnp.int32)
        walkers, (s_LCN, accepted_LQ, proposed_LQ) = jax.lax.scan(next_sample, start, numbers)
        s_BN = s_LCN.transpose(1, 0, 2).reshape(-1, hilbert.n_sites)  # chain by chain
        w_B = jnp.full(len(s_BN), 1.0 / n_samples)
        info = counts(names, accepted_LQ, c_local * proposed_LQ)
        return state._replace(s_CN=walkers.s_CN), Samples(s_BN, w_B), info

    def adapt(
        state: MetropolisState, e_loc_A: Array, counts: dict[str, Array]
    ) -> tuple[MetropolisState, dict[str, Array]]:
        del counts
        assert bounds is not None and state.sweep_C is not None
        info = {"sweep": proposals(state.sweep_C)}
        return state._replace(sweep_C=stretched(state.sweep_C, e_loc_A.reshape(-1, chain_length), bounds)), info

    def inherit(fresh: MetropolisState, state: MetropolisState) -> MetropolisState:
        assert fresh.sweep_C is not None and state.sweep_C is not None
        return fresh._replace(sweep_C=jnp.full_like(fresh.sweep_C, state.sweep_C[0]))

    warmup_calls = -(-warmup // chain_length)
    return Sampler(
        init,
        sample,
        n_samples=n_samples,
        chain_length=chain_length,
        warmup_calls=warmup_calls,
        adapt=adapt if bounds else None,
        inherit=inherit if bounds else None,
    )


def counts(names: tuple[str, ...], accepted_LQ: Array, proposed_LQ: Array) -> dict[str, Array]:
    """Accepted and proposed moves, all together and, where the kinds have names, of each kind."""
    accepted_Q, proposed_Q = (
        jnp.sum(x, axis=0, dtype=jnp.int64).astype(jnp.float64) for x in (accepted_LQ, proposed_LQ)
    )
    info = {"accepted": jnp.sum(accepted_Q), "proposed": jnp.sum(proposed_Q)}
    for q, name in enumerate(names):
        info |= {f"accepted_{name}": accepted_Q[q], f"proposed_{name}": proposed_Q[q]}
    return info
