"""Wave vectors of a periodic lattice.

With the reciprocal vectors b_i, b_i . a_j = 2 pi delta_ij, and L_i unit cells along direction i, the wave vectors are

    q = sum_i m_i / L_i b_i.

A Fourier transform with the true positions of the sites has the period b_i if each cell has one site. With several
sites per cell the period is p_i b_i, with p_i the smallest factor that makes the coordinates of the basis in the
primitive vectors integers: 2 on kagome, 3 on honeycomb. The literature calls this the extended zone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.lattice import TOLERANCE, Lattice

MOST_ZONES = 12  # along one direction


class WaveVectors(NamedTuple):
    """Wave vectors ``q_QD`` of a Fourier transform, whose periods are the rows of ``cell_DD``."""

    q_QD: NDArray[np.float64]  # Cartesian, in the inverse of the nearest-neighbour distance
    cell_DD: NDArray[np.float64]  # p_i b_i


def wave_vectors(lattice: Lattice) -> WaveVectors | None:
    """All wave vectors of one period, the first direction fastest; None if a side is open, there is no geometry, or the
    basis has no such period.
    """
    if lattice.edges is not None or not all(lattice.pbc):
        return None
    reciprocal = 2 * np.pi * np.linalg.inv(lattice.vectors).T
    inside_bD = lattice.basis @ np.linalg.inv(lattice.vectors)
    inside_bD = inside_bD - inside_bD[:1]
    zones = []
    for along_b in inside_bD.T:
        whole = (p for p in range(1, MOST_ZONES + 1) if np.abs(p * along_b - np.rint(p * along_b)).max() < TOLERANCE)
        zones.append(next(whole, 0))
    if 0 in zones:
        return None
    numbers = np.array(lattice.extent) * zones
    m_QD = np.stack(np.unravel_index(np.arange(numbers.prod()), numbers, order="F"), axis=1)
    return WaveVectors(m_QD / np.array(lattice.extent) @ reciprocal, np.array(zones)[:, None] * reciprocal)
