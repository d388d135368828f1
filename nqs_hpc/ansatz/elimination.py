"""Determinants of many small matrices, by Gauss's elimination with partial pivoting (Golub and Van Loan,
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
