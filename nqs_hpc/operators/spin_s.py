"""Spins of any length S with bilinear and biquadratic couplings, single-ion anisotropies and a field,

    H = sum_<ij> w_ij [J (Sx_i Sx_j + Sy_i Sy_j + Delta Sz_i Sz_j) + Q (S_i . S_j)^2]
        + sum_i [D (Sz_i)^2 + E ((Sx_i)^2 - (Sy_i)^2) - h Sz_i].

Local values are 2m. A bond joins states in which m_i is raised and m_j lowered by 1, with Q also by 2. Its elements are
those of the (2S+1)^2 x (2S+1)^2 matrix of two spins. E = 0 conserves the total Sz; with E a site changes its m by 2.
S = 1, Q = J/3 is the chain of I. Affleck, T. Kennedy, E. H. Lieb and H. Tasaki, Phys. Rev. Lett. 59, 799 (1987),
doi:10.1103/PhysRevLett.59.799, with energy -2J/3 a bond.

Marshall's sign rule holds for any S: with U = prod_{i in A} (-1)^(S - m_i) on one sublattice, antiferromagnetic bonds
of the sublattices have negative elements. E. H. Lieb and D. Mattis, J. Math. Phys. 3, 749 (1962),
doi:10.1063/1.1724276.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.system.spin_matrices import bond_matrix, raising, site_matrix
from nqs_hpc.types import Move, Operator


def spin_s(
    n_sites: int,
    edges: np.ndarray,
    *,
    two_s: int,
    J: float = 1.0,
    Q: float = 0.0,
    D: float = 0.0,
    E: float = 0.0,
    h: float = 0.0,
    delta: float = 1.0,
    weights: np.ndarray | None = None,
    marshall_signs: np.ndarray | None = None,
) -> Operator:
    """Spins S = two_s / 2 on the bonds ``edges`` (n, 2), each counted once, or times its one of ``weights`` (n,).

    ``marshall_signs`` (N,), +1 on one sublattice and -1 on the other, gives U H U with U = prod_i (-1)^(S - m_i) over
    the sites with -1. K is twice the number of bonds, with Q and S > 1/2 four times, with E and S > 1/2 twice that of
    the sites more. Moves of bonds come first, step by step.
    """
    bonds = np.asarray(edges, dtype=np.int32).reshape(-1, 2)
    factors = np.ones(len(bonds)) if weights is None else np.asarray(weights, dtype=float)
    d = two_s + 1
    two, one = bond_matrix(two_s, J, Q, delta), site_matrix(two_s, D, E, h)
    # of pairs of digits, by how much m_i is raised
    tables = {t: np.nan_to_num(raising(two, d, t)).ravel() for t in (1, -1, 2, -2) if abs(t) < d}
    steps = [t for t, table in tables.items() if table.any()]
    elements_TP = np.array([tables[t] for t in steps]).reshape(len(steps), d * d)
    factor_TE = np.repeat(factors[None, :], len(steps), axis=0)
    if marshall_signs is not None:
        signs_E = np.prod(np.asarray(marshall_signs)[bonds], axis=1)
        factor_TE[[t % 2 != 0 for t in steps]] *= signs_E[None, :]
    jumps = [t for t in (2, -2) if np.diag(one, t).any()]  # of single sites
    elements_TD = np.array([[one[a, a - t] if 0 <= a - t < d else 0.0 for a in range(d)] for t in jumps])

    singles = np.stack([np.arange(n_sites), np.zeros(n_sites)], axis=1).astype(np.int32)
    sites_KF = np.concatenate([np.tile(bonds, (len(steps), 1)), np.tile(singles, (len(jumps), 1))])
    of_steps = [np.broadcast_to([2 * t, -2 * t], bonds.shape) for t in steps]
    of_jumps = [np.broadcast_to([2 * t, 0], singles.shape) for t in jumps]
    deltas_KF = np.concatenate([np.empty((0, 2)), *of_steps, *of_jumps]).astype(np.int8)

    def diagonal(s_N: Array) -> Array:
        m_N = s_N.astype(float) / 2
        on_sites = jnp.sum(D * m_N**2 - h * m_N)
        if Q == 0:
            return jnp.sum(jnp.asarray(J * delta * factors) * (m_N[bonds[:, 0]] * m_N[bonds[:, 1]])) + on_sites
        return jnp.sum(jnp.asarray(factors) * jnp.asarray(np.diag(two))[pairs(s_N)]) + on_sites

    def digits(s_N: Array) -> Array:
        return (two_s - s_N.astype(jnp.int32)) // 2

    def pairs(s_N: Array) -> Array:
        digit_N = digits(s_N)
        return digit_N[bonds[:, 0]] * d + digit_N[bonds[:, 1]]

    def connected(s_N: Array) -> tuple[Move, Array]:
        found = []
        if steps:
            found.append((jnp.asarray(factor_TE) * jnp.asarray(elements_TP)[:, pairs(s_N)]).ravel())
        if jumps:
            found.append(jnp.asarray(elements_TD)[:, digits(s_N)].ravel())
        elements_K = jnp.concatenate([jnp.zeros(0), *found])
        moves_KF = jnp.where((elements_K != 0)[:, None], jnp.asarray(deltas_KF), jnp.int8(0))
        return Move(jnp.asarray(sites_KF), moves_KF), elements_K

    of_bonds, of_sites = factors[:, None] * np.linalg.eigvalsh(two)[None, :], np.linalg.eigvalsh(one)
    bounds = (
        float(of_bonds.min(axis=1).sum() + n_sites * of_sites[0]),
        float(of_bonds.max(axis=1).sum() + n_sites * of_sites[-1]),
    )
    e_infinity = float(factors.sum() * np.trace(two) / d**2 + n_sites * np.trace(one) / d)
    return Operator(diagonal, connected, len(sites_KF), is_real=True, e_infinity=e_infinity, bounds=bounds)
