"""Operators as an ansatz sees them: with signs of basis states, and within one sector.

With Marshall's rule, or another gauge (`system.gauge`), the ansatz is not psi but U psi, U = prod sz_i over some of the
sites, and an operator A becomes U A U, whose elements change sign with each spin they flip on these. In a sector psi
vanishes outside of it, where the ansatz, never asked there while it was trained, does not: elements that lead out are
0.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.system.basis import Basis
from nqs_hpc.types import Move, Operator


def rotated(operator: Operator, signs_N: np.ndarray, local_values: tuple[int, ...]) -> Operator:
    """U A U with U = prod_i sigma_i over the sites whose sign (N,) is -1 (`system.gauge`)."""

    def elements(moves_KF: Move, elements_K: Array) -> tuple[Move, Array]:
        # a spin changes sign where it flips, (-1)^n where the number of bosons changes by an odd one
        changed_KF = moves_KF.deltas != 0 if local_values == (1, -1) else moves_KF.deltas % 2 != 0
        odd_KF = changed_KF & (jnp.asarray(signs_N)[moves_KF.sites] < 0)
        return moves_KF, elements_K * (1 - 2 * (jnp.sum(odd_KF, axis=1) % 2))

    return _changed(operator, elements)


def projected(operator: Operator) -> Operator:
    """P A P with P the projector onto configurations of one total."""

    def elements(moves_KF: Move, elements_K: Array) -> tuple[Move, Array]:
        stays_K = jnp.sum(moves_KF.deltas, axis=1, dtype=jnp.int32) == 0
        # no move at all where the element is 0: the ratio to a state outside could be infinite, and 0 * inf is NaN
        deltas_KF = jnp.where(stays_K[:, None], moves_KF.deltas, 0).astype(moves_KF.deltas.dtype)
        return Move(moves_KF.sites, deltas_KF), jnp.where(stays_K, elements_K, 0)

    return _changed(operator, elements)._replace(may_vanish=True)


def _changed(operator: Operator, change: Callable[[Move, Array], tuple[Move, Array]]) -> Operator:
    return operator._replace(connected=lambda s_N: change(*operator.connected(s_N)))


def seen(operator: Operator, basis: Basis) -> Operator:
    """An operator as it is written, in the basis and the sector of an ansatz."""
    if basis.signs_N is not None:
        operator = rotated(operator, basis.signs_N, basis.hilbert.local_values)
    return operator if basis.hilbert.total is None else projected(operator)
