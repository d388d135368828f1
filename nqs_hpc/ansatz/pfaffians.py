"""Pfaffians of antisymmetric matrices, with sign, and how they change with a few rows and columns.

By Householder reflections H = 1 - 2 v v^dagger that make every other column of A tridiagonal (Wimmer, ACM Trans. Math.
Softw. 38, 30 (2012), arXiv:1102.3440):

    Pf(H A H^T) = det(H) Pf(A) = -Pf(A),      H A H^T = A + 2 (v w^T - w v^T),   w = A v^*,

until Pf(A) is a product of the entries (1, 2), (3, 4), ... The derivative is d log Pf A = 1/2 tr A^-1 dA.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.determinants import as_logarithm, log_det_and_inverse


def log_pfaffian(a_nn: Array) -> Array:
    """log Pf A of an antisymmetric matrix of even size, complex; -inf where it is singular. Has no derivative."""
    n = a_nn.shape[0]
    assert n % 2 == 0
    if n == 0:
        return as_logarithm(jnp.ones((), a_nn.dtype), jnp.zeros((), a_nn.real.dtype))
    place = jnp.arange(n)

    def reflect(k: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        a, sign, log_modulus = carry
        i = 2 * k
        x = jnp.where(place > i, a[:, i], 0)
        norm, first = jnp.sqrt(jnp.sum(jnp.abs(x) ** 2)), a[i + 1, i]
        phase = _phase(first)
        v = x + jnp.where(place == i + 1, phase * norm, 0)
        size = jnp.sqrt(jnp.sum(jnp.abs(v) ** 2))
        v = v / jnp.where(size > 0, size, 1)
        w = a @ v.conj()
        a = a + 2 * (v[:, None] * w[None, :] - w[:, None] * v[None, :])
        # the entry (i, i + 1) is phase norm, and the determinant of the reflection -1
        return a, -sign * phase, log_modulus + jnp.log(norm)

    start = (a_nn, jnp.ones((), a_nn.dtype), jnp.zeros((), a_nn.real.dtype))
    a, sign, log_modulus = jax.lax.fori_loop(0, n // 2 - 1, reflect, start)
    last = a[n - 2, n - 1]
    log_modulus = log_modulus + jnp.log(jnp.abs(last))
    return as_logarithm(sign * _phase(last), jnp.where(jnp.isnan(log_modulus), -jnp.inf, log_modulus))


def small_pfaffian(a_nn: Array) -> Array:
    """Pf A itself, of a small antisymmetric matrix of even size."""
    match a_nn.shape[0]:
        case 0:
            return jnp.ones((), a_nn.dtype)
        case 2:
            return a_nn[0, 1]
        case 4:
            return a_nn[0, 1] * a_nn[2, 3] - a_nn[0, 2] * a_nn[1, 3] + a_nn[0, 3] * a_nn[1, 2]
    found = jnp.exp(log_pfaffian(a_nn))
    return found if jnp.iscomplexobj(a_nn) else found.real


def small_inverse(a_nn: Array) -> Array:
    """The inverse of a small antisymmetric matrix of even size; 0 of a singular one."""
    n = a_nn.shape[0]
    if n == 0:
        return a_nn
    if n > 4:
        return log_det_and_inverse(a_nn)[1]
    pf = small_pfaffian(a_nn)
    scale = jnp.where(pf == 0, 0, 1 / jnp.where(pf == 0, 1, pf))
    if n == 2:
        return scale * jnp.array([[0, -1], [1, 0]], a_nn.dtype)
    # of size 4: the entries of the other two indices, with the sign of the four
    (_, a, b, c), (_, _, d, e), (_, _, _, f) = a_nn[0], a_nn[1], a_nn[2]
    upper = jnp.zeros_like(a_nn)
    for (i, j), entry in {(0, 1): -f, (0, 2): e, (0, 3): -d, (1, 2): -c, (1, 3): b, (2, 3): -a}.items():
        upper = upper.at[i, j].set(entry)
    return scale * (upper - upper.T)


def _phase(x: Array) -> Array:
    """x / |x|, and 1 of 0."""
    size = jnp.abs(x)
    return jnp.where(size > 0, x / jnp.where(size > 0, size, 1), 1)
