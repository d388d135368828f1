"""Operators as an ansatz sees them: with signs of basis states, and within one sector.

With Marshall's rule, or another gauge (`system.gauge`), the ansatz is not psi but U psi, U = prod sz_i over some of the
sites, and an operator A becomes U A U, whose elements change sign with each spin they flip on these. In a sector psi
vanishes outside of it, where the ansatz, never asked there while it was trained, does not: elements that lead out are
0.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.operators.projected import changed, projected
from nqs_hpc.system.basis import Basis
from nqs_hpc.types import Move, Operator


def rotated(operator: Operator, signs_N: np.ndarray, local_values: tuple[int, ...]) -> Operator:
    """U A U with U = prod_i sigma_i over the sites whose sign (N,) is -1 (`system.gauge`)."""

    def elements(s_N: Array, moves_KF: Move, elements_K: Array) -> tuple[Move, Array]:
        del s_N
        # U changes sign with each step of a local value: the flip of a spin 1/2, one boson more or less
        changed_KF = moves_KF.deltas // abs(local_values[1] - local_values[0]) % 2 != 0
        odd_KF = changed_KF & (jnp.asarray(signs_N)[moves_KF.sites] < 0)
        return moves_KF, elements_K * (1 - 2 * (jnp.sum(odd_KF, axis=1) % 2))

    return changed(operator, elements)


def seen(operator: Operator, basis: Basis) -> Operator:
    """An operator as it is written, in the basis and the space of an ansatz."""
    if basis.signs_N is not None:
        operator = rotated(operator, basis.signs_N, basis.hilbert.local_values)
    return projected(operator, basis.hilbert)
