"""Exact diagonalisation of spins 1/2 by the bits of whole numbers, apart from anything in the package."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import eigsh


def lowest(n_sites: int, bonds: dict[tuple[int, int], float], n_up: int | None = None) -> float:
    """The lowest level of H = sum J_ij S_i . S_j with ``n_up`` spins up, half of them where it is None."""
    up = n_sites // 2 if n_up is None else n_up
    states = np.sort([sum(1 << i for i in sites) for sites in combinations(range(n_sites), up)])
    diagonal = np.zeros(len(states))
    rows, columns, values = [], [], []
    for (i, j), coupling in bonds.items():
        differ = (states >> i & 1) != (states >> j & 1)
        diagonal += np.where(differ, -coupling / 4, coupling / 4)
        here = np.flatnonzero(differ)
        rows.append(here)
        columns.append(np.searchsorted(states, states[here] ^ ((1 << i) | (1 << j))))
        values.append(np.full(len(here), coupling / 2))
    everywhere = np.arange(len(states))
    parts = [
        np.concatenate([*part, last]) for part, last in ((values, diagonal), (rows, everywhere), (columns, everywhere))
    ]
    matrix = coo_matrix((parts[0], (parts[1], parts[2])), shape=(len(states),) * 2).tocsr()
    if len(states) < 100:
        return float(np.linalg.eigvalsh(matrix.toarray())[0])
    start = np.random.default_rng(0).normal(size=len(states))
    return float(eigsh(matrix, 1, which="SA", v0=start)[0][0])
