"""The possible totals of sites with given local values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def even_step(values: Sequence[int]) -> int | None:
    """The spacing of evenly spaced local values, None if they are not, or there is only one."""
    ordered = sorted(values)
    steps = {b - a for a, b in pairwise(ordered)}
    return steps.pop() if len(steps) == 1 else None


def reachable(values: Sequence[int], n_sites: int) -> list[int]:
    """For each number of sites from 0 to ``n_sites`` the totals they can have: bit k for k above their lowest one."""
    low = min(values)
    sets = [1]
    for _ in range(n_sites):
        bits = 0
        for v in values:
            bits |= sets[-1] << (v - low)
        sets.append(bits)
    return sets


def has_total(sets: list[int], values: Sequence[int], sites: int, total: int) -> bool:
    """Whether ``sites`` of the sites of `reachable` can have ``total``."""
    k = total - min(values) * sites
    return k >= 0 and bool(sets[sites] >> k & 1)
