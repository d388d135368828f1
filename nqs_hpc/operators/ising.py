"""The Ising model in a transverse and a longitudinal field, with Pauli matrices,

    H = -J sum_<ij> sz_i sz_j - h sum_i sx_i - g sum_i sz_i,

or with J_ij, h_i and g_i of each bond and site.

In the sz basis the first and the last term are diagonal; the transverse field connects s to the N states one flip away,
each with the element -h. The ring with g = 0 is solved by P. Pfeuty, Ann. Phys. 57, 79 (1970),
doi:10.1016/0003-4916(70)90270-8.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.operators.local import bond_products
from nqs_hpc.types import Move, Operator


def ising(
    n_sites: int,
    edges: np.ndarray,
    *,
    J: float,
    h: float | np.ndarray,
    g: float | np.ndarray = 0.0,
    weights: np.ndarray | None = None,
) -> Operator:
    """The Ising model on the bonds ``edges`` (n, 2), each counted once, or J_ij = J times its one of ``weights`` (n,);
    energies are totals in the unit of J, h and g, each of which is a number or has one for each site (N,).

    K is ``n_sites``, or 0 without a transverse field: then the moves have shape (0, 1).
    """
    edges = np.asarray(edges, dtype=np.int32).reshape(-1, 2)
    n_connected = n_sites if np.any(h) else 0
    sites_KF = np.arange(n_connected, dtype=np.int32)[:, None]

    def diagonal(s_N: Array) -> Array:
        # both sums are exact in integers; the products alone would overflow int8 when summed
        total = jnp.sum(s_N, dtype=jnp.int32)
        field = g * total.astype(float) if np.ndim(g) == 0 else jnp.sum(jnp.asarray(g) * s_N)
        if weights is not None:
            return -J * jnp.sum(jnp.asarray(weights) * bond_products(edges, s_N)) - field
        bonds = jnp.sum(bond_products(edges, s_N), dtype=jnp.int32)
        return -J * bonds.astype(float) - field

    def connected(s_N: Array) -> tuple[Move, Array]:
        deltas_KF = (-2 * s_N[:n_connected, None]).astype(jnp.int8)
        if np.ndim(h) == 0:
            return Move(jnp.asarray(sites_KF), deltas_KF), jnp.full(n_connected, -h, dtype=float)
        alive_KF = jnp.asarray(h)[:n_connected, None] != 0
        return Move(jnp.asarray(sites_KF), jnp.where(alive_KF, deltas_KF, 0).astype(jnp.int8)), -jnp.asarray(h)

    size = len(edges) if weights is None else float(np.abs(weights).sum())
    fields = np.abs(np.asarray(h, dtype=float)) + np.abs(np.asarray(g, dtype=float))
    largest = abs(J) * size + float(fields.mean()) * n_sites
    may_vanish = bool(np.ndim(h) and not np.all(h))
    return Operator(
        diagonal, connected, n_connected, True, e_infinity=0.0, may_vanish=may_vanish, bounds=(-largest, largest)
    )
