"""Distances between sites, and couplings that decay as a power of the distance.

Along a periodic side of length L a distance is that of the nearest image, or the chord L / pi |sin(pi x / L)| of the
ring that the side makes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nqs_hpc.system.lattice import TOLERANCE, Lattice
from nqs_hpc.system.vectors import reaching, shortened

Measure = Callable[[Lattice, ArrayLike, ArrayLike], NDArray[np.float64]]  # `distance` or `chord`


def distance(lattice: Lattice, i: ArrayLike, j: ArrayLike) -> NDArray[np.float64]:
    """The distance of sites i and j (shapes broadcast), to the nearest image along periodic sides.

    In nearest-neighbour distances. ValueError for a lattice from edges, which has no geometry.
    """
    apart, sides = _apart(lattice, i, j), _sides(lattice)
    if not len(sides):
        return np.asarray(np.linalg.norm(apart, axis=-1))
    sides = shortened(sides) @ sides
    # After rounding, coordinates are at most half of each side, but on skew tori another image can be nearer.
    inverse = np.linalg.pinv(sides)  # (D, sides)
    apart = apart - np.rint(apart @ inverse) @ sides
    half = np.linalg.norm(sides, axis=1).sum() / 2
    images = reaching(np.floor(half * np.linalg.norm(inverse, axis=0) + 0.5 + TOLERANCE).astype(np.int64)) @ sides
    nearest: NDArray[np.float64] = np.asarray(np.linalg.norm(apart, axis=-1))
    for image in images:
        nearest = np.minimum(nearest, np.linalg.norm(apart + image, axis=-1))
    return nearest


def chord(lattice: Lattice, i: ArrayLike, j: ArrayLike) -> NDArray[np.float64]:
    """The distance of sites i and j (shapes broadcast), by chords along periodic sides: the side is bent to a ring, and
    distances along several sides, or along a side and across it, add like perpendicular components.

    In nearest-neighbour distances of the straight lattice. ValueError for a lattice from edges, for one without
    periodic sides, and for two periodic sides that are not at right angles.
    """
    apart, sides = _apart(lattice, i, j), _sides(lattice)
    if not len(sides):
        raise ValueError("without periodic sides there are no chords")
    lengths = np.linalg.norm(sides, axis=1)
    along = sides / lengths[:, None]
    if np.abs(along @ along.T - np.eye(len(sides))).max() > TOLERANCE:
        raise ValueError("periodic sides that are not at right angles have no chords")
    x = apart @ along.T  # (..., sides)
    across = apart - x @ along
    of_sides = lengths / np.pi * np.sin(np.pi * x / lengths)
    return np.asarray(np.sqrt(np.sum(of_sides**2, axis=-1) + np.sum(across**2, axis=-1)))


def _apart(lattice: Lattice, i: ArrayLike, j: ArrayLike) -> NDArray[np.float64]:
    if lattice.edges is not None:
        raise ValueError("lattice=edges: a lattice from edges carries no geometry, so its sites have no distance")
    return np.asarray(lattice.positions[np.asarray(j)] - lattice.positions[np.asarray(i)])


def _sides(lattice: Lattice) -> NDArray[np.float64]:
    """The periodic sides (sides, D), as vectors."""
    return np.asarray((np.array(lattice.extent)[:, None] * lattice.vectors)[np.array(lattice.pbc)])


def pairs_within(
    lattice: Lattice, cutoff: float | None, by: Measure = distance
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """All pairs of sites, or those up to ``cutoff`` apart: (n_pairs, 2) with i < j, sorted, and their distance ``by``
    `distance` or `chord`.

    Each pair appears once. ValueError for a lattice from edges, and those of ``by``.
    """
    pairs, lengths = [np.empty((0, 2), np.int32)], [np.empty(0)]
    for i in range(lattice.n_sites - 1):  # row by row: all pairs at once would also need memory for their images
        j = np.arange(i + 1, lattice.n_sites)
        apart = by(lattice, i, j)
        near = np.full(len(j), True) if cutoff is None else apart <= cutoff + TOLERANCE
        pairs.append(np.stack([np.full(int(near.sum()), i), j[near]], axis=1).astype(np.int32))
        lengths.append(apart[near])
    return np.concatenate(pairs), np.concatenate(lengths)


def power_law(lengths_P: NDArray[np.float64], alpha: float, *, kac_sites: int | None = None) -> NDArray[np.float64]:
    """1 / r^alpha of each distance (P,); with ``kac_sites``, the number of sites N, divided by Kac's factor

        2 / N sum_{i<j} 1 / r_ij^alpha,

    the mean over all sites of the sum of couplings to one site, so that energies are extensive also for alpha below the
    dimension (M. Kac, G. E. Uhlenbeck and P. C. Hemmer, J. Math. Phys. 4, 216 (1963), doi:10.1063/1.1703946).
    ValueError where a number is too large.
    """
    with np.errstate(over="ignore", under="ignore"):
        strengths_P = lengths_P ** (-alpha)
    if not np.isfinite(strengths_P).all():
        raise ValueError(f"1 / r^{alpha:g} is too large a number at the distance {lengths_P.min():g}")
    if kac_sites is None:
        return strengths_P
    return np.asarray(strengths_P / (2 / kac_sites * strengths_P.sum()))
