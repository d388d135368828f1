"""What correlators of all pairs of sites have in common: matrices, their axes, and Fourier transforms,

    S(q) = 1/N sum_ij exp(i q . (r_i - r_j)) C_ij,

with r the true positions of the sites, those in the unit cell included.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.lattice import Lattice, bipartition
from nqs_hpc.system.wave_vectors import WaveVectors
from nqs_hpc.types import Output


def pairs(n_sites: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All pairs i < j, in the order in which correlators of pairs P stand."""
    return np.triu_indices(n_sites, 1)


def symmetric(values_P: NDArray[Any], diagonal_N: NDArray[Any]) -> NDArray[np.float64]:
    """Matrices (..., N, N) from pairs (..., P) and the diagonal, (N,) or (..., N); real parts."""
    n = diagonal_N.shape[-1]
    i, j = pairs(n)
    matrix = np.empty((*values_P.shape[:-1], n, n))
    matrix[..., i, j] = matrix[..., j, i] = np.real(values_P)
    matrix[..., np.arange(n), np.arange(n)] = np.real(diagonal_N)
    return matrix


def structure_factor(c_NN: NDArray[np.float64], lattice: Lattice, waves: WaveVectors) -> NDArray[np.float64]:
    """S(q) (..., Q) of symmetric matrices (..., N, N)."""
    phase_QN = waves.q_QD @ lattice.positions.T
    of_q = sum(np.sum((wave @ c_NN) * wave, axis=-1) for wave in (np.cos(phase_QN), np.sin(phase_QN)))
    return np.asarray(of_q) / lattice.n_sites


def sublattices(lattice: Lattice) -> NDArray[np.int8] | None:
    """+1 and -1 of the two sublattices; None if nearest neighbours form no two, or are not defined."""
    try:
        return bipartition(lattice)
    except ValueError:
        return None


def matrix_output(name: str, label: str, lattice: Lattice) -> Output:
    """A matrix of all pairs of sites."""
    n = lattice.n_sites
    where = (("positions", lattice.positions),) if lattice.edges is None else ()
    return Output(name, label=label, shape=(n, n), axes=(("sites", np.arange(n)), *where))


def wave_output(name: str, label: str, waves: WaveVectors) -> Output:
    """A number for each wave vector."""
    return Output(name, label=label, shape=(len(waves.q_QD),), axes=(("q", waves.q_QD), ("cell", waves.cell_DD)))
