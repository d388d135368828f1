"""What wave functions of fermions share: the occupied modes in order, and logarithms of determinants.

The amplitude of |n> = c^dagger_{m_1} ... c^dagger_{m_n} |0>, m_1 < ... < m_n, in a Slater determinant of the orbitals
Phi (M, n) is det of the rows m_1 ... m_n of Phi. The derivative of its logarithm is

    d log det A / d A = (A^-1)^T,

from the same elimination as the determinant: `log_det` and `log_det_of_rows` bring it with them. At a singular A, where
no derivative exists, it is 0: such a state has weight 0.

Many small matrices are inverted here by an elimination of Gauss and Jordan with pivots in columns, mapped over the
matrices: on CPUs XLA spreads a batch over its threads, each with one LAPACK call after the other, and two batches that
one program factorises and solves at the same time can wait for each other's threads for ever.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.elimination import sign_and_size


def occupied(s_N: Array, n: int) -> Array:
    """The numbers (n,) int32 of the occupied modes, ascending; ``n`` (static) of them."""
    return jnp.nonzero(s_N, size=n, fill_value=0)[0].astype(jnp.int32)


@jax.custom_jvp
def log_det(a_nn: Array) -> Array:
    """log det of a matrix, complex: of a real one the imaginary part is 0 or pi; -inf where it is singular."""
    return as_logarithm(*sign_and_size(a_nn))


@log_det.defjvp
def _log_det_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    value, inverse = log_det_and_inverse(*primals)
    return value, jnp.sum(inverse.T * tangents[0]).astype(value.dtype)


def log_det_and_inverse(a_nn: Array) -> tuple[Array, Array]:
    """`log_det` and the inverse; the inverse of a singular matrix is given as 0."""
    value, inverse, pivots = eliminated(a_nn)
    return value, inverse[:, jnp.argsort(pivots)]


def eliminated(a_nn: Array) -> tuple[Array, Array, Array]:
    """`log_det`; the inverse with its columns in the order of the pivots; and the pivots: column j belongs to row
    ``pivots[j]`` of the matrix. Of a singular matrix 0 in place of the inverse.
    """
    n = len(a_nn)
    rows = jnp.arange(n, dtype=jnp.int32)

    def step(k: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        a_nn, is_free, pivots, value_n = carry
        column = jax.lax.dynamic_index_in_dim(a_nn, k, axis=1, keepdims=False)
        row = jnp.argmax(jnp.where(is_free, jnp.abs(column), -1)).astype(jnp.int32)
        pivot = column[row]
        is_row, is_k = rows == row, rows == k
        scaled = jnp.where(is_k, 1, a_nn[row]) * jnp.where(pivot == 0, 0, 1 / jnp.where(pivot == 0, 1, pivot))
        # the row of the pivot becomes the scaled one, its column what the unit matrix beside it would have become
        kept = jnp.where(is_row[:, None] | is_k[None, :], 0, a_nn)
        a_nn = kept - jnp.where(is_row, -1, column)[:, None] * scaled[None, :]
        return a_nn, is_free & ~is_row, jnp.where(is_k, row, pivots), jnp.where(is_k, pivot, value_n)

    first = (a_nn, jnp.ones(n, bool), jnp.zeros(n, jnp.int32), jnp.ones(n, a_nn.dtype))
    a_nn, _, pivots, value_n = jax.lax.fori_loop(0, n, step, first)
    value = _log_of_product(value_n, _is_odd(pivots))
    return value, jnp.where(jnp.isfinite(value.real), a_nn[pivots], 0), pivots


def log_det_of_rows(phi_Mn: Array, s_M: Array) -> Array:
    """log of the determinant of the rows of ``phi_Mn`` that ``s_M`` (0 and 1, n of them 1) occupies."""
    return _log_det_of_rows(phi_Mn, jnp.asarray(s_M, jnp.int8).astype(phi_Mn.real.dtype))


@jax.custom_jvp
def _log_det_of_rows(phi_Mn: Array, s_M: Array) -> Array:
    return log_det(phi_Mn[occupied(s_M, phi_Mn.shape[1])])


@_log_det_of_rows.defjvp
def _log_det_of_rows_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Any]) -> tuple[Array, Array]:
    value, gradient_Mn = log_det_and_gradient(*primals)
    return value, jnp.sum(gradient_Mn * tangents[0]).astype(value.dtype)


def log_det_and_gradient(phi_Mn: Array, s_M: Array) -> tuple[Array, Array]:
    """`log_det_of_rows` and its derivative by ``phi_Mn``: rows of (A^-1)^T at the occupied modes, else 0."""
    n = phi_Mn.shape[1]
    value, inverse, pivots = eliminated(phi_Mn[occupied(s_M, n)])
    # a gather of rows: a scatter of them, which the derivative of the gather above would be, is many times as slow
    place_M = jnp.clip(jnp.cumsum(s_M != 0) - 1, 0, n - 1)
    return value, jnp.where((s_M != 0)[:, None], inverse.T[jnp.argsort(pivots)[place_M]], 0)


def as_logarithm(sign: Array, log_modulus: Array) -> Array:
    """log of a number from its sign, or phase, and the logarithm of its modulus."""
    is_complex = jnp.iscomplexobj(sign)
    phase = jnp.angle(sign) if is_complex else jnp.where(sign < 0, np.pi, 0.0).astype(log_modulus.dtype)
    return jax.lax.complex(log_modulus, phase)


def _log_of_product(value_n: Array, is_odd: Array) -> Array:
    """log of the product of numbers, times -1 where ``is_odd``; -inf where one is 0, or not a number."""
    size = jnp.abs(value_n)
    is_singular = ~jnp.all((size > 0) & jnp.isfinite(size))
    size = jnp.where(size > 0, size, 1)
    sign = jnp.prod(jnp.where(is_singular, 1, value_n / size)) * jnp.where(is_odd, -1, 1).astype(size.dtype)
    return as_logarithm(sign, jnp.where(is_singular, -jnp.inf, jnp.sum(jnp.log(size))))


def _is_odd(order_n: Array) -> Array:
    """Whether a permutation is odd: bool."""
    place = jnp.arange(len(order_n))
    inverted = (order_n[:, None] > order_n[None, :]) & (place[:, None] < place[None, :])
    return jnp.sum(inverted) % 2 == 1
