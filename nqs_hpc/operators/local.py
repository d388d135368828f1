"""What the Hamiltonians of two-valued sites (s = +1, -1) share: moves that flip spins and products along bonds.

A Hamiltonian's ``connected`` states are moves, K small changes of a few sites, never K full configurations, so that an
ansatz answers them by ratios (``types.Move``). All index arrays are NumPy constants closed over by the factories.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.types import Move


def flip_moves(
    sites_KF: np.ndarray | Array, real_KF: np.ndarray | Array, s_N: Array, alive_K: Array, first: int = 1
) -> Move:
    """K moves that flip the listed sites of ``s_N``, int8: deltas are -2 s of spins, and 1 - 2 n of occupations, whose
    ``first`` local value is 0.

    ``real_KF`` (bool) is False on pads, whose site must be 0; ``alive_K`` (bool) is False where the element vanishes
    for this s. Both get delta 0: a vanishing element may lead to a state whose ratio is infinite, and 0 * inf is NaN.
    """
    moved_KF = jnp.asarray(real_KF) & alive_K[:, None]
    flipped_KF = -2 * s_N[sites_KF] if first == 1 else 1 - 2 * s_N[sites_KF]
    return Move(jnp.asarray(sites_KF), jnp.where(moved_KF, flipped_KF, 0).astype(jnp.int8))


def bond_products(edges: np.ndarray, s_N: Array) -> Array:
    """s_i s_j of each of the n bonds: edges (n, 2) integers, s_N int8 of +1 and -1 -> (n,) int8."""
    return s_N[edges[:, 0]] * s_N[edges[:, 1]]
