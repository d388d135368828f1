"""Spins of any length S with a bilinear and a biquadratic coupling and a single-ion anisotropy,

    H = sum_<ij> [J S_i . S_j + Q (S_i . S_j)^2] + D sum_i (Sz_i)^2.

Local values are 2m. A bond joins states in which m_i is raised and m_j lowered by 1, with Q also by 2. Its elements are
those of the (2S+1)^2 x (2S+1)^2 matrix of two spins. S = 1, Q = J/3 is the chain of I. Affleck, T. Kennedy, E. H. Lieb
and H. Tasaki, Phys. Rev. Lett. 59, 799 (1987), doi:10.1103/PhysRevLett.59.799, with energy -2J/3 a bond. The total Sz
is conserved.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.types import Move, Operator


def spin_s(
    n_sites: int,
    edges: np.ndarray,
    *,
    two_s: int,
    J: float = 1.0,
    Q: float = 0.0,
    D: float = 0.0,
    weights: np.ndarray | None = None,
    marshall_signs: np.ndarray | None = None,
) -> Operator:
    """Spins S = two_s / 2 on the bonds ``edges`` (n, 2), each counted once, or times its one of ``weights`` (n,).

    ``marshall_signs`` (N,), +1 on one sublattice and -1 on the other, gives U H U with U = prod_i (-1)^(S - m_i) over
    the sites with -1. K is twice the number of bonds, with Q and S > 1/2 four times.
    """
    bonds = np.asarray(edges, dtype=np.int32).reshape(-1, 2)
    factors = np.ones(len(bonds)) if weights is None else np.asarray(weights, dtype=float)
    d = two_s + 1
    two = bond_matrix(two_s, J, Q)
    diagonal_P = np.diag(two)  # of pairs of digits, P = d digit_i + digit_j
    steps = [t for t in (1, -1, 2, -2) if abs(t) < d and raising(two, d, t).any()]  # by how much m_i is raised
    elements_TP = np.array([raising(two, d, t) for t in steps]).reshape(len(steps), d * d)

    sites_KF = np.tile(bonds, (len(steps), 1))
    step_K = np.repeat(np.array(steps, dtype=np.int32), len(bonds))
    table_K = np.repeat(np.arange(len(steps), dtype=np.int32), len(bonds))
    factor_K = np.tile(factors, len(steps))
    if marshall_signs is not None:
        signs = np.prod(np.asarray(marshall_signs)[sites_KF], axis=1).reshape(-1)
        factor_K = factor_K * np.where(step_K % 2 == 0, 1, signs)
    deltas_KF = (2 * step_K[:, None] * np.array([[1, -1]])).astype(np.int8)

    def pair(s_N: Array, sites_KF: np.ndarray) -> Array:
        digit_N = (two_s - s_N.astype(jnp.int32)) // 2
        return digit_N[sites_KF[:, 0]] * d + digit_N[sites_KF[:, 1]]

    def diagonal(s_N: Array) -> Array:
        of_bonds = jnp.sum(jnp.asarray(factors) * jnp.asarray(diagonal_P)[pair(s_N, bonds)])
        return of_bonds + D / 4 * jnp.sum(s_N.astype(jnp.int32) ** 2).astype(float)

    def connected(s_N: Array) -> tuple[Move, Array]:
        elements_K = jnp.asarray(factor_K) * jnp.asarray(elements_TP)[table_K, pair(s_N, sites_KF)]
        moves_KF = jnp.where((elements_K != 0)[:, None], jnp.asarray(deltas_KF), jnp.int8(0))
        return Move(jnp.asarray(sites_KF), moves_KF), elements_K

    levels, size = np.linalg.eigvalsh(two), factors[:, None]
    of_bonds = size * levels[None, :]
    m = np.arange(two_s, -two_s - 1, -2) / 2
    on_site = D * m**2
    bounds = (
        float(of_bonds.min(axis=1).sum() + n_sites * on_site.min()),
        float(of_bonds.max(axis=1).sum() + n_sites * on_site.max()),
    )
    e_infinity = float(factors.sum() * np.trace(two) / d**2 + n_sites * on_site.mean())
    return Operator(diagonal, connected, len(sites_KF), is_real=True, e_infinity=e_infinity, bounds=bounds)


def bond_matrix(two_s: int, J: float, Q: float) -> NDArray[np.float64]:
    """J S_i . S_j + Q (S_i . S_j)^2 of two spins; the row d digit_i + digit_j, digit = S - m."""
    s = two_s / 2
    m = s - np.arange(two_s + 1)
    plus = np.diag(np.sqrt(s * (s + 1) - m[1:] * (m[1:] + 1)), 1)  # <m+1|S+|m>
    dot = np.kron(np.diag(m), np.diag(m)) + (np.kron(plus, plus.T) + np.kron(plus.T, plus)) / 2
    return np.asarray(J * dot + Q * dot @ dot)


def raising(two: NDArray[np.float64], d: int, t: int) -> NDArray[np.float64]:
    """<a, b|h|a', b'> with the digits a' = a - t and b' = b + t, of each (a, b): (d^2,); 0 where there is none."""
    found = np.zeros((d, d))
    for a in range(d):
        for b in range(d):
            if 0 <= a - t < d and 0 <= b + t < d:
                found[a, b] = two[d * a + b, d * (a - t) + b + t]
    found[np.abs(found) < 1e-14 * np.abs(two).max()] = 0
    return found.ravel()
