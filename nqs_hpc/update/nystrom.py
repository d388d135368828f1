"""Conjugate gradients for (A + shift) x = b over ranks, with a preconditioner from a random sketch of A.

Of a Hermitian, positive semidefinite A (n, n) that is known by its products, Y = A Omega with l random columns gives
the Nystrom approximation (Frangella, Tropp & Udell 2023, doi:10.1137/21M1466244, arXiv:2110.02820)

    A' = Y (Omega^dagger Y + nu)^-1 Y^dagger = B B^dagger <= A

with nu, the size of rounding errors, so that there is a Cholesky factor. With P = A' + shift as preconditioner the
eigenvalues of P^-1 (A + shift) lie between 1 and 1 + |A - A'| / shift. The paper raises P outside of the range of A'
to shift + lambda_l, with eigenvectors of A', to much the same bound; without them, by Woodbury's formula and the
Cholesky factor L L^dagger = B^dagger B + shift,

    shift P^-1 = 1 - W W^dagger,    W = B L^-dagger.

So a sketch costs two Cholesky factors of l rows, and each iteration two products with W. The columns of Omega are
random signs: they serve as well as normal numbers, and one draw makes 64 of them.

Each rank has the rows of A, W and of all vectors that a layout gives it. An iteration (Hestenes & Stiefel 1952; Saad
2003, algorithm 9.1) is one gather, of the direction, and two sums, of one and of l + 1 numbers, beside what the product
takes. All that is decided follows from sums over all ranks, so that they end together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.gradient.planes import product as of_planes
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.cyclic import Layout
from nqs_hpc.parallel.keys import own_purpose, purpose_key, threefry, words

# V (n, k) or (n,), which all ranks hold -> this rank's rows of A V, (local, k) or (local,); pads are 0
Product = Callable[[Array], Array]

SKETCH = purpose_key(0, own_purpose("update: sketch"))  # a sketch knows nothing of a run: one key serves all seeds
COLUMNS = 128  # of a sketch that are made and multiplied at a time
FLOOR = 32.0  # rounding errors of A: what is smaller is not looked at
PART, MOST = 8, 1024  # auto: a column for so many rows, and no more than these: their Cholesky factors are replicated


def columns(asked: int | Literal["auto"] | None, n: int) -> int:
    """The columns of a sketch of ``n`` rows, as the key ``preconditioner`` has them; 0 without one."""
    if asked is None:
        return 0
    return min(MOST, -(-n // PART)) if asked == "auto" else min(int(asked), n)


def conjugate_gradient(
    product: Product,
    rhs: Array,
    shift: Array,
    layout: Layout,
    comm: Comm,
    *,
    rank: Array,
    step: Array,
    sketch: int,
    tolerance: float,
    max_iterations: int,
) -> tuple[Array, dict[str, Array]]:
    """x (n,) with |(A + shift) x - b| <= tolerance |b|, from x = 0; the same on every rank, like ``rhs`` (n,).

    ``sketch``: columns of the sketch, another one at each ``step``; 0: no preconditioner. ``rank``: of this process, as
    data. x is in the dtype of ``rhs``, float32 to complex128; NaN where the system is not finite. info: cg_iterations,
    cg_residual (relative, as the recursion has it), cg_converged (1 where that is within the tolerance) and cg_rank,
    the columns of the sketch, 0 where it had no Cholesky factor and was left out.

    Collectives: with a sketch two sums, and those of ``product`` for every COLUMNS columns; one sum; in each iteration
    a gather, two sums and those of ``product``; one gather.
    """
    n = layout.n
    rows = layout.rows(rank)

    def own(x_A: Array) -> Array:
        return layout.pad(x_A)[rows]

    def whole(x: Array) -> Array:
        return layout.in_order(comm.gather(x))[:n]

    b = own(rhs)
    w, n_columns = jnp.zeros((layout.local, 0), rhs.dtype), jnp.float64(0)
    if sketch:
        w, n_columns = preconditioner(product, shift, layout, comm, rank=rank, step=step, n_columns=sketch)
    adjoint = w.conj().T

    def preconditioned(residual: Array) -> tuple[Array, Array, Array]:
        """P^-1 r up to the factor theta, |r|^2 and r^dagger P^-1 r, in one sum."""
        square = jnp.sum(jnp.real(residual.conj() * residual))
        sums = comm.sum(jnp.append(of_planes(adjoint, residual), square.astype(rhs.dtype)))
        inside, square = sums[:-1], jnp.real(sums[-1])
        along = square - jnp.sum(jnp.real(inside.conj() * inside))
        return residual - of_planes(w, inside), square, along

    def unfinished(carry):
        _, _, _, square, _, k = carry
        return (square > goal) & (k < max_iterations)

    def iterate(carry):
        x, residual, direction, _, along, k = carry
        image = product(whole(direction)) + shift * direction
        alpha = along / comm.sum(jnp.sum(jnp.real(direction.conj() * image)))
        x, residual = x + alpha * direction, residual - alpha * image
        raised, square, new_along = preconditioned(residual)
        return x, residual, raised + new_along / along * direction, square, new_along, k + 1

    direction, square, along = preconditioned(b)
    goal = tolerance**2 * square
    carry = (jnp.zeros_like(b), b, direction, square, along, jnp.int32(0))
    x, _, _, last, _, k = jax.lax.while_loop(unfinished, iterate, carry)
    residual = jnp.sqrt(last / jnp.where(square > 0, square, 1.0)).astype(jnp.float64)
    info = {
        "cg_iterations": k.astype(jnp.float64),
        "cg_residual": residual,
        "cg_converged": (last <= goal).astype(jnp.float64),
        "cg_rank": n_columns,
    }
    return whole(x), info


def preconditioner(
    product: Product, shift: Array, layout: Layout, comm: Comm, *, rank: Array, step: Array, n_columns: int
) -> tuple[Array, Array]:
    """(local, l) this rank's rows of W, and l; both 0 where the sketch has no Cholesky factor.

    Collectives: two sums, and those of ``product`` for every COLUMNS columns.
    """
    # Rounds of the cipher that are fused into the cutting of its bits, for the key and for the words, keep LLVM's loop
    # vectoriser busy without end: each is made on its own.
    n, key = layout.n, jax.lax.optimization_barrier(words(jnp.asarray(SKETCH), step, jnp.uint32(0), 2))
    rows, every = layout.rows(rank), jnp.arange(layout.n, dtype=jnp.uint32)
    n_parts = -(-n_columns // COLUMNS)
    width = -(-n_columns // n_parts)

    def of_columns(part: Array) -> tuple[Array, Array]:
        omega = signs(key, every, part, width).astype(shift.dtype) / np.sqrt(n).astype(shift.dtype)
        return product(omega), layout.pad(omega)[rows]

    parts = jax.lax.map(of_columns, jnp.arange(n_parts, dtype=jnp.uint32))
    y, omega = (x.swapaxes(0, 1).reshape(layout.local, -1)[:, :n_columns] for x in parts)
    error = FLOOR * jnp.finfo(shift.dtype).eps
    square = jnp.sum(jnp.real(y.conj() * y)).astype(y.dtype)
    sums = comm.sum(jnp.append(of_planes(omega.T, y).ravel(), square))
    core, nu = sums[:-1].reshape(n_columns, n_columns), error * jnp.sqrt(jnp.real(sums[-1]))
    b = over_factor(y, core, nu)
    gram = comm.sum(of_planes(b.conj().T, b))
    trace = jnp.trace(jnp.real(gram))
    # every rank sees the same sums: all of them take the sketch, or none does
    is_good = jnp.isfinite(trace)
    w = over_factor(b, gram, shift + error * trace)
    return jnp.where(is_good, w, 0), jnp.where(is_good, float(n_columns), 0.0)


def over_factor(x: Array, matrix: Array, shift: Array) -> Array:
    """X L^-dagger with L L^dagger = ``matrix`` + ``shift``, whose lower triangle counts; NaN without a factor."""
    factor = jax.lax.linalg.cholesky(matrix + shift * jnp.eye(len(matrix), dtype=matrix.dtype), symmetrize_input=False)
    return jax.lax.linalg.triangular_solve(factor, x, lower=True, transpose_a=True, conjugate_a=True)


def signs(key: Array, rows: Array, part: Array, width: int) -> Array:
    """(n, width) int8, 1 and -1: those of a row are counted by its number, so a sketch knows no ranks."""
    n_calls = -(-width // 64)
    low = part * jnp.uint32(n_calls) + jnp.arange(n_calls, dtype=jnp.uint32)
    shape = (len(rows), n_calls)
    drawn = threefry(key, jnp.broadcast_to(rows[:, None], shape), jnp.broadcast_to(low[None], shape))
    drawn = jax.lax.optimization_barrier(jnp.stack(drawn, axis=2))
    bits = drawn[..., None] >> jnp.arange(32, dtype=jnp.uint32)[None, None, None] & 1
    return (1 - 2 * bits.astype(jnp.int8)).reshape(len(rows), -1)[:, :width]
