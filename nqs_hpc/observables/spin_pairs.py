"""Local values of S_i . S_j of all pairs of spins of any length S, by the moves that raise one and lower the other.

Spins 1/2 are sums of Pauli strings instead (`operators.pauli_sums`), which share their ratios with other observables.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.observables.correlations import pairs
from nqs_hpc.operators.basis_change import seen
from nqs_hpc.operators.local_values import living_ratios, local_values, pairs_at_once
from nqs_hpc.operators.spin_s import spin_s
from nqs_hpc.parallel.chunk import chunked, even_part
from nqs_hpc.system.basis import Basis
from nqs_hpc.types import Ansatz, Local, Operator, Tree

BLOCK = 2**23  # bytes of what is held of the samples of one block, at most


def spin_pairs(basis: Basis, *, chunk: int | None, memory: int) -> Local:
    """Sz_i Sz_j of all pairs P, i < j, (Sz_i)^2 of all sites, S_i . S_j of all pairs: (B, P + N + P)."""
    operator = all_pairs(basis, 1.0)
    n_pairs = len(pairs(basis.hilbert.n_sites)[0])

    def prepare(ansatz: Ansatz) -> Callable[..., Array]:
        def values(frozen: Tree, s_BN: Array, time: Array | None = None) -> Array:
            del time
            at_once = pairs_at_once(ansatz, operator.connected, frozen, s_BN[0], chunk)

            def of_block(s_bN: Array) -> Array:
                moves_bKF, elements_bK = jax.vmap(operator.connected)(s_bN)
                ratios_bK = living_ratios(ansatz, frozen, s_bN, moves_bKF, elements_bK != 0, at_once)
                # K is the pairs once for each step, up and down
                flips_bP = jnp.sum((elements_bK * ratios_bK).reshape(len(s_bN), -1, n_pairs), axis=1)
                of_z = squares_of_z(s_bN)
                return jnp.concatenate([of_z.astype(flips_bP.dtype), of_z[:, :n_pairs] + flips_bP], axis=1)

            most = max(1, min(BLOCK, memory // 8) // (64 * operator.n_connected))
            return chunked(of_block, s_BN, even_part(len(s_BN), min(chunk or len(s_BN), len(s_BN), most)))

        return values

    return Local(prepare)


def z_pairs() -> Local:
    """The same without S_i . S_j, (B, P + N); no ratios."""
    return Local(lambda ansatz: lambda frozen, s_BN, time=None: squares_of_z(s_BN))


def squares_of_z(s_BN: Array) -> Array:
    i, j = pairs(s_BN.shape[1])
    m_BN = s_BN.astype(float) / 2
    return jnp.concatenate([m_BN[:, i] * m_BN[:, j], m_BN**2], axis=1)


def total_spin_squared(basis: Basis, *, chunk: int | None, memory: int) -> Local:
    """S^2 = N S (S + 1) + 2 sum_{i<j} S_i . S_j: (B,)."""
    operator, n = all_pairs(basis, 2.0), basis.hilbert.n_sites
    s = basis.hilbert.local_values[0] / 2
    shifted = operator._replace(diagonal=lambda s_N: operator.diagonal(s_N) + n * s * (s + 1))
    return local_values(shifted, chunk=chunk, memory=memory)


def all_pairs(basis: Basis, J: float) -> Operator:
    """J S_i . S_j summed over all pairs, as an ansatz sees it."""
    n, two_s = basis.hilbert.n_sites, basis.hilbert.local_values[0]
    return seen(spin_s(n, np.stack(pairs(n), axis=1), two_s=two_s, J=J), basis)
