"""Distances of the sites of a lattice, by the nearest image along periodic directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nqs_hpc.system.lattice import TOLERANCE, Lattice
from nqs_hpc.system.vectors import reaching, shortened


def distance(lattice: Lattice, i: ArrayLike, j: ArrayLike) -> NDArray[np.float64]:
    """The distance of sites i and j (any shapes that broadcast), that of the nearest image along periodic sides.

    In nearest-neighbour distances. ValueError for a lattice from edges, which has no geometry.
    """
    if lattice.edges is not None:
        raise ValueError("lattice=edges: a lattice from edges carries no geometry, so its sites have no distance")
    apart = lattice.positions[np.asarray(j)] - lattice.positions[np.asarray(i)]
    periodic = np.array(lattice.pbc)
    sides = (np.array(lattice.extent)[:, None] * lattice.vectors)[periodic]
    if not len(sides):
        return np.asarray(np.linalg.norm(apart, axis=-1))
    sides = shortened(sides) @ sides
    # Rounding the coordinates leaves at most half of each side, but on skew tori a shorter image can lie further off.
    inverse = np.linalg.pinv(sides)  # (D, sides)
    apart = apart - np.rint(apart @ inverse) @ sides
    half = np.linalg.norm(sides, axis=1).sum() / 2
    images = reaching(np.floor(half * np.linalg.norm(inverse, axis=0) + 0.5 + TOLERANCE).astype(np.int64)) @ sides
    nearest: NDArray[np.float64] = np.asarray(np.linalg.norm(apart, axis=-1))
    for image in images:
        nearest = np.minimum(nearest, np.linalg.norm(apart + image, axis=-1))
    return nearest


def pairs_within(lattice: Lattice, cutoff: float | None) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """All pairs of sites, or those up to ``cutoff`` apart: (n_pairs, 2) with i < j, sorted, and their `distance`.

    A pair counts once, by its nearest image. ValueError for a lattice from edges.
    """
    pairs, lengths = [], []
    for i in range(lattice.n_sites - 1):  # a row at a time: all pairs at once would hold their images too
        j = np.arange(i + 1, lattice.n_sites)
        apart = distance(lattice, i, j)
        near = np.full(len(j), True) if cutoff is None else apart <= cutoff + TOLERANCE
        pairs.append(np.stack([np.full(int(near.sum()), i), j[near]], axis=1).astype(np.int32))
        lengths.append(apart[near])
    return np.concatenate(pairs), np.concatenate(lengths)
