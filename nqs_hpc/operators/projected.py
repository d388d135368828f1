"""Operators made of others: with other elements for the same moves, and within a space.

P A P with P the projector onto the states of a space is what acts on a wave function that vanishes outside of it: the
PXP model is the drive of Rydberg atoms within the blockade, the t-J model hopping without doubly occupied sites.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.system.hilbert import Hilbert, groups, is_restricted, is_whole, violates
from nqs_hpc.types import Move, Operator

Change = Callable[[Array, Move, Array], tuple[Move, Array]]


def changed(operator: Operator, change: Change) -> Operator:
    """``operator`` with ``change(s_N, moves, elements)`` of its moves and elements, at all times and in all blocks."""
    at, some = operator.at, operator.connected_some
    return operator._replace(
        connected=lambda s_N: change(s_N, *operator.connected(s_N)),
        at=None if at is None else lambda time: changed(at(time), change),
        terms=tuple((factor, changed(term, change)) for factor, term in operator.terms),
        connected_some=None if some is None else lambda s_N, start, size: change(s_N, *some(s_N, start, size)),
    )


def projected(operator: Operator, hilbert: Hilbert) -> Operator:
    """P A P: elements that lead out of ``hilbert`` are 0."""
    if is_whole(hilbert):
        return operator
    fixed = [group for group in groups(hilbert) if group.total is not None]
    inside_GN = np.zeros((len(fixed), hilbert.n_sites), dtype=np.int32)
    for row, group in zip(inside_GN, fixed, strict=True):
        row[list(group.sites)] = 1

    def stays(s_N: Array, move: Move) -> Array:
        changes_G = jnp.sum(jnp.asarray(inside_GN)[:, move.sites] * move.deltas.astype(jnp.int32)[None, :], axis=1)
        keeps = jnp.all(changes_G == 0)
        if not is_restricted(hilbert):
            return keeps
        return keeps & ~violates(hilbert, s_N.at[move.sites].add(move.deltas))

    def change(s_N: Array, moves_KF: Move, elements_K: Array) -> tuple[Move, Array]:
        stays_K = jax.vmap(stays, in_axes=(None, 0))(s_N, moves_KF)
        # no move at all where the element is 0: the ratio to a state outside could be infinite, and 0 * inf is NaN
        deltas_KF = jnp.where(stays_K[:, None], moves_KF.deltas, 0).astype(moves_KF.deltas.dtype)
        return Move(moves_KF.sites, deltas_KF), jnp.where(stays_K, elements_K, 0)

    return changed(operator, change)._replace(may_vanish=True)
