"""Products X X^dagger and X^dagger X as symmetric rank-k updates: half the operations of a general product.

XLA has no such product, and on CPUs its general ones take twice the time for a real X and six times for a complex one.
There the two are therefore done by ?syrk and ?herk (Dongarra et al. 1990, doi:10.1145/77626.79170; `parallel.foreign`);
elsewhere, and for small matrices, general products stand in.

All results hold the upper triangle; what is below the diagonal is undefined. Cholesky and eigenvalues read no more.
"""

from __future__ import annotations

import ctypes

from jax import Array

from nqs_hpc.gradient.planes import product
from nqs_hpc.parallel import foreign
from nqs_hpc.parallel.foreign import PREFIXES, View

ROWS, COLUMNS = "nqs_hpc_rank_k_rows", "nqs_hpc_rank_k_columns"


def add_of_rows(total: Array, x: Array) -> Array:
    """(n, n) total + x x^dagger of x (n, k); the upper triangle counts."""
    return _add(ROWS, total, x) if foreign.available(len(total)) else total + product(x, x.conj().T)


def add_of_columns(total: Array, x: Array) -> Array:
    """(n, n) total + x^dagger x of x (k, n); the upper triangle counts."""
    return _add(COLUMNS, total, x) if foreign.available(len(total)) else total + product(x.conj().T, x)


def _add(name: str, total: Array, x: Array) -> Array:
    assert total.shape == (x.shape[0 if name == ROWS else 1],) * 2
    (total,) = foreign.call_in_place(name, (total,), (x,))
    return total


@foreign.register(ROWS)
def _rows(arguments: list[View], results: list[View]) -> None:
    (_, x), (total,) = arguments, results
    n, k = x.shape
    _update(x, total, n, k, b"C" if x.dtype.startswith("complex") else b"T")


@foreign.register(COLUMNS)
def _columns(arguments: list[View], results: list[View]) -> None:
    (_, x), (total,) = arguments, results
    k, n = x.shape
    _update(x, total, n, k, b"N")


def _update(x: View, total: View, n: int, k: int, transposed: bytes) -> None:
    """To BLAS, which counts by columns, a row-major x is its transpose, and an upper triangle the lower one of the
    conjugate matrix: which is what the transpose of x makes.
    """
    if n == 0 or k == 0:
        return
    real = ctypes.c_float if x.dtype in ("float32", "complex64") else ctypes.c_double
    name = PREFIXES[x.dtype] + ("herk" if x.dtype.startswith("complex") else "syrk")
    size, inner, width = ctypes.c_int(n), ctypes.c_int(k), ctypes.c_int(x.shape[1])
    one = real(1.0)
    foreign.call("cython_blas", name, b"L", transposed, size, inner, one, x.address, width, one, total.address, size)
