"""Solutions of (A + shift) x = b with A Hermitian and positive semidefinite, the same on every rank.

A is a sum over ranks, so each rank solves the same system and gets the same bits. Three ways: Cholesky, which hands
over to the pseudo-inverse when a factor is not finite; the pseudo-inverse from eigenvalues, cut off below ``rcond``
times the largest; conjugate gradients (Hestenes & Stiefel 1952) for an A known by its products.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array


def cholesky(matrix: Array, rhs: Array, shift: Array, rcond: float) -> tuple[Array, dict[str, Array]]:
    """x by Cholesky, or by `pseudo_inverse` where the factorisation fails; info: fallback, 1 where it did."""
    shifted = matrix + shift * jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    # LAPACK wants columns: the transpose, which is the conjugate, goes in as it lies, so all else is conjugated too.
    factor = jax.lax.linalg.cholesky(shifted.T, symmetrize_input=False)
    triangle = {"left_side": True, "lower": True}
    half = jax.lax.linalg.triangular_solve(factor, rhs.conj()[:, None], **triangle)
    x = jax.lax.linalg.triangular_solve(factor, half, transpose_a=True, conjugate_a=True, **triangle)[:, 0].conj()
    failed = ~jnp.all(jnp.isfinite(x))
    # A right-hand side that is not finite has no solution: then the step is rejected, not solved again.
    again = failed & jnp.all(jnp.isfinite(rhs)) & jnp.all(jnp.isfinite(matrix))
    x = jax.lax.cond(again, lambda: pseudo_inverse(matrix, rhs, shift, rcond)[0], lambda: x)
    return x, {"fallback": again.astype(jnp.float64)}


def pseudo_inverse(matrix: Array, rhs: Array, shift: Array, rcond: float) -> tuple[Array, dict[str, Array]]:
    """x = sum_i v_i (v_i . b) / (a_i + shift) over eigenvalues a_i > rcond * max a; info: rank, how many those are."""
    values, vectors = jnp.linalg.eigh(matrix)
    kept = values > rcond * values[-1]
    inverse = jnp.where(kept, 1.0 / jnp.where(kept, values + shift, 1.0), 0.0)
    return vectors @ (inverse * (vectors.conj().T @ rhs)), {"rank": jnp.sum(kept).astype(jnp.float64)}


def conjugate_gradient(
    product: Callable[[Array], Array], rhs: Array, *, tolerance: float, max_iterations: int
) -> tuple[Array, dict[str, Array]]:
    """x with |A x - b| <= tolerance |b|, from x = 0; info: iterations, and the relative residual reached.

    ``product`` returns A v summed over ranks, so that all ranks stop at the same iteration.
    """
    goal = (tolerance * jnp.linalg.norm(rhs)) ** 2

    def unfinished(carry):
        _, _, _, square, k = carry
        return (square > goal) & (k < max_iterations)

    def iterate(carry):
        x, residual, direction, square, k = carry
        image = product(direction)
        alpha = square / jnp.real(jnp.vdot(direction, image))
        x, residual = x + alpha * direction, residual - alpha * image
        new_square = jnp.real(jnp.vdot(residual, residual))
        return x, residual, residual + new_square / square * direction, new_square, k + 1

    square = jnp.real(jnp.vdot(rhs, rhs))
    carry = (jnp.zeros_like(rhs), rhs, rhs, square, jnp.int32(0))
    x, _, _, last, k = jax.lax.while_loop(unfinished, iterate, carry)
    residual = jnp.sqrt(last / jnp.where(square > 0, square, 1.0))
    return x, {"cg_iterations": k.astype(jnp.float64), "cg_residual": residual.astype(jnp.float64)}
