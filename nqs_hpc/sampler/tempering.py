"""Parallel tempering: each chain is a ladder of replicas that walk in |psi|^(2 beta), beta from 1 down.

Where |psi|^2 has separate peaks a chain at beta = 1 stays in one; replicas at a lower beta see the valleys between as
shallow, and bring the others over. After each sweep replicas at neighbouring betas change places with the probability

    min(1, (p(s_b) / p(s_a))^(beta_a - beta_b)),    p = |psi|^2, s_a the one at beta_a,

which leaves the product of all prod_r p(s_r)^beta_r as it is (Swendsen and Wang 1986, doi:10.1103/PhysRevLett.57.2607;
Hukushima and Nemoto 1996, doi:10.1143/JPSJ.65.1604): pairs (0, 1), (2, 3), ... first, then (1, 2), (3, 4), ...
Samples are the states at beta = 1. A ladder lies on one rank, and its global number fixes its random numbers.

Between 1 and the lowest the betas are given, or follow the swaps, for a replica goes from one end to the other fastest
where all pairs of neighbours swap equally often (Predescu, Predescu and Ciobanu 2004, doi:10.1063/1.1644093). With
r_k the swap rate of betas k and k + 1 in the last step, over all ladders, the gaps g_k = log(beta_k / beta_{k+1}) go on
as

    g_k -> g_k exp(GAIN (r_k - mean r)),    scaled to the same sum.

While parameters stay as they are, in evaluations, betas do too.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import words
from nqs_hpc.sampler.fresh import random_state
from nqs_hpc.sampler.metropolis import counts
from nqs_hpc.sampler.moves import Mixture, Proposal, inside
from nqs_hpc.sampler.walk import Walkers, walk
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Ansatz, Sampler, Samples, Tree

GAIN = 1.0


class TemperingState(NamedTuple):
    """This rank's ladders of T replicas."""

    chain_C: Array  # int32, global numbers
    s_CTN: Array  # int8
    order_CT: Array  # int32, the replica at each beta: betas change places, states and caches stay where they are
    # float64, if they are adaptive: one ladder of betas, but for each chain, by which checkpoints deal the leaves
    beta_CT: Array | None = None


