"""Weighted means with their variance and standard error.

The values of all ranks, a few thousand per step, are gathered before they are averaged. So every rank computes the same
bits in the global order of chains, for any number of ranks. Second moments are centred: with E = -300 the one-pass
formula E[x^2] - E[x]^2 loses ten digits.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.types import Estimate, Groups


def estimate(values_A: Array, w_A: Array, chain_length: int, weighted: bool = False) -> Estimate:
    """Mean ``sum w x``, variance ``sum w |x - mean|^2`` and error of the mean, from gathered values and weights.

    ``chain_length`` > 0: samples are ordered by chain, and the error is that of the mean of independent chain means,
    ``sqrt(sum_c (m_c - m)^2 / (n (n - 1)))``, which holds for any correlation inside a chain; it needs at least two
    chains, else it is NaN. 0: an exact sum, error 0. ``weighted``: weights that differ from sample to sample. Then the
    mean is a quotient of sums, and (m_c - m) / n is replaced by d_c = sum of w (x - m) over the chain: ``sqrt(n / (n -
    1) sum_c |d_c|^2)`` (Cochran 1977, "Sampling techniques", section 6.4).
    """
    mean = jnp.sum(w_A * values_A)
    variance = jnp.sum(w_A * jnp.abs(values_A - mean) ** 2)
    if chain_length == 0:
        return Estimate(mean, jnp.zeros_like(variance), variance)
    n_chains = values_A.shape[0] // chain_length
    if weighted:
        apart_C = jnp.sum((w_A * (values_A - mean)).reshape(n_chains, chain_length), axis=1)
        spread = jnp.sum(jnp.abs(apart_C) ** 2)
        error = jnp.sqrt(spread * n_chains / (n_chains - 1)) if n_chains > 1 else jnp.full_like(variance, jnp.nan)
        return Estimate(mean, error, variance)
    means_C = jnp.mean(values_A.reshape(n_chains, chain_length), axis=1)
    spread = jnp.sum(jnp.abs(means_C - mean) ** 2)
    # Without chains to compare the error is unknown: NaN, which the logs show as null.
    error = jnp.sqrt(spread / (n_chains * (n_chains - 1))) if n_chains > 1 else jnp.full_like(variance, jnp.nan)
    return Estimate(mean, error, variance)


def of_each(values_A: Array, w_A: Array, chain_length: int, groups: Groups) -> tuple[Estimate, Estimate]:
    """For samples of several wave functions the estimate of each, (K,), and that of the mean (1/K) sum_k of their
    means; its variance is the mean of their variances.
    """
    values, w = groups.split(values_A), groups.n * groups.split(w_A)
    each = jax.vmap(lambda values_a, w_a: estimate(values_a, w_a, chain_length))(values, w)
    return each, mean_of(each)


def mean_of(each: Estimate) -> Estimate:
    """The estimate of the mean of K independent estimates."""
    error = jnp.sqrt(jnp.sum(each.error**2)) / len(each.error)
    return Estimate(jnp.mean(each.mean), error, jnp.mean(each.variance))
