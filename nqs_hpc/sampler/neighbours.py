"""Graphs of configurations in which each leads to the other by as many moves one way as the other.

    n(s -> t) = n(t -> s),    sum_t n(s -> t) = K for every s,

moves that change nothing, which lead from s to s, counted. A Hermitian operator has such a graph: where one of its
elements vanishes the move is one of these. Without one there are single flips of free sites, and exchanges or hops of
pairs of sites where totals are fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.sampler.moves import free_sites, stays, within_blocks
from nqs_hpc.system.hilbert import Hilbert, groups, has_one_total
from nqs_hpc.types import Move, Operator

MOST = 2**13  # moves of an operator, of all of which a weight needs the ratio


class Neighbours(NamedTuple):
    """``moves(s_N) -> (moves_KF, alive_K)``; those that are not alive change nothing, and count among the K."""

    moves: Callable[[Array], tuple[Move, Array]]
    n: int  # K
    may_stay: bool  # whether some can change nothing


def neighbours(operator: Operator, hilbert: Hilbert, pairs: Callable[[], np.ndarray]) -> Neighbours:
    """The moves of ``operator``. Where it has none, is not Hermitian, depends on time (then some moves may not be there
    now), or has more than ``MOST``, those of the space, with exchanges or hops along the ``pairs`` (n, 2), which are
    asked for where a total is fixed. Raises ValueError if there is none.
    """
    own = operator.is_hermitian and operator.at is None and 0 < operator.n_connected <= MOST
    return inside(of_operator(operator) if own else of_space(hilbert, pairs), hilbert)


def of_operator(operator: Operator) -> Neighbours:
    """The states that a Hermitian operator joins to s."""

    def moves(s_N: Array) -> tuple[Move, Array]:
        moves_KF, elements_K = operator.connected(s_N)
        return moves_KF, elements_K != 0

    return Neighbours(moves, operator.n_connected, operator.may_vanish)


def of_space(hilbert: Hilbert, pairs: Callable[[], np.ndarray]) -> Neighbours:
    """Other values of sites without a total; on each pair within a block that has one an exchange, of spins 1/2, or a
    step from one site to the other either way.
    """
    values = np.asarray(hilbert.local_values, dtype=np.int32)
    d, lowest, highest = len(values), int(values.min()), int(values.max())
    gap = int(values[1] - values[0])  # of the digits: local values are evenly spaced
    step = abs(gap)
    free = np.array(free_sites(hilbert), dtype=np.int32)
    flips_K, turn_K = np.repeat(free, d - 1), np.tile(np.arange(1, d), len(free))
    is_fixed_N = np.ones(hilbert.n_sites, bool)
    is_fixed_N[free] = False
    fixed = any(group.total is not None for group in groups(hilbert))
    bonds = within_blocks(pairs(), hilbert) if fixed else np.zeros((0, 2), np.int32)
    bonds = bonds[is_fixed_N[bonds].all(axis=1)]
    are_spins = set(hilbert.local_values) == {1, -1}
    ways = bonds if are_spins else np.concatenate([bonds, bonds[:, ::-1]])
    n = len(flips_K) + len(ways)
    if n == 0:
        raise ValueError("no move of one site or of a pair of neighbours stays in the space")
    sites_KF = np.concatenate([np.stack([flips_K, np.zeros_like(flips_K)], axis=1), ways]).astype(np.int32)

    def moves(s_N: Array) -> tuple[Move, Array]:
        whole_N = s_N.astype(jnp.int32)
        digit_K = (whole_N[flips_K] - int(values[0])) // gap
        change_K = jnp.asarray(values)[(digit_K + turn_K) % d] - whole_N[flips_K]
        flipped_KF = jnp.stack([change_K, jnp.zeros_like(change_K)], axis=1)
        first_K, second_K = whole_N[ways[:, 0]], whole_N[ways[:, 1]]
        if are_spins:
            alive_K, change_K = first_K != second_K, second_K - first_K
        else:
            alive_K, change_K = (first_K > lowest) & (second_K < highest), jnp.full(len(ways), -step, jnp.int32)
        change_K = jnp.where(alive_K, change_K, 0)
        deltas_KF = jnp.concatenate([flipped_KF, jnp.stack([change_K, -change_K], axis=1)]).astype(jnp.int8)
        return Move(jnp.asarray(sites_KF), deltas_KF), jnp.concatenate([jnp.ones(len(flips_K), bool), alive_K])

    return Neighbours(moves, n, may_stay=len(ways) > 0)


def inside(found: Neighbours, hilbert: Hilbert) -> Neighbours:
    """Moves that lead out of a space with blocks, exclusions or paths change nothing instead."""
    if has_one_total(hilbert):
        return found

    def moves(s_N: Array) -> tuple[Move, Array]:
        moves_KF, alive_K = found.moves(s_N)
        alive_K = alive_K & jax.vmap(lambda move: stays(hilbert, s_N, move))(moves_KF)
        return Move(moves_KF.sites, jnp.where(alive_K[:, None], moves_KF.deltas, 0)), alive_K

    return Neighbours(moves, found.n, may_stay=True)


def adjacency(found: Neighbours) -> Operator:
    """The operator with the elements n(s -> t): its local values are sums over neighbours."""

    def diagonal(s_N: Array) -> Array:
        if not found.may_stay:
            return jnp.zeros(())
        return found.n - jnp.sum(found.moves(s_N)[1], dtype=jnp.int32).astype(float)

    def connected(s_N: Array) -> tuple[Move, Array]:
        moves_KF, alive_K = found.moves(s_N)
        return moves_KF, alive_K.astype(float)

    return Operator(diagonal, connected, found.n, is_real=True, e_infinity=0.0, may_vanish=found.may_stay)
