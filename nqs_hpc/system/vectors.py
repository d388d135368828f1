"""Vectors of lattices: short primitive vectors, and a torus of any shape as cells in rows.

A torus is Z^D modulo the rows of an integer matrix C. By Smith's normal form there are unimodular U and W with
U C W = S diagonal (H. J. S. Smith, Phil. Trans. R. Soc. 151, 293 (1861), doi:10.1098/rstl.1861.0016). With the axes
W^-1, other primitive vectors of the same lattice, the torus has S_ii cells along axis i with periodic boundaries: a
tilted cluster is a plain one in other coordinates, and its translations are the group Z_S11 x Z_S22 x ...
"""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.sites import TOLERANCE

Integers = NDArray[np.int64]


def reaching(reach: Integers) -> Integers:
    """All integer vectors n with |n_i| <= reach_i, (n, D)."""
    return np.indices(tuple(2 * reach + 1)).reshape(len(reach), -1).T - reach[None, :]


def shortened(vectors: NDArray[np.float64]) -> Integers:
    """R (n, n), unimodular: the rows of R @ ``vectors`` (n, D) span the same lattice, none shorter by a multiple of
    another.

    In the plane this is Gauss's reduction, which finds the shortest vectors.
    """
    return _shortened(vectors, np.ones(len(vectors), dtype=np.int64))


def torus(cluster: Integers, vectors: NDArray[np.float64]) -> tuple[tuple[int, ...], Integers]:
    """The cells along each axis, S (D,) largest first, and the axes (D, D) in the primitive ``vectors`` (D, D) of a
    torus whose sides are the rows of ``cluster`` (D, D) in these. Axes are as short as S allows.

    ValueError if the rows are not independent.
    """
    sizes, axes = _smith([[int(x) for x in row] for row in cluster])
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    extent, rows = np.array([sizes[i] for i in order]), np.array([axes[i] for i in order], dtype=np.int64)
    rows = _shortened(rows @ vectors, extent) @ rows
    largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
    return tuple(extent.tolist()), rows * np.sign(largest)[:, None]


def _shortened(vectors: NDArray[np.float64], extent: Integers) -> Integers:
    """As `shortened`, with the condition that the sides extent_i v_i still span the same torus."""
    found = np.eye(len(vectors), dtype=np.int64)
    improved = True
    while improved:
        improved = False
        for i, j in np.ndindex(found.shape):
            if i == j:
                continue
            here, by = found[[i, j]] @ vectors
            step = int(extent[j]) // gcd(int(extent[i]), int(extent[j]))
            times = step * int(np.rint(here @ by / (by @ by) / step))
            shorter = here - times * by
            if times and shorter @ shorter < (here @ here) * (1 - TOLERANCE):
                found[i] -= times * found[j]
                improved = True
    return found


def _smith(matrix: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """The diagonal of Smith's form and W^-1 of a square matrix, in Python's integers, which do not overflow."""
    n = len(matrix)
    c = [row[:] for row in matrix]
    inverse = [[int(i == j) for j in range(n)] for i in range(n)]  # the inverse of the column operations

    def add_column(source: int, target: int, times: int) -> None:
        for row in c:
            row[target] += times * row[source]
        inverse[source] = [x - times * y for x, y in zip(inverse[source], inverse[target], strict=True)]

    def swap_columns(a: int, b: int) -> None:
        for row in c:
            row[a], row[b] = row[b], row[a]
        inverse[a], inverse[b] = inverse[b], inverse[a]

    for k in range(n):
        while True:
            places = [(abs(c[i][j]), i, j) for i in range(k, n) for j in range(k, n) if c[i][j]]
            if not places:
                raise ValueError("its rows are not independent")
            _, i, j = min(places)
            c[k], c[i] = c[i], c[k]
            swap_columns(k, j)
            pivot = c[k][k]
            for i in range(k + 1, n):
                times = c[i][k] // pivot
                c[i] = [x - times * y for x, y in zip(c[i], c[k], strict=True)]
            for j in range(k + 1, n):
                add_column(k, j, -(c[k][j] // pivot))
            if any(c[i][k] for i in range(k + 1, n)) or any(c[k][k + 1 :]):
                continue
            odd = next((i for i in range(k + 1, n) for j in range(k + 1, n) if c[i][j] % pivot), None)
            if odd is None:
                break
            c[k] = [x + y for x, y in zip(c[k], c[odd], strict=True)]
    return [abs(c[k][k]) for k in range(n)], inverse
