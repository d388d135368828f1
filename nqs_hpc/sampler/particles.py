"""Moves of fermions: one that can move is drawn, and a place for it, so that few proposals change nothing.

    q(s'|s) = 1 / (n z),

with n the fermions that are there to be drawn (or the pairs, or the orbitals with one spin up), and z the places each
might go to: the slots of its row in a table of neighbours, or all places that are free. The move keeps both n and z,
and leads back the same way: q is symmetric.

Modes are in the order of `system.layers`: the orbitals of one spin, then those of the other.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.sampler.moves import Proposal, below
from nqs_hpc.types import Move

# s_N -> which places can be begun at, and which ended at: (M,) bool
Places = Callable[[Array], tuple[Array, Array]]


def hop_fermion(table_NZ: np.ndarray | None, *, layers: int, double: bool = True) -> Proposal:
    """A fermion goes to another orbital, its spin as it was.

    ``table_NZ`` (N, Z) int32: from each of N orbitals where to, its own number as a pad; None: to any orbital. Without
    ``double`` an orbital that holds a fermion of the other spin is taken. Ergodic where the totals of both spins are
    fixed, the table joins all orbitals, and orbitals may hold two.
    """

    def places(s_N: Array) -> tuple[Array, Array]:
        there_N = s_N > 0
        taken_N = there_N if double else jnp.tile(jnp.any(there_N.reshape(layers, -1), axis=0), layers)
        return there_N, ~taken_N

    rows_MZ = None
    if table_NZ is not None:
        n = len(table_NZ)
        rows_MZ = np.concatenate([table_NZ + layer * n for layer in range(layers)])

    def propose(words: Array, s_N: Array) -> Move:
        begins_N, ends_N = places(s_N)
        here = one_of_those(words[0], begins_N)
        if rows_MZ is None:
            n = s_N.shape[0] // layers
            ends_N = ends_N & (jnp.arange(s_N.shape[0]) // n == here // n)
        there = goal(words[1], here, rows_MZ, ends_N)
        fits = begins_N[here] & ends_N[there]
        return Move(jnp.stack([here, there]), jnp.where(fits, jnp.array([-1, 1], jnp.int8), jnp.int8(0)))

    return Proposal(propose, n_words=2, may_stay=True)


def exchange_spins(table_NZ: np.ndarray | None) -> Proposal:
    """The spins of two fermions on singly occupied orbitals, one up and one down, are exchanged."""
    return _of_both_spins(table_NZ, (-1, 1, 1, -1), lambda up_N, down_N: (up_N & ~down_N, down_N & ~up_N))


def hop_pair(table_NZ: np.ndarray | None) -> Proposal:
    """The two fermions of an orbital go to an empty one together."""
    return _of_both_spins(table_NZ, (-1, 1, -1, 1), lambda up_N, down_N: (up_N & down_N, ~up_N & ~down_N))


def _of_both_spins(
    table_NZ: np.ndarray | None, change: tuple[int, ...], places: Callable[[Array, Array], tuple[Array, Array]]
) -> Proposal:
    """``change``: of both orbitals with spin up, then with spin down."""

    def propose(words: Array, s_N: Array) -> Move:
        n = s_N.shape[0] // 2
        begins_N, ends_N = places(s_N[:n] > 0, s_N[n:] > 0)
        here = one_of_those(words[0], begins_N)
        there = goal(words[1], here, table_NZ, ends_N)
        fits = begins_N[here] & ends_N[there]
        deltas = jnp.where(fits, jnp.array(change, jnp.int8), jnp.int8(0))
        return Move(jnp.stack([here, there, here + n, there + n]), deltas)

    return Proposal(propose, n_words=2, may_stay=True)


def one_of_those(word: Array, which_M: Array) -> Array:
    """The number of one of the places that are True, each equally likely; of none, the last place."""
    count_M = jnp.cumsum(which_M, dtype=jnp.int32)
    return jnp.minimum(jnp.sum(count_M <= below(word, count_M[-1]), dtype=jnp.int32), which_M.shape[0] - 1)


def goal(word: Array, here: Array, table_MZ: np.ndarray | None, ends_M: Array) -> Array:
    """Where to: a slot of the row of ``here``, or without a table one of the places that are free."""
    if table_MZ is None:
        return one_of_those(word, ends_M)
    return jnp.asarray(table_MZ)[here, below(word, table_MZ.shape[1])]


def table_of(pairs: np.ndarray, n: int) -> np.ndarray:
    """(n, Z) int32: the partners of each of ``n`` places in pairs (P, 2), its own number in slots that are left."""
    partners: list[list[int]] = [[] for _ in range(n)]
    for i, j in np.asarray(pairs).tolist():
        partners[i].append(j)
        partners[j].append(i)
    width = max(map(len, partners))
    return np.array([[*own, *[i] * (width - len(own))] for i, own in enumerate(partners)], dtype=np.int32)
