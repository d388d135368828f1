"""Crossings of the curves of two sizes: for Binder cumulants an estimate of the critical coupling.

At a continuous transition the Binder cumulant depends only on (g - g_c) L^(1/nu), up to corrections that vanish for
large sizes, so the curves of all sizes meet at g_c (K. Binder, Z. Phys. B 43, 119 (1981), doi:10.1007/BF01293604).

We form the difference of two curves at the couplings of both, with linear interpolation between points. Its zero is
found twice: by a straight line between the two neighbours of the sign change, and by a parabola through the four points
around it (weighted least squares). The result is that of the parabola. Its statistical error is half the width of the
central 68 % of the zeros when all points are drawn many times from their error bars; the distance between the two
zeros, a measure of the interpolation error, is added in quadrature. The error does not include the variational error or
the drift of the crossing with size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DRAWS = 400
SEED = 20260101  # of the draws, so that the same points always give the same error
CLEAR = 2.0  # standard errors by which the curves have to differ on both sides
LEAST_FOUND = 0.95  # fraction of the draws that have to cross


class Points(NamedTuple):
    """One curve: couplings in ascending order, each once."""

    x: np.ndarray
    y: np.ndarray
    error: np.ndarray


class Crossing(NamedTuple):
    """The crossing of two curves."""

    x: float
    error: float
    y: float  # the value of the curves there


def crossing(first: Points, second: Points) -> Crossing | None:
    """The crossing of two curves; None if there is none, or it is not clear within their errors."""
    low, high = max(first.x[0], second.x[0]), min(first.x[-1], second.x[-1])
    x_X = np.unique(np.concatenate([first.x, second.x]))
    x_X = x_X[(x_X >= low) & (x_X <= high)]
    if len(x_X) < 2:
        return None
    w_X, of_X = _error(first, x_X) ** 2, _error(second, x_X) ** 2
    error_X = np.sqrt(w_X + of_X)
    difference_X = np.interp(x_X, second.x, second.y) - np.interp(x_X, first.x, first.y)
    place = _change(difference_X, error_X)
    if place is None:
        return None
    straight, curved = _zeros(x_X, difference_X, error_X, place)
    rng = np.random.default_rng(SEED)
    zeros = []
    for _ in range(DRAWS):
        ours, theirs = (one.y + one.error * rng.standard_normal(len(one.y)) for one in (first, second))
        drawn_X = np.interp(x_X, second.x, theirs) - np.interp(x_X, first.x, ours)
        at = _change(drawn_X, error_X)
        if at is not None:
            zeros.append(_zeros(x_X, drawn_X, error_X, at)[1])
    if len(zeros) < LEAST_FOUND * DRAWS:
        return None
    lower, upper = np.percentile(zeros, [15.87, 84.13])
    error = float(np.hypot((upper - lower) / 2, curved - straight))
    heights = [float(np.interp(curved, one.x, one.y)) for one in (first, second)]
    return Crossing(curved, error, sum(heights) / 2)


def _error(one: Points, x_X: np.ndarray) -> np.ndarray:
    """The error of a curve at couplings between its points, by linear interpolation."""
    right = np.clip(np.searchsorted(one.x, x_X), 1, len(one.x) - 1)
    left = right - 1
    share = (x_X - one.x[left]) / (one.x[right] - one.x[left])
    return np.hypot((1 - share) * one.error[left], share * one.error[right])


def _change(difference_X: np.ndarray, error_X: np.ndarray) -> int | None:
    """The point after which the difference changes its sign; of several, the one that fits most points; None if there
    is no clear change.

    Deep in a phase the curves of all sizes agree, and the sign of their difference is noise.
    """
    z_X = np.clip(difference_X / np.where(error_X > 0, error_X, np.inf), -5, 5)
    z_X = np.where(error_X > 0, z_X, 5 * np.sign(difference_X))
    best, most = None, 0.0
    for k in range(len(z_X) - 1):
        sign = np.sign(difference_X[k + 1] - difference_X[k])
        if difference_X[k] * difference_X[k + 1] > 0 or sign == 0:
            continue
        before, after = -sign * z_X[: k + 1], sign * z_X[k + 1 :]
        if max(before) >= CLEAR and max(after) >= CLEAR and (fits := float(before.sum() + after.sum())) > most:
            best, most = k, fits
    return best


def _zeros(x_X: np.ndarray, difference_X: np.ndarray, error_X: np.ndarray, place: int) -> tuple[float, float]:
    """The zero between ``place`` and the next point: by a straight line, and by a parabola if there are more points."""
    (left, right), (below, above) = x_X[place : place + 2], difference_X[place : place + 2]
    straight = float(left - below * (right - left) / (above - below))
    near = slice(max(0, place - 1), place + 3)
    x, y, sigma = x_X[near] - straight, difference_X[near], error_X[near]
    if len(x) < 3:
        return straight, straight
    weights = 1 / sigma**2 if (sigma > 0).all() else np.ones_like(x)
    width = float(np.abs(x).max())
    powers = np.vander(x / width, 3)
    a, b, c = np.linalg.solve((powers.T * weights) @ powers, powers.T @ (weights * y)).tolist()
    if b * b < 4 * a * c:
        return straight, straight
    root = (b * b - 4 * a * c) ** 0.5
    larger = -(b + (root if b >= 0 else -root)) / 2  # the other sign would cancel
    roots = [straight + width * found for found in (larger / a if a else 0.0, c / larger if larger else 0.0)]
    near_by = [root for root in roots if x_X[near][0] <= root <= x_X[near][-1]]
    curved = min(near_by, key=lambda root: abs(root - straight), default=straight)
    return straight, curved
