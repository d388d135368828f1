"""Graphs of sites."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def connected(n_sites: int, pairs: NDArray[np.int32]) -> bool:
    """Whether the pairs (n, 2) join all sites."""
    part = np.arange(n_sites)  # the lowest site that each is known to be joined to
    while True:
        new = part.copy()
        for a, b in (pairs.T, pairs.T[::-1]):
            np.minimum.at(new, a, part[b])
        new = new[new]
        if np.array_equal(new, part):
            return bool(np.all(part == 0))
        part = new
