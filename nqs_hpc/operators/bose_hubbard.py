"""The Bose-Hubbard model, at most n_max bosons on a site,

    H = -J sum_<ij> (b+_i b_j + b+_j b_i) + U/2 sum_i n_i (n_i - 1) - mu sum_i n_i.

A configuration holds the numbers n_i from 0 to n_max. A bond moves one boson either way with the element
-J sqrt(n_i (n_j + 1)), which vanishes where i is empty or j full. The total number is conserved. M. P. A. Fisher et
al., Phys. Rev. B 40, 546 (1989), doi:10.1103/PhysRevB.40.546; as a neural quantum state H. Saito, J. Phys. Soc. Jpn.
86, 093001 (2017), arXiv:1707.09723.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.types import Move, Operator


def bose_hubbard(
    n_sites: int,
    edges: np.ndarray,
    *,
    J: float,
    U: float,
    mu: float,
    n_max: int,
    weights: np.ndarray | None = None,
) -> Operator:
    """The Bose-Hubbard model on the bonds ``edges`` (n, 2), each counted once, or with J times its one of ``weights``
    (n,); energies are totals.

    K is twice the number of bonds, or 0 without hopping: then the moves have shape (0, 2).
    """
    bonds = np.asarray(edges, dtype=np.int32).reshape(-1, 2)
    hops_KF = np.concatenate([bonds, bonds[:, ::-1]]) if J != 0 else np.zeros((0, 2), dtype=np.int32)  # from, to
    hopping_K: float | np.ndarray = J
    if weights is not None and J != 0:
        hopping_K = J * np.concatenate([weights, weights])
    change_F = np.array([-1, 1], dtype=np.int8)

    def diagonal(s_N: Array) -> Array:
        n_N = s_N.astype(jnp.int32)
        pairs = jnp.sum(n_N * (n_N - 1)).astype(float) / 2
        return U * pairs - mu * jnp.sum(n_N).astype(float)

    def connected(s_N: Array) -> tuple[Move, Array]:
        source_K, goal_K = s_N[hops_KF[:, 0]].astype(float), s_N[hops_KF[:, 1]].astype(float)
        alive_K = (source_K > 0) & (goal_K < n_max)
        # a move past the ends would lead to no state, and its ratio is asked for even where the element is 0
        deltas_KF = jnp.where(alive_K[:, None], jnp.asarray(change_F)[None, :], 0).astype(jnp.int8)
        elements_K = jnp.where(alive_K, -hopping_K * jnp.sqrt(source_K * (goal_K + 1)), 0.0)
        return Move(jnp.asarray(hops_KF), deltas_KF), elements_K

    numbers = np.arange(n_max + 1)
    on_site = U / 2 * numbers * (numbers - 1) - mu * numbers
    e_infinity = n_sites * float(np.mean(on_site))  # all numbers are equally likely at infinite temperature
    # b+_i b_j + b+_j b_i of n bosons on two sites has the levels -n, 2 - n, .., n; n_max cuts them, and narrows them
    hopping = abs(J) * 2 * n_max * (len(bonds) if weights is None else float(np.abs(weights).sum()))
    bounds = (float(n_sites * on_site.min() - hopping), float(n_sites * on_site.max() + hopping))
    return Operator(diagonal, connected, len(hops_KF), is_real=True, e_infinity=e_infinity, bounds=bounds)
