"""Hermitian matrices K = sum_r Z_r Z_r^dagger, made and multiplied with rows distributed over ranks.

A complete K has n^2 numbers on every rank. With the rows of `parallel.cyclic` each rank holds n^2 / R, and never more.
Each rank has its term of the sum, Z_r: its columns of X (K = X X^dagger), or its samples (K = X^dagger X). For a few
rows of each rank at a time all ranks compute their terms, and one all-to-all sends each term to the rank that holds the
row, which adds them up. This sums and distributes at once, with n^2 / 2 numbers per rank for the triangle below the
diagonal.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.planes import product
from nqs_hpc.parallel import foreign
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.cyclic import Layout
from nqs_hpc.parallel.foreign import PREFIXES, View

GRAM = "nqs_hpc_gram_rows"
LEVELS = 8  # widths of messages: rows of a level are sent up to the diagonal of its last row
AT_ONCE = 1024  # rows of all ranks that are computed, sent and added at a time
SPLIT_FROM = 2**23  # operations from which on several threads share a product


def times(rows: Array, v_A: Array, layout: Layout, comm: Comm) -> Array:
    """(n,) K v from complete rows (local, padded) of K and a v (n,) that all ranks hold. One gather."""
    return layout.in_order(comm.gather(product(rows, layout.pad(v_A))))[: layout.n]


def add_gram(
    rows: Array, z: Array, layout: Layout, comm: Comm, *, by_columns: bool = False, whole: bool = False
) -> Array:
    """(local, padded): ``rows`` plus this rank's rows of sum_r Z_r Z_r^dagger, from Z (n, k) or, ``by_columns``, from
    its adjoint (k, n).

    Entries right of the diagonal are undefined unless ``whole`` is set. Needs `exchanges` all-to-alls.
    """
    height = at_once(layout)
    steps_of_block = layout.block // height
    for first, last in levels(layout.n_blocks, 1 if whole else LEVELS):
        width = last * layout.block * layout.size

        def add(rows: Array, step: Array, width: int = width) -> tuple[Array, None]:
            term = _term(z, step, height, width, layout, by_columns=by_columns, whole=whole)
            # (a few rows of all ranks, columns) -> (of this rank, columns), from all
            total = jnp.sum(comm.all_to_all(term), axis=0)
            at = (step * height, jnp.int32(0))
            total = total + jax.lax.dynamic_slice(rows, at, total.shape)
            return jax.lax.dynamic_update_slice(rows, total, at), None

        steps = jnp.arange(first * steps_of_block, last * steps_of_block, dtype=jnp.int32)
        rows, _ = jax.lax.scan(add, rows, steps)
    return rows


def at_once(layout: Layout) -> int:
    """Rows of each rank that are computed at a time: a part of a block."""
    height = layout.block
    while height > 1 and height * layout.size > AT_ONCE:
        height //= 2
    return height


def exchanges(layout: Layout) -> int:
    """The number of all-to-alls of `add_gram`."""
    return layout.local // at_once(layout)


def levels(n_blocks: int, n_levels: int) -> Iterator[tuple[int, int]]:
    """Blocks 0 to ``n_blocks`` in at most LEVELS ranges, from the first block of one to the first of the next."""
    edges = sorted({i * n_blocks // n_levels for i in range(n_levels + 1)})
    return itertools.pairwise(edges)


def _term(z: Array, step: Array, height: int, width: int, layout: Layout, *, by_columns: bool, whole: bool) -> Array:
    """(R, height, width): the contribution of this rank's Z to some rows of each rank."""
    shape = (layout.size, height, width)
    first = step * height // layout.block * layout.size * layout.block + step * height % layout.block

    def by_blas(z: Array) -> Array:
        known = (layout.size, layout.block, int(by_columns), int(whole))
        numbers = jnp.stack([first, *(jnp.int32(number) for number in known)])
        (term,) = foreign.call_in_place(GRAM, (), (z,), made=(shape,), numbers=numbers)
        return term

    def by_xla(z: Array) -> Array:
        padding = ((0, 0), (0, layout.padded - layout.n))
        z = jnp.pad(z, padding if by_columns else padding[::-1])
        z = z.conj().T if by_columns else z
        # the same few rows of each rank's block
        picked = [jax.lax.dynamic_slice_in_dim(z, first + q * layout.block, height) for q in range(layout.size)]
        return product(jnp.concatenate(picked), z[:width].conj().T).reshape(shape)

    return foreign.by_platform(layout.n, by_blas, by_xla, z)


@foreign.register(GRAM)
def _gram(arguments: list[View], results: list[View]) -> None:
    (z, numbers), (term,) = arguments, results
    first, size, block, by_columns, whole = foreign.integers(numbers)
    k, n = z.shape if by_columns else z.shape[::-1]
    _, height, width = term.shape
    itemsize = foreign.SIZES[z.dtype]
    ctypes.memset(term.address, 0, size * height * width * itemsize)
    if k == 0:
        return
    step = itemsize * (1 if by_columns else k)  # from one row of the result to the next, or one column
    parts = []
    for q in range(size):
        row = first + q * block
        n_rows = min(height, n - row)
        if n_rows <= 0:
            continue
        n_columns = min(n, width) if whole else min(row + n_rows, width)
        out = term.address + q * height * width * itemsize
        many = 2 * n_rows * n_columns * k >= SPLIT_FROM
        wide = max(64, -(-n_columns // (2 * foreign.n_threads()))) if many else n_columns
        for column in range(0, n_columns, wide):
            block_of = functools.partial(_product, z, by_columns, min(wide, n_columns - column), n_rows, k)
            left, right = z.address + column * step, z.address + row * step
            parts.append(functools.partial(block_of, left, right, out + column * itemsize, width))
    foreign.side_by_side(parts, foreign.n_threads())


def _product(z: View, by_columns: int, m: int, n: int, k: int, columns: int, rows: int, out: int, width: int) -> None:
    """?gemm: (n, m) entries of the result in row-major order, which BLAS, column-major, sees as the transpose (m,
    n)."""
    one, zero = foreign.scalar(z.dtype, 1.0), foreign.scalar(z.dtype, 0.0)
    which = (b"N", b"C") if by_columns else (b"C", b"N")
    sizes, ld = (ctypes.c_int(m), ctypes.c_int(n), ctypes.c_int(k)), ctypes.c_int(z.shape[1])
    name = f"{PREFIXES[z.dtype]}gemm"
    foreign.call("cython_blas", name, *which, *sizes, one, columns, ld, rows, ld, zero, out, ctypes.c_int(width))
