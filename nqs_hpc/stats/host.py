"""`stats.estimate` on the host, for a growing number of values: jax would compile a program for each number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class HostEstimate(NamedTuple):
    mean: complex
    error: float  # 0 for exact sums, NaN for a single chain
    variance: float


def host_estimate(values_A: np.ndarray, w_A: np.ndarray, chain_length: int) -> HostEstimate:
    """As `stats.estimate.estimate`, also for weights that differ from sample to sample."""
    mean = complex(np.sum(w_A * values_A))
    variance = float(np.sum(w_A * np.abs(values_A - mean) ** 2))
    if chain_length == 0:
        return HostEstimate(mean, 0.0, variance)
    n_chains = len(values_A) // chain_length
    if n_chains == 1:
        return HostEstimate(mean, float("nan"), variance)
    if np.ptp(w_A) > 0:  # quotients of sums: the weight of a chain fluctuates too
        w_C = w_A.reshape(n_chains, chain_length).sum(axis=1)
        apart_C = (w_A * (values_A - mean)).reshape(n_chains, chain_length).sum(axis=1) / w_C.sum()
        return HostEstimate(mean, float(np.sqrt(np.sum(np.abs(apart_C) ** 2) * n_chains / (n_chains - 1))), variance)
    means_C = values_A.reshape(n_chains, chain_length).mean(axis=1)
    spread = float(np.sum(np.abs(means_C - mean) ** 2))
    return HostEstimate(mean, float(np.sqrt(spread / (n_chains * (n_chains - 1)))), variance)
