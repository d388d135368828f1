"""The open Heisenberg chain of spins 1/2 in a basis of total spins, one sector of SU(2) at a time,

    H = J sum_{i<N} S_i . S_{i+1} = J sum_{i<N} (1/4 - P_i),

with P_i the projector onto the singlet of two neighbours. A basis state couples one spin after the other: h_i / 2 is
the total spin of the first i, h_0 = 0, and the configuration holds the steps s_i = h_i - h_{i-1} = +1 or -1 of a path
that never goes below 0 and ends at h_N = 2 S (a fusion tree). A multiplet of the chain is one state here. P_i acts
where s_i = -s_{i+1}, with d = h_{i-1} + 1:

    <s|P_i|s> = (d + s_i) / (2 d),    <s'|P_i|s> = sqrt(d^2 - 1) / (2 d),   s' with the two steps exchanged.

For J > 0 no element off the diagonal is positive. T. Vieijra et al., Phys. Rev. Lett. 124, 097201 (2020),
arXiv:1905.06034; the elements are those of the Temperley-Lieb algebra, V. Pasquier, Nucl. Phys. B 285, 162 (1987),
doi:10.1016/0550-3213(87)90332-4.
"""

from __future__ import annotations

from math import comb

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.operators.local import flip_moves
from nqs_hpc.types import Move, Operator


def heisenberg_su2(n_sites: int, *, J: float, signs: np.ndarray | None = None) -> Operator:
    """The chain of ``n_sites`` >= 2 spins, in the space `spaces.paths`; energies are totals, with spin-1/2 operators.

    ``signs`` (N,), +1 and -1, gives U H U with U the product of the steps where they are -1. K is N - 2: the first two
    steps never exchange. ``e_infinity`` is the mean of all multiplets, each once.
    """
    assert n_sites >= 2
    first = np.arange(1, n_sites - 1, dtype=np.int32)
    edges = np.stack([first, first + 1], axis=1)
    real_KF = np.ones(edges.shape, dtype=bool)
    signs_K = np.ones(len(edges)) if signs is None else np.prod(np.asarray(signs, float)[edges], axis=1)

    def before(s_N: Array) -> Array:
        """d of each pair of steps but the last: the multiplicity of the total spin that comes before it, (N - 1,)."""
        wide_N = s_N.astype(jnp.int32)
        return jnp.maximum(jnp.cumsum(wide_N) - wide_N + 1, 1)[:-1].astype(float)

    def diagonal(s_N: Array) -> Array:
        d = before(s_N)
        singlet = jnp.where(s_N[:-1] == -s_N[1:], (d + s_N[:-1]) / (2 * d), 0.0)
        return J * ((n_sites - 1) / 4 - jnp.sum(singlet))

    def connected(s_N: Array) -> tuple[Move, Array]:
        d_K = before(s_N)[1:]
        alive_K = (s_N[1:-1] == -s_N[2:]) & (d_K > 1)
        elements_K = -J / 2 * jnp.asarray(signs_K) * jnp.sqrt(1 - 1 / d_K**2)
        return flip_moves(edges, real_KF, s_N, alive_K), jnp.where(alive_K, elements_K, 0.0)

    # a pair of steps that P_i acts on can be cut out of a path: its trace is the number of paths without it
    singlets = comb(n_sites - 2, (n_sites - 2) // 2) / comb(n_sites, n_sites // 2)
    bounds = sorted(((n_sites - 1) * J / 4, -(n_sites - 1) * 3 * J / 4))
    return Operator(
        diagonal,
        connected,
        len(edges),
        is_real=True,
        e_infinity=J * (n_sites - 1) * (0.25 - singlets),
        bounds=(bounds[0], bounds[1]),
    )
