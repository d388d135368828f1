"""Diagnostics of the local energies of chains: tails, chains that do not move, the length of a chain in units of tau.

On the host, in NumPy, from gathered local energies chain by chain.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nqs_hpc.stats.chains import ROUNDING, SHORTEST, autocorrelation_time, linearised


class Tails(NamedTuple):
    """Of local energies x with weights w and mean m; None if nothing varies, or the values are not finite."""

    kurtosis: float | None  # sum w (x - m)^4 / (sum w (x - m)^2)^2; 3 for a normal distribution
    largest: float | None  # the fraction of the variance in the largest deviation
    standing: float | None  # the fraction of chains that do not move; None without chains
    n_samples: int
    length_over_tau: float | None  # None below 16 samples per chain


def tails(values_A: np.ndarray, w_A: np.ndarray, chain_length: int, *, independent: bool = False) -> Tails:
    """The diagnostics of real parts (A,), ordered by chain. ``chain_length`` is 0 for exact sums, ``independent`` is
    set without chains. If weights differ, the series `chains.linearised` is used.

    A chain counts as not moving if all its values are equal up to rounding, unless they equal the most frequent value
    of such chains: if nearly all of |psi|^2 lies on states of one local energy, a chain that stays there is correct.
    """
    x_A = np.real(values_A)
    if chain_length and np.ptp(w_A) > 0:  # the series whose plain mean fluctuates like the weighted mean
        x_A, w_A = linearised(x_A, w_A), np.full(len(w_A), 1.0 / len(w_A))
    if not np.all(np.isfinite(x_A)):
        return Tails(None, None, None, len(x_A), None)
    share_A = w_A * (x_A - np.sum(w_A * x_A)) ** 2
    variance, scale = float(np.sum(share_A)), float(np.max(np.abs(x_A), initial=0.0))
    kurtosis = largest = None
    if variance > (ROUNDING * scale) ** 2:
        fourth = float(np.sum(np.where(w_A > 0, share_A**2 / np.where(w_A > 0, w_A, 1.0), 0.0)))
        kurtosis, largest = fourth / variance**2, float(share_A.max()) / variance
    if chain_length == 0 or independent:
        return Tails(kurtosis, largest, None, len(x_A), None)
    x_CL = x_A.reshape(-1, chain_length)
    long = chain_length >= SHORTEST
    tau = autocorrelation_time(x_CL) if long and kurtosis is not None else math.nan
    length_over_tau = chain_length / max(tau, 1.0) if math.isfinite(tau) else None
    return Tails(kurtosis, largest, standing(x_CL) if long else None, len(x_A), length_over_tau)


def standing(x_CL: np.ndarray) -> float:
    """The fraction of chains whose values are all equal, but differ from the value of most such chains."""
    tolerance = ROUNDING * max(float(np.max(np.abs(x_CL))), 1e-300)
    still_C = np.ptp(x_CL, axis=1) <= tolerance
    if not still_C.any():
        return 0.0
    places = np.sort(x_CL[still_C, 0])
    group = np.concatenate([[0], np.cumsum(np.diff(places) > 10 * tolerance)])
    most = int(np.bincount(group).max())
    return float(still_C.sum() - most) / len(x_CL)
