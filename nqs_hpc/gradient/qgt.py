"""The quantum geometric tensor S = X^dagger X in parameter space, summed over ranks; packed Hermitian matrices.

Only the upper triangle of each matrix here is defined (`gradient.rank_k`).

Stokes et al. 2020, "Quantum natural gradient" (arXiv:1909.02108); Sorella 1998 (doi:10.1103/PhysRevLett.80.4558).
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.comm import Comm


def dense_qgt(s_PP: Array, force_P: Array, comm: Comm) -> tuple[Array, Array]:
    """S (P, P) and F (P,), summed over all ranks in one reduction of packed S and F."""
    if comm.size == 1:
        return s_PP, force_P
    n = len(force_P)
    total = comm.sum(jnp.concatenate([pack(s_PP), force_P]))
    return unpack(total[:-n], n), total[-n:]


def pack(matrix: Array) -> Array:
    """The n (n + 1) / 2 numbers of an upper triangle (n, n): the off-diagonal block, and both diagonal blocks in one
    square, the second with rows and columns reversed.

    This halves the traffic of the matrix and needs only copies (rectangular full packed format: Gustavson et al. 2010,
    doi:10.1145/1731022.1731028).
    """
    n = matrix.shape[0]
    h = n // 2
    first, second = matrix[:h, :h], matrix[h : 2 * h, h : 2 * h]
    square = jnp.triu(first) + jnp.tril(jnp.flip(second), -1)
    rest = matrix[:, 2 * h :].ravel()  # the last column if n is odd
    return jnp.concatenate([square.ravel(), matrix[:h, h : 2 * h].ravel(), jnp.diagonal(second), rest])


def unpack(packed: Array, n: int) -> Array:
    """The inverse of `pack`: the upper triangle, 0 below it."""
    h = n // 2
    square = packed[: h * h].reshape(h, h)
    block = packed[h * h : 2 * h * h].reshape(h, h)
    second = jnp.flip(jnp.tril(square, -1)) + jnp.diag(packed[2 * h * h : 2 * h * h + h])
    above = jnp.concatenate([jnp.triu(square), block], axis=1)
    matrix = jnp.concatenate([above, jnp.concatenate([jnp.zeros_like(block), second], axis=1)])
    if n == 2 * h:
        return matrix
    matrix = jnp.pad(matrix, ((0, 1), (0, 0)))
    return jnp.concatenate([matrix, packed[2 * h * h + h :][:, None]], axis=1)