def tempering(
    ansatz: Ansatz,
    moves: Proposal | Mixture,
    hilbert: Hilbert,
    comm: Comm,
    *,
    betas: tuple[float, ...],
    n_chains: int,
    n_samples: int,
    sweep: int,
    warmup: int,
    power: float = 2.0,
    adaptive: bool = False,
) -> Sampler:
    """A sampler of ``n_samples`` configurations a call from ``n_chains`` ladders, both over all ranks.

    ``betas`` fall from 1; if they are ``adaptive`` those between the ends follow the swaps. They are powers of
    |psi|^power, and so samples are of that, all of the same weight: of another power than 2 `reweighted` makes them
    samples of |psi|^2. Before each sample lie ``sweep`` proposals of every replica and a swap of all neighbours. info:
    the accepted and proposed moves of replicas at beta = 1, as `metropolis`, and swaps as ``accepted_swap_k``,
    ``proposed_swap_k`` of the betas k and k + 1.
    """
    n_levels, chain_length = len(betas), n_samples // n_chains
    assert chain_length * n_chains == n_samples and n_chains % comm.size == 0
    assert n_levels > 1 and betas[0] == 1 and all(a > b > 0 for a, b in pairwise(betas))
    fixed = tuple(power / 2 * beta for beta in betas)
    c_local = n_chains // comm.size
    path = walk(ansatz, inside(moves, hilbert), hilbert.n_sites, n_sweeps=chain_length, length=sweep, most=sweep)
    names = moves.names if isinstance(moves, Mixture) else ()

    def numbers(chain_C: Array) -> Array:
        """(C, T + 1), under which the replicas of each ladder draw their random numbers, and its swaps last."""
        return chain_C[:, None] * (n_levels + 1) + jnp.arange(n_levels + 1, dtype=jnp.int32)[None, :]

    def init(key: Array, rank: Array | int = comm.rank) -> TemperingState:
        chain_C = rank * c_local + jnp.arange(c_local, dtype=jnp.int32)
        replicas_CT = numbers(chain_C)[:, :-1]
        s_CTN = jax.vmap(jax.vmap(lambda replica: random_state(hilbert, key, replica)))(replicas_CT)
        order_CT = jnp.tile(jnp.arange(n_levels, dtype=jnp.int32), (c_local, 1))
        beta_CT = jnp.tile(jnp.asarray(betas, jnp.float64), (c_local, 1)) if adaptive else None
        return TemperingState(chain_C, s_CTN, order_CT, beta_CT)

    def sample(key: Array, params: Tree, state: TemperingState) -> tuple[TemperingState, Samples, dict[str, Array]]:
        frozen = ansatz.freeze(params)
        powers_T = jnp.asarray(fixed) if state.beta_CT is None else power / 2 * state.beta_CT[0]
        replicas_CT, swaps_C = numbers(state.chain_C)[:, :-1], numbers(state.chain_C)[:, -1]

        def next_sample(carry: tuple[Walkers, Array], number: Array) -> tuple[tuple[Walkers, Array], tuple[Array, ...]]:
            walkers, order_CT = carry
            beta_CT = powers_T[jnp.argsort(order_CT, axis=1)]
            walkers, tally = path.sweep(
                params, frozen, key, replicas_CT.ravel(), walkers, number, beta_C=beta_CT.ravel()
            )
            first_C = order_CT[:, :1]  # the replicas that walked at beta = 1
            accepted_Q = jnp.stack(
                [jnp.sum(jnp.take_along_axis(x.reshape(c_local, n_levels), first_C, 1)) for x in tally.accepted_QC]
            )
            log_psi = jax.vmap(ansatz.log_psi, in_axes=(None, 0))(params, walkers.s_CN)
            log_p_CT = (2.0 * jnp.real(log_psi).astype(jnp.float64)).reshape(c_local, n_levels)
            words_CT = jax.vmap(lambda chain: words(key, chain, number, n_levels - 1))(swaps_C)
            order_CT, swapped_CT = jax.vmap(swapped, in_axes=(0, 0, 0, None))(order_CT, log_p_CT, words_CT, powers_T)
            s_CTN = walkers.s_CN.reshape(c_local, n_levels, -1)
            s_CN = jnp.take_along_axis(s_CTN, order_CT[:, :1, None], 1)[:, 0]
            return (walkers, order_CT), (s_CN, accepted_Q, tally.proposed_Q, jnp.sum(swapped_CT, axis=0))

        start = path.start(frozen, state.s_CTN.reshape(c_local * n_levels, -1))
        (walkers, order_CT), (s_LCN, accepted_LQ, proposed_LQ, swapped_LT) = jax.lax.scan(
            next_sample, (start, state.order_CT), jnp.arange(chain_length, dtype=jnp.int32)
        )
        s_BN = s_LCN.transpose(1, 0, 2).reshape(-1, hilbert.n_sites)  # chain by chain
        info = counts(names, accepted_LQ, c_local * proposed_LQ)
        for k, n_swapped in enumerate(jnp.sum(swapped_LT, axis=0)):
            info[f"accepted_swap_{k}"] = n_swapped.astype(jnp.float64)
            info[f"proposed_swap_{k}"] = jnp.float64(c_local * chain_length)
        new = state._replace(s_CTN=walkers.s_CN.reshape(state.s_CTN.shape), order_CT=order_CT)
        return new, Samples(s_BN, jnp.full(len(s_BN), 1.0 / n_samples)), info

    def adapt(
        state: TemperingState, e_loc_A: Array, counts: dict[str, Array]
    ) -> tuple[TemperingState, dict[str, Array]]:
        del e_loc_A
        assert state.beta_CT is not None
        beta_T, pairs = state.beta_CT[0], range(n_levels - 1)
        rate_K = jnp.stack([counts[f"accepted_swap_{k}"] / counts[f"proposed_swap_{k}"] for k in pairs])
        info = {f"beta_{k}": beta_T[k] for k in range(1, n_levels - 1)}
        return state._replace(beta_CT=jnp.broadcast_to(respaced(beta_T, rate_K), state.beta_CT.shape)), info

    def inherit(fresh: TemperingState, state: TemperingState) -> TemperingState:
        assert fresh.beta_CT is not None and state.beta_CT is not None
        return fresh._replace(beta_CT=jnp.broadcast_to(state.beta_CT[0], fresh.beta_CT.shape))

    warmup_calls = -(-warmup // chain_length)
    return Sampler(
        init,
        sample,
        n_samples=n_samples,
        chain_length=chain_length,
        warmup_calls=warmup_calls,
        adapt=adapt if adaptive else None,
        inherit=inherit if adaptive else None,
    )


def respaced(beta_T: Array, rate_K: Array) -> Array:
    """Betas with the same ends after swaps of neighbours at the rates ``rate_K`` (T - 1,): less far apart where they
    are rare.
    """
    gap_K = -jnp.diff(jnp.log(beta_T)) * jnp.exp(GAIN * (rate_K - jnp.mean(rate_K)))
    share_K = jnp.cumsum(gap_K)[:-1] / jnp.sum(gap_K)
    ends = beta_T[:1], beta_T[-1:]
    return jnp.concatenate([ends[0], ends[0] * (ends[1] / ends[0]) ** share_K, ends[1]])


def ladder(n_replicas: int, beta_min: float, spacing: str) -> tuple[float, ...]:
    """``n_replicas`` betas from 1 down to ``beta_min``, with equal ratios (geometric) or differences (linear)."""
    betas = np.linspace(1.0, beta_min, n_replicas) if spacing == "linear" else np.geomspace(1.0, beta_min, n_replicas)
    return (1.0, *betas.tolist()[1:])


def swapped(order_T: Array, log_p_T: Array, words_K: Array, beta_T: Array) -> tuple[Array, Array]:
    """The replica at each beta after one try of all T - 1 pairs of neighbours, and which pairs changed places.

    ``log_p_T`` is log |psi|^2 of each replica, ``words_K`` a random uint32 for each pair.
    """
    u_K = (words_K.astype(jnp.float64) + 0.5) * 2.0**-32
    done_K = jnp.zeros(len(u_K), bool)
    for first in (0, 1):
        log_p = log_p_T[order_T]
        tried_K = jnp.arange(len(u_K)) % 2 == first
        take_K = tried_K & (u_K < swap_acceptance(log_p[:-1], log_p[1:], -jnp.diff(beta_T)))
        up, down = jnp.append(take_K, False), jnp.append(False, take_K)
        order_T = jnp.where(up, jnp.roll(order_T, -1), jnp.where(down, jnp.roll(order_T, 1), order_T))
        done_K = done_K | take_K
    return order_T, done_K


def swap_acceptance(log_p_a: Array, log_p_b: Array, gap: Array) -> Array:
    """min(1, (p_b / p_a)^gap) of states a at a beta and b at one that is lower by ``gap``; of two with p = 0: 1."""
    both = jnp.isneginf(log_p_a) & jnp.isneginf(log_p_b)
    difference = jnp.where(both, 0.0, log_p_b - jnp.where(both, 0.0, log_p_a))
    return jnp.minimum(1.0, jnp.exp(gap * difference))
