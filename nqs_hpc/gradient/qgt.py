"""The quantum geometric tensor S = X^dagger X in parameter space, summed over ranks; Hermitian matrices made small.

Stokes et al. 2020, "Quantum natural gradient" (arXiv:1909.02108); Sorella 1998 (doi:10.1103/PhysRevLett.80.4558).
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.comm import Comm


def dense_qgt(s_PP: Array, force_P: Array, comm: Comm) -> tuple[Array, Array]:
    """S (P, P) and F (P,) over all ranks from this rank's parts of them, in one reduction of packed S and F."""
    if comm.size == 1:
        return s_PP, force_P
    n = len(force_P)
    total = comm.sum(jnp.concatenate([pack(s_PP), force_P]))
    return unpack(total[:-n], n), total[-n:]


def pack(matrix: Array) -> Array:
    """n (n + 1) / 2 numbers of a Hermitian (n, n) matrix: the off-diagonal block, and both diagonal blocks in one
    square.

    Half the traffic of the matrix, by copies alone (rectangular full packed format: Gustavson et al. 2010,
    doi:10.1145/1731022.1731028).
    """
    n = matrix.shape[0]
    h = n // 2
    first, second = matrix[:h, :h], matrix[h : 2 * h, h : 2 * h]
    square = jnp.tril(first) + jnp.triu(second, 1)
    rest = matrix[2 * h :, :].ravel()  # the last row where n is odd
    return jnp.concatenate([square.ravel(), matrix[h : 2 * h, :h].ravel(), jnp.diagonal(second), rest])


def unpack(packed: Array, n: int) -> Array:
    """The Hermitian matrix that `pack` made small."""
    h = n // 2
    square = packed[: h * h].reshape(h, h)
    block = packed[h * h : 2 * h * h].reshape(h, h)
    diagonal = packed[2 * h * h : 2 * h * h + h]
    lower, upper = jnp.tril(square, -1), jnp.triu(square, 1)
    first = lower + lower.conj().T + jnp.diag(jnp.diagonal(square))
    second = upper + upper.conj().T + jnp.diag(diagonal)
    matrix = jnp.block([[first, block.conj().T], [block, second]])
    if n == 2 * h:
        return matrix
    last = packed[2 * h * h + h :]
    matrix = jnp.concatenate([matrix, last[None, :-1]])
    return jnp.concatenate([matrix, jnp.append(last[:-1].conj(), last[-1])[:, None]], axis=1)
