"""The Heisenberg model of spins 1/2 with couplings by neighbour order and an XXZ anisotropy,

    H = sum_n J_n sum_<ij>_n (Sx_i Sx_j + Sy_i Sy_j + Delta Sz_i Sz_j) - sum_i h_i Sz_i,    S = sigma / 2,

where <ij>_n runs over the pairs of n-th neighbours: J = [1, 0.5] is the J1-J2 model. A bond adds Delta J_n s_i s_j / 4
to the diagonal; an antiparallel one exchanges its two spins with the element J_n / 2. The total Sz is conserved.

Marshall's sign rule: with U = prod_{i in A} sz_i on one sublattice, U H U has -J_n / 2 on the bonds that join the
sublattices A and B, the rest unchanged. Where J_n >= 0 on these and J_n <= 0 on the others, U H U has no positive
off-diagonal element, and its ground state is positive in each sector of Sz. W. Marshall, Proc. R. Soc. A 232, 48
(1955), doi:10.1098/rspa.1955.0200.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.operators.local import bond_products, flip_moves
from nqs_hpc.types import Move, Operator


def heisenberg(
    n_sites: int,
    edges_by_order: Sequence[np.ndarray],
    couplings: Sequence[float | np.ndarray],
    *,
    delta: float = 1.0,
    marshall_signs: np.ndarray | None = None,
    fields_N: np.ndarray | None = None,
) -> Operator:
    """The Heisenberg model; ``edges_by_order[n]`` (n_bonds, 2) are the pairs coupled by ``couplings[n]``, one number
    or one a bond.

    ``fields_N`` (N,) are the h_i, 0 where they are left out. ``marshall_signs`` (N,), +1 on one sublattice and -1 on
    the other, gives U H U instead of H. K is the number of distinct pairs whose couplings do not cancel. Raises
    ValueError if there are not as many couplings as orders.
    """
    edges, couplings_n = merge_bonds(edges_by_order, couplings)
    elements_K = couplings_n / 2
    if marshall_signs is not None:
        assert np.shape(marshall_signs) == (n_sites,) and np.all(np.abs(marshall_signs) == 1)
        elements_K = elements_K * np.prod(np.asarray(marshall_signs)[edges], axis=1)
    real_KF = np.ones(edges.shape, dtype=bool)

    def diagonal(s_N: Array) -> Array:
        of_bonds = delta / 4 * jnp.sum(jnp.asarray(couplings_n) * bond_products(edges, s_N))
        return of_bonds if fields_N is None else of_bonds - jnp.sum(jnp.asarray(fields_N) * s_N) / 2

    def connected(s_N: Array) -> tuple[Move, Array]:
        antiparallel_K = bond_products(edges, s_N) < 0
        moves_KF = flip_moves(edges, real_KF, s_N, antiparallel_K)
        return moves_KF, jnp.where(antiparallel_K, jnp.asarray(elements_K), 0.0)

    # a bond has the levels Delta / 4 (twice), 1/2 - Delta/4 and -1/2 - Delta/4, in units of its coupling
    levels = np.array([delta / 4, 0.5 - delta / 4, -0.5 - delta / 4])
    of_bonds = couplings_n[:, None] * levels[None, :]
    size = 0.0 if fields_N is None else float(np.abs(fields_N).sum()) / 2
    bounds = (float(of_bonds.min(axis=1).sum()) - size, float(of_bonds.max(axis=1).sum()) + size)
    return Operator(diagonal, connected, len(edges), is_real=True, e_infinity=0.0, bounds=bounds)


def merge_bonds(
    edges_by_order: Sequence[np.ndarray], couplings: Sequence[float | np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Each pair of sites once, with the sum of its couplings: edges (n, 2) int32 and couplings (n,) float64.

    On a small torus two sites can be neighbours of several orders; merged they cost the ansatz one ratio. Pairs whose
    couplings add up to 0 are left out.
    """
    orders = [np.asarray(edges, dtype=np.int32).reshape(-1, 2) for edges in edges_by_order]
    weights = [
        np.broadcast_to(np.asarray(J, dtype=float), len(edges)) for edges, J in zip(orders, couplings, strict=True)
    ]
    pairs = np.sort(np.concatenate([np.empty((0, 2), dtype=np.int32), *orders]), axis=1)
    edges, inverse = np.unique(pairs, axis=0, return_inverse=True)
    total = np.bincount(inverse.reshape(-1), weights=np.concatenate([np.empty(0), *weights]), minlength=len(edges))
    return edges[total != 0], total[total != 0]
