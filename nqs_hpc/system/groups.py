"""Finite groups of permutations: products, conjugacy classes, and all irreducible characters.

Characters by Burnside's method: with classes C_r of sizes h_r, the matrices (M_r)_st = #{(x, y) in C_r x C_s: x y = z}
for a fixed z in C_t commute, and their common eigenvectors are omega_t = h_t chi(C_t) / chi(1) of the irreducible
characters; sum_t |chi(C_t)|^2 h_t = |G| gives the dimension chi(1). J. D. Dixon, Numer. Math. 10, 446 (1967),
doi:10.1007/BF02162877.

Products read from right to left: ``table[g, h]`` is h first, then g, as permutations of sites ``perms[g][perms[h]]``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def product_table(perms: NDArray[np.integer]) -> NDArray[np.int32]:
    """(G, G) int32, the number of g h for each pair. ValueError if ``perms`` (G, N) are not a group.

    Rows must be distinct permutations.
    """
    size, n = perms.shape
    # A permutation is identified by a sum of random integers modulo 2^64, so g h needs no search through rows.
    weights = np.random.default_rng(0).integers(1, 2**63, (1, n), dtype=np.uint64)
    table = np.empty((size, size), dtype=np.int32)

    def key_of(rows: NDArray[np.integer]) -> NDArray[np.uint64]:
        return np.asarray(((rows.astype(np.uint64) + 1) * weights).sum(axis=1, dtype=np.uint64))

    keys = key_of(perms)
    order = np.argsort(keys)
    for g, perm in enumerate(perms):
        product = perm[perms]
        found = order[np.minimum(np.searchsorted(keys[order], key_of(product)), size - 1)]
        if not np.array_equal(perms[found], product):
            h = int(np.argmax((perms[found] != product).any(axis=1)))
            raise ValueError(f"they are not a group: permutation {h + 1} followed by {g + 1} is not among them")
        table[g] = found
    return table


def inverses(table: NDArray[np.int32]) -> NDArray[np.int64]:
    """(G,) the number of each element's inverse."""
    one = identity(table)
    return np.argmax(table == one, axis=1)


def identity(table: NDArray[np.int32]) -> int:
    """The number of the identity."""
    return int(np.flatnonzero((table == np.arange(len(table))[None, :]).all(axis=1))[0])


def classes(table: NDArray[np.int32]) -> NDArray[np.int64]:
    """(G,) the number of the conjugacy class of each element; classes count from 0 in the order of first members."""
    inverse = inverses(table)
    label = np.full(len(table), -1, dtype=np.int64)
    n_classes = 0
    for x in range(len(table)):
        if label[x] < 0:
            label[table[table[:, x], inverse]] = n_classes
            n_classes += 1
    return label


def character_table(table: NDArray[np.int32]) -> NDArray[np.complex128]:
    """All irreducible characters, (irreps, G): by dimension, the trivial one first, then by descending real parts."""
    label = classes(table)
    sizes = np.bincount(label)
    n_classes, size = len(sizes), len(table)
    first = np.array([np.argmax(label == t) for t in range(n_classes)])
    inverse = inverses(table)
    # (M_r)_st: for the first z of each class t and every x of class r, y = x^-1 z is in one class s
    count = np.zeros((n_classes,) * 3)
    for t, z in enumerate(first):
        np.add.at(count[:, :, t], (label, label[table[inverse, z]]), 1.0)
    # eigenvalues of a single M_r may be degenerate, those of a random combination are not
    mixed = np.einsum("r,rst->st", np.random.default_rng(1).normal(size=n_classes), count)
    _, omega = np.linalg.eig(mixed)
    omega = (omega / omega[label[identity(table)]][None, :]).T
    dimension = np.rint(np.sqrt(size / np.sum(np.abs(omega) ** 2 / sizes[None, :], axis=1)))
    characters = rounded(omega * dimension[:, None] / sizes[None, :])
    return characters[sorted(range(n_classes), key=lambda i: _rank(characters[i]))][:, label]


def rounded(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """``values`` with real and imaginary parts rounded to integers or half-integers if they are within rounding."""

    def exact(x: NDArray[np.float64]) -> NDArray[np.float64]:
        near = np.rint(2 * x) / 2
        return np.where(np.abs(x - near) < 1e-9, near, x) + 0.0

    return exact(values.real) + 1j * exact(values.imag)


def _rank(character: NDArray[np.complex128]) -> tuple[float, ...]:
    falling = -np.round(np.stack([character.real, character.imag], axis=1), 6)
    return (np.abs(character).max(), *falling.ravel().tolist())
