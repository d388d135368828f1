"""The lattice of the links of a square lattice: a site at the middle of every bond, as in lattice gauge models.

The sites of the square lattice are the vertices. Along a periodic direction a link belongs to a cell, as elsewhere; an
open direction ends in half a cell, so all its links together form one long cell. On a torus the links of vertex v are
the sites 2 v (to the right) and 2 v + 1 (upwards), also on a side of extent 2, where two links join the same vertices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.lattice import Lattice

NAME = "links"


def links(square: Lattice) -> Lattice:
    """The links of ``square``, with bonds as unit of length: 2 Lx Ly on a torus, 2 Lx Ly - Lx - Ly with open ends.

    ValueError for another lattice, and for one without a plaquette.
    """
    if square.name != "square":
        raise ValueError(f"its spins lie on the links of lattice=square, and this is lattice={square.name}")
    if min(square.extent) < 2:
        raise ValueError(f"lattice.extent={list(square.extent)} has no plaquette, which takes 2 vertices each way")
    sides = list(zip(square.extent, square.pbc, strict=True))
    # a direction has either cells of one vertex each, or one cell with all vertices
    inside = [1 if closed else length for length, closed in sides]
    basis = []
    for y in range(inside[1]):
        for x in range(inside[0]):
            basis += [(x + 0.5, float(y))] if square.pbc[0] or x + 1 < inside[0] else []
            basis += [(float(x), y + 0.5)] if square.pbc[1] or y + 1 < inside[1] else []
    basis_bD = np.array(basis)
    extent = tuple(length if closed else 1 for length, closed in sides)
    vectors = np.diag([1.0 if closed else 2.0 * length for length, closed in sides])
    cells = np.stack(np.unravel_index(np.arange(np.prod(extent)), extent, order="F"), axis=1) @ vectors
    positions = (cells[:, None, :] + basis_bD[None, :, :]).reshape(-1, 2)
    return Lattice(NAME, len(positions), extent, square.pbc, positions, vectors, basis_bD)


def stars(lattice: Lattice) -> list[tuple[int, ...]]:
    """The links that meet at each vertex: four, at an open end three, in an open corner two."""
    return list(_around(lattice, along=True).values())


def plaquettes(lattice: Lattice) -> list[tuple[int, ...]]:
    """The four links around each face; there are no faces beyond an open end."""
    return [sites for sites in _around(lattice, along=False).values() if len(sites) == 4]


def _around(lattice: Lattice, *, along: bool) -> dict[tuple[int, ...], tuple[int, ...]]:
    """The links half a bond away from each vertex (``along``) or from the middle of each face (across)."""
    assert lattice.name == NAME
    # in units of half a bond all numbers are whole: the middle of a link has one odd coordinate
    middles = np.rint(2 * lattice.positions).astype(np.int64)
    sites: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for site, middle in enumerate(middles):
        axis = int(np.flatnonzero(middle % 2 == (1 if along else 0))[0])
        for half in (-1, 1):
            sites[_wrapped(lattice, middle + half * np.eye(2, dtype=np.int64)[axis])].append(site)
    return {place: tuple(found) for place, found in sorted(sites.items())}


def _wrapped(lattice: Lattice, place: NDArray[np.int64]) -> tuple[int, ...]:
    sides: Iterable[tuple[int, int, bool]] = zip(place.tolist(), lattice.extent, lattice.pbc, strict=True)
    return tuple(x % (2 * length) if closed else x for x, length, closed in sides)


class Grid(NamedTuple):
    """The links by the vertices at which they begin, and the faces, both with the first direction fastest."""

    extent: tuple[int, ...]  # vertices
    faces: tuple[int, ...]  # faces: one less along an open direction
    links_V2: NDArray[np.int32]  # the sites to the right of each vertex and above it; n_sites beyond an open end
    around_F4: NDArray[np.int32]  # the vertices whose links go around a face: below it, right of it, above it, left


def grid(lattice: Lattice) -> Grid:
    """The grid of a lattice from `links`. Links below and above a face go to the right, the other two upwards."""
    assert lattice.name == NAME
    lengths = np.rint(np.diag(lattice.vectors) * lattice.extent).astype(np.int64)
    # an open side of n vertices is a cell of length 2 n
    extent = tuple(int(n if side else n // 2) for n, side in zip(lengths, lattice.pbc, strict=True))
    faces = tuple(n if side else n - 1 for n, side in zip(extent, lattice.pbc, strict=True))
    sites = {tuple(middle): site for site, middle in enumerate(np.rint(2 * lattice.positions).astype(int).tolist())}
    places = [(x, y) for y in range(extent[1]) for x in range(extent[0])]
    links_V2 = [
        [sites.get((2 * x + 1, 2 * y), lattice.n_sites), sites.get((2 * x, 2 * y + 1), lattice.n_sites)]
        for x, y in places
    ]

    def vertex(x: int, y: int) -> int:
        return x % extent[0] + extent[0] * (y % extent[1])

    corners = [(x, y) for y in range(faces[1]) for x in range(faces[0])]
    around_F4 = [[vertex(x, y), vertex(x + 1, y), vertex(x, y + 1), vertex(x, y)] for x, y in corners]
    return Grid(extent, faces, np.array(links_V2, np.int32), np.array(around_F4, np.int32))
