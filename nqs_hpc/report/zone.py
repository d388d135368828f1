"""The first Brillouin zone: its outline, wave vectors folded into it, and the part nearest to each wave vector.

The zone is the Wigner-Seitz cell of the reciprocal lattice: the points nearer to 0 than to any other lattice vector
(Ashcroft and Mermin 1976, "Solid State Physics", ch. 5).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FURTHEST = 3  # range of reciprocal lattice vectors in each direction
SAME = 1e-6  # of the length of the cell: closer wave vectors are equal


def is_cell(cell_dd: Array) -> bool:
    """Whether rows span a cell that is not too flat: FURTHEST lattice vectors must determine its zone."""
    if cell_dd.ndim != 2 or cell_dd.shape[0] != cell_dd.shape[1] or not np.isfinite(cell_dd).all():
        return False
    lengths = np.linalg.norm(cell_dd, axis=1)
    if not (lengths.min() > 0 and lengths.max() < 1e3 * lengths.min() and lengths.max() < 1e6):
        return False
    return bool(abs(np.linalg.det(cell_dd)) > 0.2 * np.prod(lengths))


def folded(q_Qd: Array, cell_dd: Array) -> Array:
    """Each wave vector folded into the zone by a reciprocal lattice vector, (Q, d)."""
    share = q_Qd @ np.linalg.inv(cell_dd)
    q_Qd = (share - np.rint(share)) @ cell_dd
    images = q_Qd[:, None] + _lattice(cell_dd)  # (Q, images, d)
    # of several on the outline always the one with the largest components
    length = np.round(np.linalg.norm(images, axis=2) / np.linalg.norm(cell_dd[0]), 9)
    order = np.lexsort([*(-np.round(images[:, :, i], 9) for i in range(images.shape[2])), length], axis=1)
    return np.take_along_axis(images, order[:, :1, None], axis=1)[:, 0]


def distinct(q_Qd: Array, cell_dd: Array) -> bool:
    """Whether all wave vectors are different."""
    near = np.round(q_Qd / (SAME * np.linalg.norm(cell_dd[0])))
    return len(np.unique(near, axis=0)) == len(q_Qd)


def outline(cell_dd: Array) -> Array:
    """The corners of the zone of a lattice in two dimensions, in order around it, (corners, 2)."""
    from scipy.spatial import Voronoi

    vectors = _lattice(cell_dd)
    return _around(Voronoi(vectors), int(np.flatnonzero((vectors == 0).all(axis=1))[0]))


def within(q_Qd: Array, cell_dd: Array) -> Array:
    """The wave vectors with all their images that lie in the zone or on its outline, (images, d)."""
    vectors = _lattice(cell_dd)
    images = (q_Qd[:, None] + vectors).reshape(-1, len(cell_dd))
    others = vectors[(vectors != 0).any(axis=1)]
    # nearer to 0 than to G: 2 q·G <= G²
    room = (1 + SAME) * np.sum(others**2, axis=1)
    found: Array = images[(2 * images @ others.T <= room).all(axis=1)]
    return found


def tiles(q_Q2: Array, cell_dd: Array) -> list[tuple[int, Array]]:
    """Polygons that tile the zone: the number of a wave vector, and the corners of the part of the zone that is nearer
    to it, or to one of its images, than to any other.
    """
    from scipy.spatial import Voronoi

    vectors = _lattice(cell_dd)
    images = (q_Q2[:, None] + vectors).reshape(-1, 2)
    number = np.repeat(np.arange(len(q_Q2)), len(vectors))
    furthest = np.linalg.norm(outline(cell_dd), axis=1).max()
    # any point of the zone is nearest to an image in the zone, or at most one width of the zone outside of it
    near = np.linalg.norm(images, axis=1) < 4 * furthest
    images, number = images[near], number[near]
    diagram = Voronoi(images)
    length = np.linalg.norm(vectors, axis=1)
    bounds = vectors[(length > 0) & (length <= 2 * furthest * (1 + SAME))]
    found = []
    for i in np.flatnonzero(np.linalg.norm(images, axis=1) < 2 * furthest):
        polygon = _around(diagram, int(i))
        for g in bounds:
            polygon = _cut(polygon, g)
        if len(polygon) > 2:
            found.append((int(number[i]), polygon))
    return found


def _cut(polygon_P2: Array, g: Array) -> Array:
    """The part of a convex polygon that is nearer to 0 than to ``g``."""
    if len(polygon_P2) < 3:
        return polygon_P2[:0]
    beyond = 2 * polygon_P2 @ g - g @ g
    kept = beyond <= SAME * (g @ g)
    if kept.all():
        return polygon_P2
    corners = []
    for k in range(len(polygon_P2)):
        before = k - 1
        if kept[k] != kept[before]:
            share = beyond[before] / (beyond[before] - beyond[k])
            corners.append(polygon_P2[before] + share * (polygon_P2[k] - polygon_P2[before]))
        if kept[k]:
            corners.append(polygon_P2[k])
    return np.array(corners).reshape(-1, 2)


def _lattice(cell_dd: Array) -> Array:
    steps = np.arange(-FURTHEST, FURTHEST + 1)
    whole = np.stack(np.meshgrid(*[steps] * len(cell_dd), indexing="ij"), axis=-1).reshape(-1, len(cell_dd))
    found: Array = whole @ cell_dd
    return found


def _around(diagram: Any, which: int) -> Array:
    """The corners of the Voronoi cell of one of the points, in order; none if it is not bounded."""
    region = diagram.regions[diagram.point_region[which]]
    if not region or -1 in region:
        return np.empty((0, 2))
    centre = diagram.points[which]
    apart = diagram.vertices[region] - centre
    found: Array = apart[np.argsort(np.arctan2(apart[:, 1], apart[:, 0]))] + centre
    return found
