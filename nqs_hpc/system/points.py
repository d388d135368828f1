"""The lattice of lattice=points: sites anywhere, from a file of positions or a list of them.

A file has one site per line, with one to three coordinates separated by blanks, the same number in all lines. ``#``
starts a comment, blank lines are skipped. Distances have the unit of the file.

The lattice is one open cell with the sites as its basis, so neighbours by distance and the symmetries of the cluster
come from the same code as for other lattices. Its vectors are so long that images of the cell never matter. The origin
is moved to the smallest coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nqs_hpc.inputs import reading
from nqs_hpc.system import formats
from nqs_hpc.system.lattice import Lattice

MAX_POINTS = 4096  # neighbours by distance compare all pairs
LARGEST = 1e6  # coordinates; beyond it float64 cannot resolve the shells of neighbours
CLOSEST = 1e-6  # relative to the size of a cluster smaller than 1, else absolute: closer sites are in the same place
SMALLEST = 1e-3  # distance; for smaller ones the tolerance 1e-6 of symmetries and exact shells is not small
VALID = "valid is 'x', 'x y' or 'x y z', finite numbers, as many on every line"


def read_points(path: str | Path) -> list[tuple[float, ...]]:
    """The positions of a file, in its order. ValueError, one line, with the line number if a line is wrong."""
    try:
        text = reading.text(path, reading.SYSTEM, follow=True, errors="replace")
    except OSError as error:
        raise ValueError(f"lattice.file={path}: {error.strerror}") from None
    points: list[tuple[float, ...]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split("#", maxsplit=1)[0].split()
        if not words:
            continue
        try:
            point = () if "_" in "".join(words) else tuple(float(word) for word in words)  # Python reads 1_0 as 10
        except ValueError:
            point = ()
        fits = len(point) in (1, 2, 3) and (not points or len(point) == len(points[0]))
        if not fits or not all(math.isfinite(x) for x in point):
            looks = formats.looks_like(line, first=not points)
            raise ValueError(f"lattice.file={path}, line {number}: {line.strip()[:60]!r}{looks}; {VALID}")
        points.append(point)
        if len(points) > MAX_POINTS:  # stop before a long file fills the memory
            raise ValueError(f"lattice.file={path}: more than {MAX_POINTS} sites; valid are 2 to {MAX_POINTS}")
    try:
        points_lattice(points)
    except ValueError as error:
        raise ValueError(f"lattice.file={path}: {error}") from None
    return points


def points_lattice(points: Sequence[Sequence[float]], tolerance: float | None = None) -> Lattice:
    """A lattice of sites at ``points`` (N, D), numbered in their order; ``tolerance`` as in `Lattice`.

    ValueError for fewer than 2 or more than ``MAX_POINTS`` sites, for two in the same place or closer than
    ``SMALLEST``, and for coordinates that are not numbers below ``LARGEST``.
    """
    if not 2 <= len(points) <= MAX_POINTS:
        raise ValueError(f"{len(points)} sites; valid are 2 to {MAX_POINTS}")
    positions = np.array(points, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1] not in (1, 2, 3):
        raise ValueError(f"positions of shape {positions.shape}; valid are one to three coordinates a site")
    if not np.abs(positions).max() <= LARGEST:
        raise ValueError(f"a coordinate is not within {LARGEST:g} of 0")
    closest = CLOSEST * min(1.0, float(np.linalg.norm(np.ptp(positions, axis=0))))
    least = math.inf
    for i, here in enumerate(positions[:-1]):
        apart = np.linalg.norm(positions[i + 1 :] - here[None, :], axis=1)
        if (apart <= closest).any():
            other = i + 1 + int(np.argmax(apart <= closest))
            raise ValueError(f"sites {i} and {other}, counted from 0, are in one place")
        least = min(least, float(apart.min()))
    if least < SMALLEST * (1 - 1e-6):
        unit = f"a unit of length in which they are at least {SMALLEST:g} apart, best about 1: multiply all coordinates"
        raise ValueError(f"the nearest sites are {least:.3g} apart; valid is {unit}")
    dim = positions.shape[1]
    positions = positions - positions.min(axis=0, keepdims=True)
    vectors = 4 * (float(positions.max()) + 1) * np.eye(dim)
    found = Lattice("points", len(positions), (1,) * dim, (False,) * dim, positions, vectors, positions)
    return found._replace(tolerance=tolerance)
