"""What a finite lattice is: sites with positions, and how it closes on itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Lattice(NamedTuple):
    """The sites of a finite lattice; the same on every rank."""

    name: str
    n_sites: int
    extent: tuple[int, ...]  # unit cells along each direction; (n_sites,) for edges
    pbc: tuple[bool, ...]  # whether each direction closes on itself
    positions: NDArray[np.float64]  # (N, D), in nearest-neighbour distances; (N, 0) for edges
    vectors: NDArray[np.float64]  # (D, D), a row for each primitive vector
    basis: NDArray[np.float64]  # (n_basis, D), Cartesian
    edges: dict[int, NDArray[np.int32]] | None = None  # the given bonds by order, where the lattice is made of edges
    weights: dict[int, NDArray[np.float64]] | None = None  # of these bonds, where the file gives them
    double_bonds: bool = False  # whether a pair counts once for each image that is a neighbour, on a side of 2 twice
    tolerance: float | None = None  # relative, between distances of one shell of points; None: TOLERANCE
    turned: dict[int, NDArray[np.bool_]] | None = (
        None  # which of ``edges`` are given from the larger site to the smaller
    )
    layers: int = 1  # copies of the lattice, one after another (`layers`)
