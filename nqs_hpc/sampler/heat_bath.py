"""Heat bath: a site, or two sites that keep their total, takes one of all its values by their probabilities given the
rest (Geman and Geman 1984, doi:10.1109/TPAMI.1984.4767596).

From s a move leads to any of a set of states that is the same from each of its members: those that differ in the values
of the drawn sites. With p(s') = |psi(s')|^2 over the sum of the set, another state than s is drawn and taken with

    q(s'|s) = p(s') / (1 - p(s)),    min(1, (1 - p(s)) / (1 - p(s'))),

so that p(s) q(s'|s) is taken p(s) p(s') min(1 / (1 - p(s)), 1 / (1 - p(s'))) of the time, symmetric in both. The plain
heat bath takes s' with p(s'), which is never more: by Peskun's theorem no mean has a larger error this way (Liu 1996,
doi:10.1093/biomet/83.3.681). Of two states both factors are those of Metropolis.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.sampler.moves import Proposal, below, free_sites, within_blocks
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Move


def redrawn_site(hilbert: Hilbert) -> Proposal:
    """A random site that belongs to no total takes another of its values. ValueError if there is no such site."""
    sites = np.array(free_sites(hilbert), dtype=np.int32)
    if len(sites) == 0:
        raise ValueError("the move heat_bath: no site is free of totals")
    lowest, step, n_values = steps(hilbert)

    def propose(words: Array, s_N: Array) -> Move:
        site = jnp.asarray(sites)[below(words[0], len(sites))]
        values_K = others(s_N[site], lowest, step, n_values)
        sites_KF = jnp.broadcast_to(site, (n_values - 1, 1))
        return Move(sites_KF, (values_K - s_N[site])[:, None].astype(jnp.int8))

    return Proposal(propose, n_words=2, several=True)


def redrawn_pair(pairs: np.ndarray, hilbert: Hilbert) -> Proposal:
    """Two sites, one of the pairs (n_pairs, 2) within a block, take other values of the same sum.

    Ergodic in a sector where the pairs connect all sites of each block. ValueError if no pair lies within a block.
    """
    table = within_blocks(pairs, hilbert)
    lowest, step, n_values = steps(hilbert)
    highest = lowest + step * (n_values - 1)

    def propose(words: Array, s_N: Array) -> Move:
        sites = jnp.asarray(table)[below(words[0], len(table))]
        change_K = others(s_N[sites[0]], lowest, step, n_values) - s_N[sites[0]]
        there_K = s_N[sites[1]] - change_K
        change_K = jnp.where((there_K >= lowest) & (there_K <= highest), change_K, 0)
        return Move(jnp.broadcast_to(sites, (n_values - 1, 2)), jnp.stack([change_K, -change_K], 1).astype(jnp.int8))

    return Proposal(propose, n_words=2, several=True)


def steps(hilbert: Hilbert) -> tuple[int, int, int]:
    """The lowest local value, the distance between neighbouring ones, and their number."""
    values = sorted(hilbert.local_values)
    step = values[1] - values[0]
    assert values == list(range(values[0], values[-1] + 1, step))
    return values[0], step, len(values)


def others(value: Array, lowest: int, step: int, n_values: int) -> Array:
    """All local values but ``value``, (n_values - 1,) int32."""
    digit = (value.astype(jnp.int32) - lowest) // step
    return lowest + step * ((digit + 1 + jnp.arange(n_values - 1, dtype=jnp.int32)) % n_values)


def chosen(exponent_K: Array, exists_K: Array, word: Array) -> tuple[Array, Array]:
    """The number of one of K moves, drawn by the random uint32 ``word``, and the probability of taking it.

    ``exponent_K`` (float64) is log |psi(s')|^2 / |psi(s)|^2, of powers of psi times those; moves that do not exist are
    never taken.
    """
    log_p_K = jnp.where(exists_K, exponent_K, -jnp.inf)
    top = jnp.max(log_p_K)
    sum_K = jnp.cumsum(jnp.exp(log_p_K - jnp.where(jnp.isneginf(top), 0.0, top)))
    u = (word.astype(jnp.float64) + 0.5) * 2.0**-32
    # the first whose sum passes u times the whole: no rounding makes it one without weight
    which = jnp.argmax(sum_K > u * sum_K[-1])
    # without the one drawn, and with s, whose log is 0: what s' is left to
    left_K = jnp.where(jnp.arange(len(log_p_K)) == which, 0.0, log_p_K)
    log_here = jax.nn.logsumexp(log_p_K)
    return which, jnp.exp(jnp.minimum(0.0, log_here - jax.nn.logsumexp(left_K)))
