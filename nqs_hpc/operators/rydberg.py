"""Rydberg atoms under a resonant drive, interacting by van der Waals repulsion,

    H = -Omega/2 sum_i sx_i - delta sum_i n_i + sum_{i<j} V / r_ij^6 n_i n_j,    n = (1 - sz) / 2,

so that a spin down is an excited atom. V is the interaction at distance 1, a lattice constant; the sum runs over all
pairs, or over those with r_ij <= cutoff where one is set. Along periodic sides r_ij is that of the nearest image, and
each pair counts once. The drive connects s to the N states one flip away. Model and units: H. Bernien et al., Nature
551, 579 (2017), arXiv:1707.04344; with neural networks S. Czischek et al., Phys. Rev. B 105, 205108 (2022),
arXiv:2203.04988.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.system.distances import pairs_within
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Move, Operator

# Interactions a site above which a product with the whole matrix beats gathering the two ends of each pair.
DENSE = 16


def rydberg(lattice: Lattice, *, Omega: float, delta: float, V: float, cutoff: float | None = None) -> Operator:
    """Rydberg atoms on the sites of ``lattice``, which has positions; energies in the unit of Omega, delta and V.

    K is the number of atoms. ValueError for a lattice without geometry.
    """
    n_sites = lattice.n_sites
    pairs, apart = pairs_within(lattice, cutoff)
    strengths = V / apart**6
    # on CPUs XLA's product with a constant matrix of zeros reads memory that nothing was written to
    is_dense = V != 0 and len(pairs) > DENSE * n_sites
    matrix = np.zeros((n_sites, n_sites)) if is_dense else None
    if matrix is not None:
        matrix[pairs[:, 0], pairs[:, 1]] = strengths
    sites_KF = np.arange(n_sites, dtype=np.int32)[:, None]

    def diagonal(s_N: Array) -> Array:
        excited_N = s_N < 0
        if matrix is not None:
            n_N = excited_N.astype(float)
            repulsion = n_N @ (jnp.asarray(matrix) @ n_N)
        else:
            both = excited_N[pairs[:, 0]] & excited_N[pairs[:, 1]]
            repulsion = jnp.sum(jnp.where(both, jnp.asarray(strengths), 0.0))
        return repulsion - delta * jnp.sum(excited_N, dtype=jnp.int32).astype(float)

    def connected(s_N: Array) -> tuple[Move, Array]:
        deltas_KF = (-2 * s_N[:, None]).astype(jnp.int8)
        return Move(jnp.asarray(sites_KF), deltas_KF), jnp.full(n_sites, -Omega / 2, dtype=float)

    e_infinity = float(np.sum(strengths)) / 4 - delta * n_sites / 2
    drive, repulsion = abs(Omega) / 2 * n_sites, float(np.sum(strengths))
    bounds = (-drive - max(delta, 0) * n_sites, drive - min(delta, 0) * n_sites + repulsion)
    return Operator(diagonal, connected, n_sites, True, e_infinity=e_infinity, may_vanish=False, bounds=bounds)
