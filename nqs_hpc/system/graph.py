"""Graphs of sites."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def connected(n_sites: int, pairs: NDArray[np.int32]) -> bool:
    """Whether the pairs (n, 2) join all sites."""
    part = np.arange(n_sites)  # the lowest site known to be connected to each
    while True:
        new = part.copy()
        for a, b in (pairs.T, pairs.T[::-1]):
            np.minimum.at(new, a, part[b])
        new = new[new]
        if np.array_equal(new, part):
            return bool(np.all(part == 0))
        part = new


def signed_colouring(n_sites: int, pairs: Iterable[tuple[int, int]], signs: Iterable[float]) -> NDArray[np.int8] | None:
    """c (N,) of +1 and -1 such that c_i c_j has the sign of each pair; None if there is none.

    The first site of every connected part is +1, and so is a site without a pair.
    """
    adjacent: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for (i, j), sign in zip(pairs, signs, strict=True):
        same = 1 if sign > 0 else -1
        adjacent[i].append((j, same))
        adjacent[j].append((i, same))
    colour = np.zeros(n_sites, dtype=np.int8)
    for first in range(n_sites):
        if colour[first]:
            continue
        colour[first], stack = 1, [first]
        while stack:
            i = stack.pop()
            for j, same in adjacent[i]:
                wanted = colour[i] * same
                if not colour[j]:
                    colour[j] = wanted
                    stack.append(j)
                elif colour[j] != wanted:
                    return None
    return colour
