"""Determinants and inverses of many small matrices, by Gauss's elimination with partial pivoting (Golub and Van Loan,
2013, "Matrix Computations", ch. 3.4), written as loops over columns in which all matrices of a batch go together.

XLA's own factorisations call LAPACK on CPUs, and those of jaxlib up to 0.10 spread a batch over the threads on which
the program itself runs, and wait for them: two independent calls, of spin up and spin down, can wait for each other
forever. So no program of an ansatz may call them.
"""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
from jax import Array

SEGMENT = 8  # columns after which the rows and columns that are done are left out


def sign_and_size(a_nn: Array) -> tuple[Array, Array]:
    """The sign, or phase, of det A and log |det A|; 1 and -inf of a singular matrix, 1 and 0 of one without rows."""
    n = a_nn.shape[0]
    sign, size = jnp.ones((), a_nn.dtype), jnp.zeros((), a_nn.real.dtype)
    rest = a_nn
    for start, end in pairwise([*range(0, n, SEGMENT), n]):
        carry = jax.lax.fori_loop(0, end - start, _eliminate, (rest, sign, size))
        rest, sign, size = carry[0][end - start :, end - start :], carry[1], carry[2]
    return _safe(sign, size)


def sign_size_and_inverse(a_nn: Array) -> tuple[Array, Array, Array]:
    """`sign_and_size`, and A^-1 (n, n), 0 of a singular matrix.

    Gauss and Jordan's elimination in place. Rows stay where they are, for an exchange would copy them all at every
    step: which row was the pivot of a column is kept instead.
    """
    n = a_nn.shape[0]
    number = jnp.arange(n, dtype=jnp.int32)

    def step(k: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        a, sign, size, is_free, order = carry
        column = jax.lax.dynamic_index_in_dim(a, k, axis=1, keepdims=False)
        place = jnp.argmax(jnp.where(is_free, jnp.abs(column), -1)).astype(jnp.int32)
        pivot = column[place]
        here, of_k = number == place, number == k
        row = jnp.where(of_k, 1, a[place]) * _reciprocal(pivot)
        # column k becomes one of the inverse, which begins as that of the unit matrix
        kept = jnp.where(here[:, None] | of_k[None, :], 0, a)
        a = kept - jnp.where(here, -1, column)[:, None] * row[None, :]
        sign, size = _multiplied(sign, size, pivot, jnp.array(False))
        return a, sign, size, is_free & ~here, jnp.where(of_k, place, order)

    start = (a_nn, jnp.ones((), a_nn.dtype), jnp.zeros((), a_nn.real.dtype), jnp.ones(n, bool), number)
    a, sign, size, _, order = jax.lax.fori_loop(0, n, step, start)
    inverted = (order[:, None] > order[None, :]) & (number[:, None] < number[None, :])
    sign, size = _safe(jnp.where(jnp.sum(inverted) % 2 == 1, -sign, sign), size)
    back = jnp.zeros(n, jnp.int32).at[order].set(number)
    return sign, size, jnp.where(jnp.isfinite(size), a[order][:, back], 0)


def _eliminate(k: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    a, sign, size = carry
    number = jnp.arange(a.shape[0])
    a, pivot, odd, _ = _with_pivot(a, k, number)
    column = jnp.where(number > k, jax.lax.dynamic_index_in_dim(a, k, axis=1, keepdims=False), 0)
    row = jax.lax.dynamic_index_in_dim(a, k, keepdims=False) * _reciprocal(pivot)
    return a - column[:, None] * row[None, :], *_multiplied(sign, size, pivot, odd)


def _with_pivot(a: Array, k: Array, number: Array) -> tuple[Array, Array, Array, Array]:
    """The rows with the largest entry of column k in row k, that entry, whether rows were exchanged, and with which."""
    column = jax.lax.dynamic_index_in_dim(a, k, axis=1, keepdims=False)
    place = jnp.argmax(jnp.where(number >= k, jnp.abs(column), -1))
    first, second = jax.lax.dynamic_index_in_dim(a, k, keepdims=False), a[place]
    a = jnp.where(number[:, None] == k, second, jnp.where(number[:, None] == place, first, a))
    return a, column[place], place != k, place


def _multiplied(sign: Array, size: Array, pivot: Array, odd: Array) -> tuple[Array, Array]:
    modulus = jnp.abs(pivot)
    unit = jnp.where(modulus > 0, pivot / jnp.where(modulus > 0, modulus, 1), 1)
    return sign * jnp.where(odd, -unit, unit), size + jnp.log(modulus)


def _reciprocal(pivot: Array) -> Array:
    return jnp.where(pivot == 0, 0, 1 / jnp.where(pivot == 0, 1, pivot))


def _safe(sign: Array, size: Array) -> tuple[Array, Array]:
    regular = jnp.isfinite(size)
    return jnp.where(regular, sign, 1), jnp.where(regular, size, -jnp.inf)
