"""A finite lattice: sites with positions, and boundaries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TILTED = "tilted "  # in the names of tilted clusters
TOLERANCE = 1e-6  # closer lengths are equal; different ones here are at least 1 / (2 r) apart


class Shell(NamedTuple):
    """The bonds of one order from the sites of a cell of the infinite lattice, each listed from both ends."""

    start: NDArray[np.int64]  # (n,) sublattice here
    end: NDArray[np.int64]  # (n,) sublattice there
    cell: NDArray[np.int64]  # (n, D) cell there, counted from here


class Lattice(NamedTuple):
    """The sites of a finite lattice; the same on every rank."""

    name: str
    n_sites: int
    extent: tuple[int, ...]  # unit cells along each direction; (n_sites,) for edges
    pbc: tuple[bool, ...]  # whether each direction is periodic
    positions: NDArray[np.float64]  # (N, D), in nearest-neighbour distances; (N, 0) for edges
    vectors: NDArray[np.float64]  # (D, D), a row for each primitive vector
    basis: NDArray[np.float64]  # (n_basis, D), Cartesian
    edges: dict[int, NDArray[np.int32]] | None = None  # the given bonds by order, if the lattice is made from edges
    weights: dict[int, NDArray[np.float64]] | None = None  # of these bonds, if the file gives them
    double_bonds: bool = False  # whether a pair counts once for each image that is a neighbour: twice on a side of 2
    tolerance: float | None = None  # relative, between distances of one shell of points; None: TOLERANCE
    # which of ``edges`` are given from the larger site to the smaller
    turned: dict[int, NDArray[np.bool_]] | None = None
    stated: tuple[Shell, ...] | None = None  # the bonds of the first orders, if the unit cell states them
    # the number of shells by distance that these replace, after which orders continue; None: no further orders
    distances_from: int | None = None
    axes: NDArray[np.int64] | None = None  # (D, D) axes of a tilted cluster in the vectors of its family (`families`)
    layers: int = 1  # copies of the lattice, one after the other (`layers`)

    @property
    def told(self) -> str:
        """The lattice by its keys, for messages."""
        if self.axes is None:
            return f"lattice={self.name}"
        return f"lattice={self.name.removeprefix(TILTED)} with a tilted lattice.cluster"
