"""Cholesky's solution of (K + shift) x = b with K held by rows over ranks: n^2 / R numbers and n^3 / (3 R) operations.

K = L L^dagger panel after panel, right-looking, by the rows of `parallel.cyclic` (that of ScaLAPACK: Choi et al. 1996,
doi:10.1155/1996/483083, on one column of ranks). Of panel k, the columns of one block,

    L_kk = chol(K_kk)                 on every rank, the block having been summed from its owner and zeros,
    L_ik = K_ik L_kk^-dagger          each rank its rows i > k; then gathered,
    K_ij = K_ij - L_ik L_jk^dagger    each rank its rows i, as far as their diagonal.

b^dagger is one more row of K, so that what comes to stand there is y^dagger with L y = b. Back substitution,
L^dagger x = y, goes through the panels from the last: the owner of row block k has all of L_kj for j < k, adds
L_kj^dagger x_k to its own sum for each j, and a sum of a block over ranks tells the next owner what to subtract. Every
rank computes L_kk from the same bits, and x is gathered: so it is the same on all of them.

On CPUs BLAS and LAPACK do this in place, and read the number of the panel as data; elsewhere XLA does, which computes
whole rectangles where BLAS stops at the diagonal.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.kernel_rows import levels
from nqs_hpc.gradient.planes import product
from nqs_hpc.parallel import foreign
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.cyclic import Layout, layout
from nqs_hpc.parallel.foreign import PREFIXES, View
from nqs_hpc.update.solvers import factored

PANEL, UPDATE, BACK = "nqs_hpc_panel_of_rows", "nqs_hpc_update_of_rows", "nqs_hpc_back_of_rows"
LEVELS = 4  # heights of a gathered panel: those of a level are as high as its first
SPLIT_FROM = 768  # rows of a rank that several threads update


def solve(
    rows: Array, rhs_A: Array, shift: Array, layout: Layout, rank: Array, comm: Comm
) -> tuple[Array, dict[str, Array]]:
    """x (n,), the same on every rank, of rows (local, padded) of K and a b (n,) that all ranks hold; of K the lower
    triangle is read. Not finite where K + shift is not positive definite; info: fallback, 0, since the pseudo-inverse
    needs a whole matrix.

    Collectives: three a block of rows (padded / block of them) and a gather.
    """
    at = layout.rows(rank)
    on_diagonal = jnp.where(at < layout.n, shift, 1.0).astype(rows.dtype)
    rows = rows.at[jnp.arange(layout.local), at].add(on_diagonal)
    rows, half = _factor(rows, layout.pad(rhs_A.conj()), layout, rank, comm)
    x = _substitute(rows, half, layout, rank, comm)
    return x, {"fallback": jnp.zeros((), jnp.float64)}


def collectives(layout: Layout) -> int:
    """How many `solve` makes."""
    return 3 * layout.n_blocks * layout.size + 1


def of_whole(matrix: Array, rhs: Array, shift: Array) -> tuple[Array, dict[str, Array]]:
    """The same of a whole matrix, on one rank, of which the upper triangle is read."""
    return factored(matrix, rhs, shift), {"fallback": jnp.zeros((), jnp.float64)}


def layout_of(n: int, comm: Comm) -> Layout | None:
    """Where the rows of a matrix of ``n`` rows lie; None on one rank, which has the whole one."""
    return layout(n, comm.size) if comm.size > 1 else None


def _factor(rows: Array, half: Array, layout: Layout, rank: Array, comm: Comm) -> tuple[Array, Array]:
    """The rows of L instead of those of K, and y^dagger instead of b^dagger."""
    size, block = layout.size, layout.block
    for first, last in levels(layout.n_blocks, LEVELS):

        def panel(carry: tuple[Array, Array], k: Array, first: int = first) -> tuple[tuple[Array, Array], None]:
            rows, half = carry
            corner = jax.lax.dynamic_slice(rows, (k // size * block, k * block), (block, block))
            corner = comm.sum(jnp.where(k % size == rank, corner, 0))
            rows, half, part = _panel(rows, half, corner, k, first, layout, rank)
            # (of this rank's rows, block) -> (of all rows, block)
            below = layout.in_order(comm.gather(part))
            return _update(rows, half, part, below, k, first, layout, rank), None

        (rows, half), _ = jax.lax.scan(panel, (rows, half), jnp.arange(first * size, last * size, dtype=jnp.int32))
    return rows, half


def _substitute(rows: Array, half: Array, layout: Layout, rank: Array, comm: Comm) -> Array:
    """x from L and y^dagger. BLAS conjugates no matrix without transposing it: so all is conjugate here."""
    block = layout.block

    def panel(carry: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], None]:
        sums, x = carry
        right = jax.lax.dynamic_slice(half, (k * block,), (block,))
        right = right - comm.sum(jax.lax.dynamic_slice(sums, (k * block,), (block,)))
        return _back(sums, x, rows, right, k, layout, rank), None

    zero = jnp.zeros(layout.padded, rows.dtype), jnp.zeros(layout.local, rows.dtype)
    panels = jnp.arange(layout.padded // block - 1, -1, -1, dtype=jnp.int32)
    (_, x), _ = jax.lax.scan(panel, zero, panels)
    return layout.in_order(comm.gather(x))[: layout.n].conj()


def _by_platform(layout: Layout, by_blas: Callable[..., Any], by_xla: Callable[..., Any], *arguments: Array) -> Any:
    return foreign.by_platform(layout.n, by_blas, by_xla, *arguments)


def _numbers(k: Array, rank: Array, layout: Layout) -> Array:
    return jnp.stack([k.astype(jnp.int32), jnp.asarray(rank, jnp.int32), jnp.int32(layout.size)])


# --- a panel: its corner, and the rows below it ---


def _panel(
    rows: Array, half: Array, corner: Array, k: Array, first: int, layout: Layout, rank: Array
) -> tuple[Array, Array, Array]:
    """L in the columns of panel k, y^dagger in those of b^dagger, and L of this rank's rows from local block ``first``
    on below the panel, 0 where they are above.
    """
    block, shape = layout.block, (layout.local - first * layout.block, layout.block)

    def by_blas(rows: Array, half: Array, corner: Array, k: Array, rank: Array) -> tuple[Array, Array, Array]:
        rows, half, _, part = foreign.call_in_place(
            PANEL, (rows, half, corner), made=(shape,), numbers=_numbers(k, rank, layout)
        )
        return rows, half, part

    def by_xla(rows: Array, half: Array, corner: Array, k: Array, rank: Array) -> tuple[Array, Array, Array]:
        factor = jax.lax.linalg.cholesky(corner, symmetrize_input=False)
        at = jnp.int32(first * block), k * block
        column = jax.lax.dynamic_slice(rows, at, shape)
        number = (layout.rows(rank) // block)[first * block :, None]
        # in one: on CPUs calls of LAPACK that run at the same time can wait for each other's threads
        both = jnp.concatenate([column, jax.lax.dynamic_slice(half, (k * block,), (block,))[None]])
        both = jax.lax.linalg.triangular_solve(factor, both, lower=True, transpose_a=True, conjugate_a=True)
        below, y = both[:-1], both[-1]
        owned = jnp.where(number == k, jnp.tile(factor, (shape[0] // block, 1)), column)
        rows = jax.lax.dynamic_update_slice(rows, jnp.where(number > k, below, owned), at)
        return rows, jax.lax.dynamic_update_slice(half, y, (k * block,)), jnp.where(number > k, below, 0)

    return _by_platform(layout, by_blas, by_xla, rows, half, corner, k, rank)


@foreign.register(PANEL)
def _panel_in_place(arguments: list[View], results: list[View]) -> None:
    """To LAPACK, which counts by columns, the lower triangle of K is the upper one of its conjugate, U = L^T."""
    rows, half, corner, part = results
    k, rank, size = foreign.integers(arguments[-1])
    (local, padded), block, dtype = rows.shape, corner.shape[0], rows.dtype
    itemsize, order, info = foreign.SIZES[dtype], ctypes.c_int(block), ctypes.c_int(0)
    foreign.call("cython_lapack", f"{PREFIXES[dtype]}potrf", b"U", order, corner.address, order, info)
    if info.value:  # no factor: NaN on all ranks, which all that follows is made from
        real = ctypes.c_float if dtype in ("float32", "complex64") else ctypes.c_double
        count = block * block * itemsize // ctypes.sizeof(real)
        (real * count).from_address(corner.address)[:] = [math.nan] * count
    column = rows.address + k * block * itemsize
    width, line = padded * itemsize, block * itemsize
    if k % size == rank:
        _copy(dtype, block, block, corner.address, block, column + k // size * block * width, padded)
    start = local - part.shape[0]  # the first row of ``part``
    below = max(start, _first_below(k, rank, size) * block)
    ctypes.memset(part.address, 0, (below - start) * line)

    def solve_rows(row: int, n_rows: int) -> None:
        at = column + row * width
        _right_solve(dtype, corner.address, block, at, n_rows, padded)
        _copy(dtype, n_rows, block, at, padded, part.address + (row - start) * line, block)

    step = 2 * block
    parts = [functools.partial(solve_rows, row, min(step, local - row)) for row in range(below, local, step)]
    foreign.side_by_side(parts, _n_threads(local))
    _right_solve(dtype, corner.address, block, half.address + k * line, 1, padded)


def _first_below(k: int, rank: int, size: int) -> int:
    """The first local block below global block k."""
    return (k - rank) // size + 1


def _n_threads(local: int) -> int:
    return foreign.n_threads() if local >= SPLIT_FROM else 1


def _copy(dtype: str, n_rows: int, n_columns: int, x: int, x_width: int, y: int, y_width: int) -> None:
    """Rows of one array to another (?lacpy)."""
    sizes, ld_x, ld_y = (ctypes.c_int(n_columns), ctypes.c_int(n_rows)), ctypes.c_int(x_width), ctypes.c_int(y_width)
    foreign.call("cython_lapack", f"{PREFIXES[dtype]}lacpy", b"A", *sizes, x, ld_x, y, ld_y)


def _right_solve(dtype: str, corner: int, block: int, x: int, n_rows: int, width: int) -> None:
    """Rows x times L^-dagger, in place: by columns L^-* x^T, and L^* is U^dagger (?trsm)."""
    order, count, ld = ctypes.c_int(block), ctypes.c_int(n_rows), ctypes.c_int(width)
    one, name = foreign.scalar(dtype, 1.0), f"{PREFIXES[dtype]}trsm"
    foreign.call("cython_blas", name, b"L", b"U", b"C", b"N", order, count, one, corner, order, x, ld)


# --- what a panel leaves to do ---


def _update(
    rows: Array, half: Array, part: Array, below: Array, k: Array, first: int, layout: Layout, rank: Array
) -> tuple[Array, Array]:
    """K - L_ik L_jk^dagger of this rank's rows below panel k, at least as far as the diagonal, and the same of y.
    ``below``: L in the columns of the panel, of all rows from the local blocks ``first`` on.
    """
    block = layout.block

    def by_blas(rows: Array, half: Array, part: Array, below: Array, k: Array, rank: Array) -> tuple[Array, Array]:
        rows, half = foreign.call_in_place(UPDATE, (rows, half), (part, below), numbers=_numbers(k, rank, layout))
        return rows, half

    def by_xla(rows: Array, half: Array, part: Array, below: Array, k: Array, rank: Array) -> tuple[Array, Array]:
        del rank
        column = first * block * layout.size
        y = jax.lax.dynamic_slice(half, (k * block,), (block,))
        rows = rows.at[first * block :, column:].add(-product(part, below.conj().T))
        return rows, half.at[column:].add(-product(below.conj(), y))

    return _by_platform(layout, by_blas, by_xla, rows, half, part, below, k, rank)


@foreign.register(UPDATE)
def _update_in_place(arguments: list[View], results: list[View]) -> None:
    rows, half = results
    part, below, numbers = arguments[2:]
    k, rank, size = foreign.integers(numbers)
    (local, padded), block, dtype = rows.shape, part.shape[1], rows.dtype
    itemsize, start = foreign.SIZES[dtype], local - part.shape[0]
    line, column = block * itemsize, (k + 1) * block
    from_here = below.address + (column - start * size) * line

    def subtract(n_columns: int, n_rows: int, left: int, out: int) -> None:
        """?gemm: by columns out - below^* left^T."""
        sizes = ctypes.c_int(n_columns), ctypes.c_int(n_rows), ctypes.c_int(block)
        minus, one, ld = foreign.scalar(dtype, -1.0), foreign.scalar(dtype, 1.0), ctypes.c_int(block)
        arrays = (minus, from_here, ld, left, ld, one, out, ctypes.c_int(padded))
        foreign.call("cython_blas", f"{PREFIXES[dtype]}gemm", b"C", b"N", *sizes, *arrays)

    parts = []
    for row in range(_first_below(k, rank, size) * block, local, block):
        diagonal = (row // block * size + rank + 1) * block
        out = rows.address + (row * padded + column) * itemsize
        parts.append(functools.partial(subtract, diagonal - column, block, part.address + (row - start) * line, out))
    foreign.side_by_side(parts[::-1], _n_threads(local))  # the longest first
    if column < padded:
        subtract(padded - column, 1, half.address + k * line, half.address + column * itemsize)


# --- back substitution ---


def _back(
    sums: Array, x: Array, rows: Array, right: Array, k: Array, layout: Layout, rank: Array
) -> tuple[Array, Array]:
    """Of the owner of row block k: x_k, in its place in x (local,), and what it adds to the sums (padded,); all
    conjugate, as is ``right``, y_k less the sums of all ranks. On other ranks nothing changes.
    """
    block = layout.block

    def by_blas(sums: Array, x: Array, rows: Array, right: Array, k: Array, rank: Array) -> tuple[Array, Array]:
        sums, x = foreign.call_in_place(BACK, (sums, x), (rows, right), numbers=_numbers(k, rank, layout))
        return sums, x

    def by_xla(sums: Array, x: Array, rows: Array, right: Array, k: Array, rank: Array) -> tuple[Array, Array]:
        at = k // layout.size * block
        strip = jax.lax.dynamic_slice(rows, (at, jnp.int32(0)), (block, layout.padded))
        factor = jax.lax.dynamic_slice(strip, (jnp.int32(0), k * block), (block, block))
        found = jax.lax.linalg.triangular_solve(factor, right[:, None], left_side=True, lower=True, transpose_a=True)[
            :, 0
        ]
        mine = k % layout.size == rank
        left = jnp.arange(layout.padded) < k * block
        sums = sums + jnp.where(mine & left, product(strip.T, found), 0)
        return sums, jnp.where(mine, jax.lax.dynamic_update_slice(x, found, (at,)), x)

    return _by_platform(layout, by_blas, by_xla, sums, x, rows, right, k, rank)


@foreign.register(BACK)
def _back_in_place(arguments: list[View], results: list[View]) -> None:
    sums, x = results
    rows, right, numbers = arguments[2:]
    k, rank, size = foreign.integers(numbers)
    if k % size != rank:
        return
    block, padded, dtype = right.shape[0], rows.shape[1], rows.dtype
    itemsize, prefix = foreign.SIZES[dtype], PREFIXES[dtype]
    own = k // size * block
    strip, found = rows.address + own * padded * itemsize, x.address + own * itemsize
    ctypes.memmove(found, right.address, block * itemsize)
    order, width, one = ctypes.c_int(block), ctypes.c_int(padded), ctypes.c_int(1)
    corner = strip + k * block * itemsize
    foreign.call("cython_blas", f"{prefix}trsv", b"U", b"N", b"N", order, corner, width, found, one)
    left, unit = ctypes.c_int(k * block), foreign.scalar(dtype, 1.0)
    if left.value:
        arrays = (unit, strip, width, found, one, unit, sums.address, one)
        foreign.call("cython_blas", f"{prefix}gemv", b"N", left, order, *arrays)
