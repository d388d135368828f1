"""Shells of neighbours among measured positions: which distances count as equal.

Positions have a few decimals, or are measured, so the distances of a shell scatter: 0.99998, 1, 1.00006 on a triangular
lattice with four decimals. Successive sorted distances belong to the same shell if their relative difference is at most
a tolerance. Two shells must differ by twice the tolerance, and a shell must not be wider: otherwise only the tolerance
would decide which bonds an order has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.005  # relative; coordinates with three decimals scatter the distance 1 by 0.0014


def by_distance(positions_ND: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """All pairs (P, 2) of positions, i < j, and their distances (P,), nearest first."""
    first, second = np.triu_indices(len(positions_ND), 1)
    lengths = np.linalg.norm(positions_ND[second] - positions_ND[first], axis=1)
    order = np.argsort(lengths, kind="stable")
    return np.stack([first[order], second[order]], axis=1).astype(np.int32), lengths[order]


def shell(
    positions_ND: NDArray[np.float64], order: int, tolerance: float
) -> tuple[NDArray[np.int32], tuple[float, float]]:
    """The bonds (n, 2) of neighbours of ``order``, sorted, with the least and the largest of their distances.

    ``tolerance`` is relative. ValueError if there are fewer shells, or one of the first ``order`` shells is not clearly
    separated from the next.
    """
    pairs, lengths = by_distance(positions_ND)
    steps = np.diff(lengths) / lengths[:-1]
    ends = np.append(np.nonzero(steps > tolerance)[0] + 1, len(lengths))
    if order > len(ends):
        raise ValueError(
            f"neighbour order {order}: no bonds on points, which has orders 1-{len(ends)}, the largest {len(ends)}"
        )
    start = 0
    for number, end in enumerate(ends[:order].tolist(), start=1):
        low, high = float(lengths[start]), float(lengths[end - 1])
        remedy = f"lattice.tolerance={tolerance:g} says up to which relative difference two distances are the same"
        if high > low * (1 + 2 * tolerance):
            raise ValueError(
                f"neighbour order {order}: the distances from {low:.6g} to {high:.6g} run into each other, so whether "
                f"they are one shell is not clear; {remedy}"
            )
        if end < len(lengths) and steps[end - 1] <= 2 * tolerance:
            raise ValueError(
                f"neighbour order {order}: shells {number} and {number + 1} are closer than {2 * tolerance:.3g} of "
                f"their distances, {high:.6g} and {float(lengths[end]):.6g}; {remedy}"
            )
        if number < order:
            start = end
    return np.unique(pairs[start : int(ends[order - 1])], axis=0), (low, high)
