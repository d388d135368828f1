"""A rational function of a Hermitian matrix times a vector, without eigenvectors: the smooth cut of t-VMC.

Householder reflections make S = Q T Q^dagger with T real and tridiagonal; that is a fifth of the operations that
eigenvectors take. The cut of `update.spectral` is a rational function of the eigenvalues,

    g(s) = s^6 / ((s^6 + c^6) (s + shift)) = sum_k w_k / (s - p_k),   p_k = c exp(i pi (2 k + 1) / 6), and -shift,

so g(T) u is a sum of solutions of tridiagonal systems, each O(n), and g(S) b = Q g(T) Q^dagger b. Golub & Van Loan,
"Matrix Computations" (2013), ch. 8 (the reduction); Hale, Higham & Trefethen 2008, doi:10.1137/070700607 (functions of
matrices by their poles). The eigenvalues, for c and for the rank, are those of T, O(n^2). Of what has no eigenvalue
the terms, 1 / c each, cancel: the error is that of rounding times s_max / c, so a cut below LEAST wants eigenvectors.

By LAPACK through `parallel.foreign`; its one caller, `spectral.filtered`, asks whether that is available.
"""

from __future__ import annotations

import ctypes
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.parallel import foreign
from nqs_hpc.parallel.foreign import PREFIXES, View

FILTER = "nqs_hpc_filter"
LEAST = 1e-8  # cut, if there is one
BLOCK = 64  # columns that LAPACK reflects at a time, at most


def filtered_solution(matrix: Array, rhs: Array, relative: float, shift: float | Array) -> tuple[Array, Array]:
    """g(S) rhs of a Hermitian matrix (n, n), whose upper triangle counts, with c = ``relative`` * the largest
    eigenvalue, and the eigenvalues (n,), ascending; both NaN if they are not finite, the first 0 where S has no
    eigenvalue above 0. ``relative`` 0: 1 / (s + shift).
    """
    assert matrix.shape == rhs.shape * 2
    numbers = jnp.asarray([relative, shift]).astype(matrix.dtype)
    # To LAPACK, which counts by columns, the upper triangle is the lower one of the conjugate matrix.
    changed = (matrix, rhs.conj(), jnp.zeros_like(rhs))
    _, x, values = foreign.call_in_place(FILTER, changed, (numbers,))
    return x.conj(), jnp.real(values)


@foreign.register(FILTER)
def _filter(arguments: list[View], results: list[View]) -> None:
    relative, shift = (float(number.real) for number in _array(arguments[-1]))
    matrix, (x, values) = results[0], (_array(view) for view in results[1:])
    n, prefix, is_complex = len(x), PREFIXES[matrix.dtype], np.iscomplexobj(x)
    if n == 0:
        return
    diagonal, beside = np.empty(n, x.real.dtype), np.empty(n, x.real.dtype)
    factors, work = np.empty(n, x.dtype), np.empty(BLOCK * (n + BLOCK + 1), x.dtype)
    size, length, info = ctypes.c_int(n), ctypes.c_int(len(work)), ctypes.c_int(0)
    space = (_at(work), length, info)

    def reflect(transposed: bytes) -> None:
        name, one = prefix + ("unmtr" if is_complex else "ormtr"), ctypes.c_int(1)
        reflections = (matrix.address, size, _at(factors))
        foreign.call("cython_lapack", name, b"L", b"L", transposed, size, one, *reflections, _at(x), size, *space)

    reduce = prefix + ("hetrd" if is_complex else "sytrd")
    foreign.call(
        "cython_lapack", reduce, b"L", size, matrix.address, size, _at(diagonal), _at(beside), _at(factors), *space
    )
    spectrum, spare = diagonal.copy(), beside.copy()
    is_finite = np.isfinite(diagonal).all() and np.isfinite(beside[:-1]).all() and np.isfinite(x).all()
    if is_finite:
        foreign.call("cython_lapack", PREFIXES[spectrum.dtype.name] + "sterf", size, _at(spectrum), _at(spare), info)
    if not is_finite or info.value:
        x[:], values[:] = np.nan, np.nan
        return
    values[:] = spectrum
    if not spectrum[-1] > 0:
        x[:] = 0
        return
    reflect(b"C" if is_complex else b"T")
    x[:] = _sum_of_solutions(diagonal, beside, x, _fractions(relative * float(spectrum[-1]), shift))
    reflect(b"N")


def _fractions(c: float, shift: float) -> list[tuple[complex, complex]]:
    """(p, w): g(s) of a real s is the sum of Re w / (s - p). Of a pair of conjugate poles one stands here."""
    if c == 0:
        return [(-shift, 1.0)]
    poles = [c * np.exp(1j * np.pi * (2 * k + 1) / 6) for k in range(3)]
    pairs = [(p, p / (3 * (p + shift))) for p in poles]
    return [*pairs, (-shift, 1 / (1 + (c / shift) ** 6))] if shift > 1e-50 * c else pairs


def _sum_of_solutions(diagonal: Any, beside: Any, u: Any, fractions: list[tuple[complex, complex]]) -> Any:
    """(n,) the sum of Re w (T - p)^-1 u, real and imaginary part of u apart."""
    parts = [u.real, u.imag] if np.iscomplexobj(u) else [u]
    dtype = np.result_type(diagonal, np.complex64)
    name, n, k = f"{PREFIXES[dtype.name]}gtsv", ctypes.c_int(len(u)), ctypes.c_int(len(parts))
    total = np.zeros((len(parts), len(u)), diagonal.dtype)
    for pole, weight in fractions:
        info = ctypes.c_int(0)
        below, above = beside.astype(dtype), beside.astype(dtype)  # all are overwritten
        middle, solutions = (diagonal - pole).astype(dtype), np.array(parts, dtype)
        matrix = (_at(below), _at(middle), _at(above))
        foreign.call("cython_lapack", name, n, k, *matrix, _at(solutions), n, info)
        total += np.real(weight * solutions) if not info.value else np.nan
    return total[0] if len(parts) == 1 else total[0] + 1j * total[1]


def _array(view: View) -> Any:
    """A vector of XLA's, in place."""
    memory = (ctypes.c_char * (view.shape[0] * foreign.SIZES[view.dtype])).from_address(view.address)
    raw: Any = memory
    return np.frombuffer(raw, view.dtype)


def _at(array: Any) -> int:
    return int(array.ctypes.data)
