"""Markov chains of |psi|^2 by single moves (Metropolis et al. 1953, doi:10.1063/1.1699114).

Every chain has a global number, which travels with its state; with the step's key it fixes all its random numbers, so
the chains are the same at any rank count. Proposals ask the ansatz for a ratio. Accepted is ``u < |psi(s')/psi(s)|^2``
with u uniform on the 2^32 midpoints ``(word + 1/2) / 2^32``.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import words
from nqs_hpc.sampler.moves import Proposal, below
from nqs_hpc.system.hilbert import Hilbert, base_state
from nqs_hpc.types import Ansatz, Sampler, Samples, Tree

# A cache follows so many proposals before it is built anew; it also bounds the random words held at a time.
REFRESH = 1024


class MetropolisState(NamedTuple):
    """This rank's chains."""

    chain_C: Array  # int32, global numbers
    s_CN: Array  # int8


def metropolis(
    ansatz: Ansatz,
    proposal: Proposal,
    hilbert: Hilbert,
    comm: Comm,
    *,
    n_chains: int,
    n_samples: int,
    sweep: int,
    warmup: int,
) -> Sampler:
    """A sampler of ``n_samples`` configurations a call from ``n_chains`` chains, both over all ranks.

    Before each sample of a chain lie ``sweep`` proposals. ``init`` draws random states, which need at least ``warmup``
    sweeps, in whole calls of ``sample``; ``sample`` goes on from where the chains are. info: accepted and proposed
    moves of this rank.
    """
    chain_length = n_samples // n_chains
    assert chain_length * n_chains == n_samples and n_chains % comm.size == 0
    c_local = n_chains // comm.size
    n_blocks = -(-sweep // REFRESH)
    block = -(-sweep // n_blocks)
    refresh = REFRESH // block
    n_words = proposal.n_words + 1

    def proposals(
        frozen: Tree, key: Array, chain: Array, s_N: Array, cache: Tree, index: Array
    ) -> tuple[Array, Tree, Array]:
        """Block number ``index`` of the proposals of one chain: the new state, its cache, how many were accepted."""
        first = (
            index % n_blocks * block
        )  # in its sweep, whose last block is filled up with pads that are never accepted
        drawn = words(key, chain, index, block * n_words).reshape(block, n_words)

        def propose(carry, inputs):
            s_N, cache, accepted = carry
            words_W, place = inputs
            move = proposal.propose(words_W[1:], s_N)
            log_ratio, attempted = ansatz.attempt(frozen, s_N, cache, move)
            u = (words_W[0].astype(jnp.float64) + 0.5) * 2.0**-32
            accept = (u < acceptance(log_ratio)) & (place < sweep)
            cache = ansatz.advance(frozen, s_N, cache, move, attempted, accept)
            s_N = s_N.at[move.sites].add(jnp.where(accept, move.deltas, 0))
            return (s_N, cache, accepted + accept), None

        carry = (s_N, cache, jnp.int32(0))
        (s_N, cache, accepted), _ = jax.lax.scan(propose, carry, (drawn, first + jnp.arange(block)))
        return s_N, cache, accepted

    def init(key: Array, rank: Array | int = comm.rank) -> MetropolisState:
        chain_C = rank * c_local + jnp.arange(c_local, dtype=jnp.int32)
        return MetropolisState(chain_C, jax.vmap(lambda chain: random_state(hilbert, key, chain))(chain_C))

    def sample(key: Array, params: Tree, state: MetropolisState) -> tuple[MetropolisState, Samples, dict[str, Array]]:
        frozen = ansatz.freeze(params)
        chain_C = state.chain_C
        prepare = jax.vmap(ansatz.prepare, in_axes=(None, 0))
        walk = jax.vmap(proposals, in_axes=(None, None, 0, 0, 0, None))

        def next_block(carry: tuple[Array, Tree], index: Array):
            s_CN, cache_C = carry
            if refresh < chain_length * n_blocks:
                stale = (index > 0) & (index % refresh == 0)
                cache_C = jax.lax.cond(stale, prepare, lambda frozen, s_CN: cache_C, frozen, s_CN)
            s_CN, cache_C, accepted_C = walk(frozen, key, chain_C, s_CN, cache_C, index)
            return (s_CN, cache_C), (s_CN, jnp.sum(accepted_C))

        start = (state.s_CN, prepare(frozen, state.s_CN))
        (s_CN, _), (s_TCN, accepted_T) = jax.lax.scan(next_block, start, jnp.arange(chain_length * n_blocks))
        s_LCN = s_TCN[n_blocks - 1 :: n_blocks]  # the state after the last block of each sweep
        s_BN = s_LCN.transpose(1, 0, 2).reshape(-1, hilbert.n_sites)  # chain by chain
        w_B = jnp.full(len(s_BN), 1.0 / n_samples)
        info = {
            "accepted": jnp.sum(accepted_T).astype(jnp.float64),
            "proposed": jnp.float64(c_local * chain_length * sweep),
        }
        return MetropolisState(chain_C, s_CN), Samples(s_BN, w_B), info

    warmup_calls = -(-warmup // chain_length)
    return Sampler(init, sample, n_samples=n_samples, chain_length=chain_length, warmup_calls=warmup_calls)


def acceptance(log_ratio: Array) -> Array:
    """The probability min(1, |psi(s')/psi(s)|^2) of taking a move whose proposal is symmetric, in float64."""
    return jnp.minimum(1.0, jnp.exp(2.0 * jnp.real(log_ratio).astype(jnp.float64)))


def random_state(hilbert: Hilbert, key: Array, chain: Array) -> Array:
    """A random configuration (N,) int8: independent sites, or with a fixed total a random order of one valid state."""
    drawn = words(key, chain, jnp.uint32(0), hilbert.n_sites)
    if hilbert.total is None:
        return jnp.asarray(hilbert.local_values, jnp.int8)[below(drawn, len(hilbert.local_values))]
    return jnp.asarray(base_state(hilbert))[jnp.argsort(drawn)]
