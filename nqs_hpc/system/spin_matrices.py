"""Matrices of one spin and of two spins of length S, in the basis of descending m: digit d is m = S - d."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def projections(two_s: int) -> NDArray[np.float64]:
    """m from S down to -S."""
    return (two_s - 2 * np.arange(two_s + 1)) / 2


def plus(two_s: int) -> NDArray[np.float64]:
    """S+ of one spin."""
    s, m = two_s / 2, projections(two_s)
    return np.diag(np.sqrt(s * (s + 1) - m[1:] * (m[1:] + 1)), 1)  # <m+1|S+|m>


def site_matrix(two_s: int, D: float, E: float, h: float) -> NDArray[np.float64]:
    """D (Sz)^2 + E ((Sx)^2 - (Sy)^2) - h Sz of one spin."""
    m, up = projections(two_s), plus(two_s)
    return np.asarray(np.diag(D * m**2 - h * m) + E / 2 * (up @ up + up.T @ up.T))


def bond_matrix(two_s: int, J: float, Q: float = 0.0, delta: float = 1.0) -> NDArray[np.float64]:
    """J (Sx_i Sx_j + Sy_i Sy_j + delta Sz_i Sz_j) + Q (S_i . S_j)^2 of two spins; the row d digit_i + digit_j."""
    z, up = np.diag(projections(two_s)), plus(two_s)
    zz, xy = np.kron(z, z), (np.kron(up, up.T) + np.kron(up.T, up)) / 2
    return np.asarray(J * (xy + delta * zz) + Q * (xy + zz) @ (xy + zz))


def raising(two: NDArray[np.float64], d: int, t: int) -> NDArray[np.float64]:
    """<a, b|h|a', b'> of two spins with the digits a' = a - t and b' = b + t, for each (a, b): (d, d); NaN if there is
    no such state. Elements within rounding of 0 are 0.
    """
    found = np.full((d, d), np.nan)
    for a in range(max(0, t), min(d, d + t)):
        for b in range(max(0, -t), min(d, d - t)):
            found[a, b] = two[d * a + b, d * (a - t) + b + t]
    found[np.abs(found) < 1e-14 * np.abs(two).max()] = 0
    return found


def signs_of_steps(two: NDArray[np.float64], d: int) -> dict[int, frozenset[int]]:
    """The signs of the elements, -1, 0 or 1, by the increase of m of one spin (and decrease of the other)."""
    return {t: frozenset(np.sign(x[~np.isnan(x)]).astype(int)) for t in range(1, d) for x in (raising(two, d, t),)}
