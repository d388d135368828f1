"""Products X X^dagger and X^dagger X as symmetric rank-k updates: half the operations of a general product.

XLA has no such product, and on CPUs its general products take twice the time for a real X and six times for a complex
one. So on CPUs we use ?syrk and ?herk (Dongarra et al. 1990, doi:10.1145/77626.79170; `parallel.foreign`); elsewhere,
and for small matrices, general products.

Results contain the upper triangle; entries below the diagonal are undefined. Cholesky and eigenvalues do not read them.
"""

from __future__ import annotations

import ctypes
from functools import partial

from jax import Array

from nqs_hpc.gradient.planes import product
from nqs_hpc.parallel import foreign
from nqs_hpc.parallel.foreign import PREFIXES, View

SPLIT_FROM = 2**23  # operations from which on several threads share a product, about a millisecond of one thread
MIN_ROWS = 32  # per part
ROWS, COLUMNS = "nqs_hpc_rank_k_rows", "nqs_hpc_rank_k_columns"


def add_of_rows(total: Array, x: Array) -> Array:
    """(n, n) total + x x^dagger for x (n, k); only the upper triangle is defined."""
    return foreign.by_platform(len(total), partial(_add, ROWS), lambda t, x: t + product(x, x.conj().T), total, x)


def add_of_columns(total: Array, x: Array) -> Array:
    """(n, n) total + x^dagger x for x (k, n); only the upper triangle is defined."""
    return foreign.by_platform(len(total), partial(_add, COLUMNS), lambda t, x: t + product(x.conj().T, x), total, x)


def _add(name: str, total: Array, x: Array) -> Array:
    assert total.shape == (x.shape[0 if name == ROWS else 1],) * 2
    (total,) = foreign.call_in_place(name, (total,), (x,))
    return total


@foreign.register(ROWS)
def _rows(arguments: list[View], results: list[View]) -> None:
    (_, x), (total,) = arguments, results
    n, k = x.shape
    _update(x, total, n, k, b"C")


@foreign.register(COLUMNS)
def _columns(arguments: list[View], results: list[View]) -> None:
    (_, x), (total,) = arguments, results
    k, n = x.shape
    _update(x, total, n, k, b"N")


def _update(x: View, total: View, n: int, k: int, transposed: bytes) -> None:
    """BLAS is column-major: it sees a row-major x as its transpose, and our upper triangle as the lower one of the
    conjugate matrix, which is just what the transpose of x gives.
    """
    if n == 0 or k == 0:
        return
    add_lower(x.dtype, transposed, n, k, 1.0, x.address, x.shape[1], total.address, n)


def add_lower(
    dtype: str, transposed: bytes, n: int, k: int, factor: float, x: int, x_width: int, total: int, width: int
) -> None:
    """Add factor x x^dagger (``transposed`` N) or factor x^dagger x to the lower triangle of ``total``, both
    column-major with the given widths; large products are split by rows of ``total`` over all threads of this rank.
    """
    n_threads = foreign.n_threads() if n * n * k >= SPLIT_FROM else 1
    if n_threads == 1:
        _lower(dtype, transposed, n, k, factor, x, x_width, total, width)
        return
    size = foreign.SIZES[dtype]
    height = max(MIN_ROWS, -(-n // (4 * n_threads)))
    step = size if transposed == b"N" else size * x_width  # from one row of the result to the next

    def rows(first: int) -> None:
        m = min(height, n - first)
        mine, out = x + first * step, total + first * size
        if first:
            _block(dtype, transposed, m, first, k, factor, mine, x, x_width, out, width)
        _lower(dtype, transposed, m, k, factor, mine, x_width, out + first * width * size, width)

    firsts = range(0, n, height)
    foreign.side_by_side([partial(rows, first) for first in reversed(firsts)], n_threads)  # the longest first


def _lower(
    dtype: str, transposed: bytes, n: int, k: int, factor: float, x: int, x_width: int, total: int, width: int
) -> None:
    """?syrk or ?herk."""
    real = ctypes.c_float if dtype in ("float32", "complex64") else ctypes.c_double
    name = PREFIXES[dtype] + ("herk" if dtype.startswith("complex") else "syrk")
    if transposed != b"N":
        transposed = b"C" if dtype.startswith("complex") else b"T"
    size, inner, ld_x, ld = ctypes.c_int(n), ctypes.c_int(k), ctypes.c_int(x_width), ctypes.c_int(width)
    alpha, one = real(factor), real(1.0)
    foreign.call("cython_blas", name, b"L", transposed, size, inner, alpha, x, ld_x, one, total, ld)


def _block(
    dtype: str,
    transposed: bytes,
    m: int,
    n: int,
    k: int,
    factor: float,
    x: int,
    y: int,
    x_width: int,
    total: int,
    width: int,
) -> None:
    """?gemm: add factor x y^dagger (``transposed`` N) or factor x^dagger y to the (m, n) ``total``."""
    alpha, one = foreign.scalar(dtype, factor), foreign.scalar(dtype, 1.0)
    which = (b"N", b"C") if transposed == b"N" else (b"C", b"N")
    sizes = ctypes.c_int(m), ctypes.c_int(n), ctypes.c_int(k)
    ld_x, ld = ctypes.c_int(x_width), ctypes.c_int(width)
    name = f"{PREFIXES[dtype]}gemm"
    foreign.call("cython_blas", name, *which, *sizes, alpha, x, ld_x, y, ld_x, one, total, ld)
