"""Solutions of (A + shift) x = b with A Hermitian and positive semidefinite, the same on every rank.

A is a sum over ranks, so each rank solves the same system and gets the same bits; of a matrix the upper triangle is
read alone. Three ways: Cholesky (by LAPACK in place, on CPUs), which hands over to the pseudo-inverse when a solution
is not finite; the pseudo-inverse from eigenvalues, cut off below ``rcond`` times the largest; conjugate gradients
(Hestenes & Stiefel 1952) for an A known by its products.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.rank_k import add_lower
from nqs_hpc.parallel import foreign
from nqs_hpc.parallel.foreign import PREFIXES, View

POSV = "nqs_hpc_posv"
SPLIT_FROM = 768  # rows of a matrix that several threads factorise
PANEL = 256  # columns that one thread does


def cholesky(matrix: Array, rhs: Array, shift: Array, rcond: float) -> tuple[Array, dict[str, Array]]:
    """x by Cholesky, or by `pseudo_inverse` if the factorisation fails; info: fallback, 1 where it did."""
    x = factored(matrix, rhs, shift)

    def failed() -> tuple[Array, Array]:
        # A system that is not finite has no solution: then the step is rejected, not solved again.
        again = jnp.all(jnp.isfinite(rhs)) & jnp.all(jnp.isfinite(matrix))
        return jax.lax.cond(again, lambda: pseudo_inverse(matrix, rhs, shift, rcond)[0], lambda: x), again

    x, again = jax.lax.cond(jnp.all(jnp.isfinite(x)), lambda: (x, jnp.bool_(False)), failed)
    return x, {"fallback": again.astype(jnp.float64)}


def factored(matrix: Array, rhs: Array, shift: Array) -> Array:
    """x by Cholesky, not finite where there is no factor."""
    shifted = matrix + shift * jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    return foreign.by_platform(len(rhs), _posv, _factor_and_solve, shifted, rhs)


def _factor_and_solve(matrix: Array, rhs: Array) -> Array:
    """By XLA; not finite where there is no factor."""
    # LAPACK wants columns: the transpose, which is the conjugate, goes in as it lies, so all else is conjugated too.
    factor = jax.lax.linalg.cholesky(matrix.T, symmetrize_input=False)
    triangle = {"left_side": True, "lower": True}
    half = jax.lax.linalg.triangular_solve(factor, rhs.conj()[:, None], **triangle)
    return jax.lax.linalg.triangular_solve(factor, half, transpose_a=True, conjugate_a=True, **triangle)[:, 0].conj()


def _posv(matrix: Array, rhs: Array) -> Array:
    """By LAPACK's ?posv, in place: XLA around its own factor and solutions copies the matrix three times."""
    # To LAPACK, which counts by columns, the upper triangle is the lower one of the conjugate matrix.
    assert matrix.shape == rhs.shape * 2
    _, x = foreign.call_in_place(POSV, (matrix, rhs.conj()))
    return x.conj()


@foreign.register(POSV)
def _solve_in_place(arguments: list[View], results: list[View]) -> None:
    del arguments
    matrix, x = results
    n, one, info = ctypes.c_int(x.shape[0]), ctypes.c_int(1), ctypes.c_int(0)
    if n.value == 0:
        return
    prefix, n_threads = PREFIXES[matrix.dtype], foreign.n_threads() if n.value >= SPLIT_FROM else 1
    if n_threads == 1:
        foreign.call("cython_lapack", f"{prefix}posv", b"L", n, one, matrix.address, n, x.address, n, info)
    else:
        info.value = _factor(matrix, n_threads)
        if not info.value:
            foreign.call("cython_lapack", f"{prefix}potrs", b"L", n, one, matrix.address, n, x.address, n, info)
    if info.value:  # no factor: NaN as the first number reports it
        real = ctypes.c_float if matrix.dtype in ("float32", "complex64") else ctypes.c_double
        real.from_address(x.address).value = math.nan


def _factor(matrix: View, n_threads: int) -> int:
    """Cholesky's factor of the lower triangle by columns, in place, panel after panel; 0, or not 0 if there is none.

    What a panel leaves to do is split between threads.
    """
    n, dtype, size = matrix.shape[0], matrix.dtype, foreign.SIZES[matrix.dtype]
    prefix, width = PREFIXES[dtype], ctypes.c_int(n)
    panel = min(PANEL, n // 4)
    for first in range(0, n, panel):
        m = min(panel, n - first)
        corner = matrix.address + (first + first * n) * size
        columns, info = ctypes.c_int(m), ctypes.c_int(0)
        foreign.call("cython_lapack", f"{prefix}potrf", b"L", columns, corner, width, info)
        if info.value:
            return info.value
        below, n_below = corner + m * size, n - first - m
        if not n_below:
            continue
        height = max(64, -(-n_below // (2 * n_threads)))
        solve = functools.partial(_solve_rows, dtype, corner, m, width)
        rows = range(0, n_below, height)
        parts = [functools.partial(solve, below + i * size, min(height, n_below - i)) for i in rows]
        foreign.side_by_side(parts, n_threads)
        add_lower(dtype, b"N", n_below, m, -1.0, below, n, below + m * n * size, n)
    return 0


def _solve_rows(dtype: str, corner: int, m: int, width: ctypes.c_int, rows: int, n_rows: int) -> None:
    """Rows below a factor L in ``corner`` times L^-dagger, in place (?trsm)."""
    sizes = ctypes.c_int(n_rows), ctypes.c_int(m)
    name, one = f"{PREFIXES[dtype]}trsm", foreign.scalar(dtype, 1.0)
    foreign.call("cython_blas", name, b"R", b"L", b"C", b"N", *sizes, one, corner, width, rows, width)


def pseudo_inverse(matrix: Array, rhs: Array, shift: Array, rcond: float) -> tuple[Array, dict[str, Array]]:
    """x = sum_i v_i (v_i . b) / (a_i + shift) over eigenvalues a_i > rcond * max a; info: rank, how many those are."""
    values, vectors = jnp.linalg.eigh(matrix, UPLO="U", symmetrize_input=False)
    kept = values > rcond * values[-1]
    inverse = jnp.where(kept, 1.0 / jnp.where(kept, values + shift, 1.0), 0.0)
    return vectors @ (inverse * (vectors.conj().T @ rhs)), {"rank": jnp.sum(kept).astype(jnp.float64)}


def conjugate_gradient(
    product: Callable[[Array], Array], rhs: Array, *, tolerance: float, max_iterations: int
) -> tuple[Array, dict[str, Array]]:
    """x with |A x - b| <= tolerance |b|, from x = 0; info: cg_iterations, cg_residual, relative, and cg_converged, 1
    where it is within the tolerance.

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
    return x, {
        "cg_iterations": k.astype(jnp.float64),
        "cg_residual": residual.astype(jnp.float64),
        "cg_converged": (last <= goal).astype(jnp.float64),
    }
