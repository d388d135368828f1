"""Proposals of the Metropolis algorithm: one random move of one configuration, symmetric, so that it cancels in the
ratio.

Random words are uint32: the same proposals in every precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Move


class Proposal(NamedTuple):
    """``propose(words_W, s_N) -> Move`` from ``n_words`` random uint32; q(s'|s) = q(s|s')."""

    propose: Callable[[Array, Array], Move]
    n_words: int


def flip(hilbert: Hilbert) -> Proposal:
    """A random site takes another of its local values: the flip of one spin, any other number of bosons.

    Does not keep a total.
    """
    values = np.asarray(hilbert.local_values, dtype=np.int8)
    gap = int(values[1]) - int(values[0])
    n_values = len(values)

    def propose(words: Array, s_N: Array) -> Move:
        site = below(words[0], hilbert.n_sites)
        old = s_N[site]
        if n_values == 2:
            delta = (int(values[0]) + int(values[1])) - 2 * old
        else:
            digit = (old.astype(jnp.int32) - int(values[0])) // gap
            digit = (digit + 1 + below(words[1], n_values - 1)) % n_values
            delta = jnp.asarray(values)[digit] - old
        return Move(site[None], delta[None].astype(jnp.int8))

    return Proposal(propose, n_words=1 if n_values == 2 else 2)


def exchange(pairs: np.ndarray) -> Proposal:
    """Two sites, one of the given pairs (n_pairs, 2), exchange their values: every total is kept.

    Equal values make it the move that changes nothing, which is accepted. Ergodic in a sector where the pairs connect
    all sites.
    """
    table = np.asarray(pairs, dtype=np.int32)

    def propose(words: Array, s_N: Array) -> Move:
        sites = jnp.asarray(table)[below(words[0], len(table))]
        values = s_N[sites]
        return Move(sites, values[::-1] - values)

    return Proposal(propose, n_words=1)


def hop(pairs: np.ndarray, hilbert: Hilbert) -> Proposal:
    """One particle goes from a site to another, along one of the given pairs (n_pairs, 2), either way: their number is
    kept.

    From an empty site, or to a full one, it is the move that changes nothing: the state stays, as after a rejection.
    Each way of each pair is equally likely from every state, which makes it symmetric. Ergodic in a sector where the
    pairs connect all sites.
    """
    lowest, highest = min(hilbert.local_values), max(hilbert.local_values)
    assert sorted(hilbert.local_values) == list(range(lowest, highest + 1))
    table = np.asarray(pairs, dtype=np.int32)
    table = np.concatenate([table, table[:, ::-1]])  # from, to

    def propose(words: Array, s_N: Array) -> Move:
        sites = jnp.asarray(table)[below(words[0], len(table))]
        fits = (s_N[sites[0]] > lowest) & (s_N[sites[1]] < highest)
        return Move(sites, jnp.where(fits, jnp.array([-1, 1], jnp.int8), jnp.int8(0)))

    return Proposal(propose, n_words=1)


def below(word: Array, n: int) -> Array:
    """An integer in [0, n) as the high half of word * n; the bias is below n / 2**32."""
    return (word.astype(jnp.uint64) * np.uint64(n) >> np.uint64(32)).astype(jnp.int32)
