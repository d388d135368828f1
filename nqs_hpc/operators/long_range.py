"""Spins 1/2 with couplings between any pairs, as trapped ions and dipoles have them, with Pauli matrices,

    H = sum_{i<j} c_ij [Jz sz_i sz_j + Jxy (sx_i sx_j + sy_i sy_j)] - h sum_i sx_i - g sum_i sz_i,

where c_ij = 1 / r_ij^alpha, or less than that by Kac's factor (`system.distances.power_law`). The diagonal of all
samples is one product with the matrix Jz c. Two antiparallel spins are exchanged with the element 2 Jxy c_ij, and the
transverse field flips each spin with the element -h. Of ions: D. Porras and J. I. Cirac, Phys. Rev. Lett. 92, 207901
(2004), arXiv:quant-ph/0401102; a review: N. Defenu et al., Rev. Mod. Phys. 95, 035002 (2023), arXiv:2109.01063.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.operators.local import bond_products
from nqs_hpc.types import Move, Operator

# Couplings a site above which a product with the whole matrix beats gathering the two ends of each pair.
DENSE = 16


def long_range(
    n_sites: int,
    pairs: np.ndarray,
    strengths: np.ndarray,
    *,
    Jz: float,
    Jxy: float,
    h: float = 0.0,
    g: float = 0.0,
    signs: np.ndarray | None = None,
) -> Operator:
    """The model with c_ij = ``strengths`` (P,), not 0, of the ``pairs`` (P, 2), each counted once; energies are totals.

    ``signs`` (N,), +1 and -1, gives U H U with U = prod_i sz_i over the sites with -1. K is the number of pairs where
    Jxy is not 0, and that of the sites more where h is not 0.
    """
    pairs = np.asarray(pairs, dtype=np.int32).reshape(-1, 2)
    c_P = np.asarray(strengths, dtype=float)
    sites, elements, of_pairs = _moves(n_sites, pairs, c_P, Jxy=Jxy, h=h, signs=signs)
    n_connected = len(sites)
    # on CPUs XLA's product with a constant matrix of zeros reads memory that nothing was written to
    is_dense = Jz != 0 and len(pairs) > DENSE * n_sites
    matrix = np.zeros((n_sites, n_sites)) if is_dense else None
    if matrix is not None:
        matrix[pairs[:, 0], pairs[:, 1]] = Jz * c_P

    def diagonal(s_N: Array) -> Array:
        field = g * jnp.sum(s_N, dtype=jnp.int32).astype(float)
        if matrix is not None:
            x_N = s_N.astype(float)
            return x_N @ (jnp.asarray(matrix) @ x_N) - field
        if Jz == 0:
            return -field
        return jnp.sum(jnp.asarray(Jz * c_P) * bond_products(pairs, s_N)) - field

    def moved(s_N: Array, rows: tuple[Array, Array, Array]) -> tuple[Move, Array]:
        sites_KF, elements_K, of_pairs_K = rows
        s_KF = s_N[sites_KF]
        if sites_KF.shape[1] == 1:
            return Move(sites_KF, (-2 * s_KF).astype(jnp.int8)), elements_K
        alive_K = (elements_K != 0) & (~of_pairs_K | (s_KF[:, 0] != s_KF[:, 1]))
        # a pad of a move of one site is site 0
        real_KF = jnp.stack([alive_K, alive_K & of_pairs_K], axis=1)
        return Move(sites_KF, jnp.where(real_KF, -2 * s_KF, 0).astype(jnp.int8)), jnp.where(alive_K, elements_K, 0.0)

    def connected(s_N: Array) -> tuple[Move, Array]:
        return moved(s_N, (jnp.asarray(sites), jnp.asarray(elements), jnp.asarray(of_pairs)))

    def connected_some(s_N: Array, start: Array, size: int) -> tuple[Move, Array]:
        number_k = start + jnp.arange(size, dtype=jnp.int32)
        row_k, inside_k = jnp.minimum(number_k, n_connected - 1), number_k < n_connected
        some_kF, some_k = jnp.asarray(sites)[row_k], jnp.asarray(elements)[row_k]
        moves, elements_k = moved(s_N, (some_kF, some_k, jnp.asarray(of_pairs)[row_k]))
        deltas_kF = jnp.where(inside_k[:, None], moves.deltas, 0).astype(jnp.int8)
        return Move(some_kF, deltas_kF), jnp.where(inside_k, elements_k, 0.0)

    # a pair has the levels Jz (twice) and -Jz +- 2 Jxy, in units of its coupling
    levels_P3 = c_P[:, None] * np.array([Jz, 2 * Jxy - Jz, -2 * Jxy - Jz])[None, :]
    field = n_sites * math.hypot(h, g)
    bounds = (float(levels_P3.min(axis=1).sum()) - field, float(levels_P3.max(axis=1).sum()) + field)
    return Operator(
        diagonal,
        connected,
        n_connected,
        is_real=True,
        e_infinity=0.0,
        may_vanish=Jxy != 0,
        bounds=bounds,
        connected_some=connected_some if n_connected else None,
    )


def _moves(
    n_sites: int, pairs: np.ndarray, c_P: np.ndarray, *, Jxy: float, h: float, signs: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sites of all moves (K, F), their elements (K,) where they do not vanish, and whether they are of pairs."""
    singles = np.arange(n_sites if h != 0 else 0, dtype=np.int32)[:, None]
    if Jxy == 0:
        sites, elements, of_pairs = singles, np.full(len(singles), -h, dtype=float), np.zeros(len(singles), bool)
    else:
        sites = np.concatenate([pairs, np.concatenate([singles, np.zeros_like(singles)], axis=1)])
        elements = np.concatenate([2 * Jxy * c_P, np.full(len(singles), -h, dtype=float)])
        of_pairs = np.arange(len(sites)) < len(pairs)
    if signs is not None:
        assert np.shape(signs) == (n_sites,) and np.all(np.abs(signs) == 1)
        of_ends = np.asarray(signs)[sites]
        elements = elements * np.where(of_pairs, np.prod(of_ends, axis=1), of_ends[:, 0])
    return sites, elements, of_pairs
