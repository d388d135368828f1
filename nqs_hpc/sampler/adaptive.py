"""The number of proposals between two samples of a chain, after how alike their energies are.

The correlation of consecutive samples is estimated from the local energies x of one step, of all chains together around
their common mean, so that chains of two samples are enough:

    rho = <x_l x_{l+1}> / <x_l^2>.

Then log sweep goes on by GAIN (rho - TARGET), at most by GAIN. The noise of rho adds up to no drift: around the goal
the slope of rho against log sweep is that of exp(-sweep / t), rho log rho, so log sweep fluctuates by about
sqrt(GAIN / (2 |rho log rho|)) times the error of rho, which is 1 / sqrt(number of samples): 3 % from a thousand. At
rho = 0.1 the autocorrelation time (1 + rho) / (1 - rho) of such a chain is 1.2 samples.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

GAIN = 0.5
TARGET = 0.1


class Bounds(NamedTuple):
    """Of the number of proposals between two samples."""

    least: int
    most: int


def correlation(x_CL: Array) -> Array:
    """rho of samples (chains, L), L > 1, of their real parts; NaN where all are equal or one is not finite."""
    x_CL = jnp.real(x_CL)
    x_CL = x_CL - jnp.mean(x_CL)
    return jnp.mean(x_CL[:, 1:] * x_CL[:, :-1]) / jnp.mean(x_CL**2)


def stretched(sweep_C: Array, x_CL: Array, bounds: Bounds) -> Array:
    """The number of proposals (float64) after a step with local energies ``x_CL`` of all chains; as it was where these
    have no correlation.
    """
    rho = correlation(x_CL)
    step = jnp.where(jnp.isfinite(rho), GAIN * (rho - TARGET), 0.0)
    return jnp.clip(sweep_C * jnp.exp(jnp.clip(step, -GAIN, GAIN)), bounds.least, bounds.most)


def proposals(sweep_C: Array) -> Array:
    """The whole number (int32) of proposals that a number such as 12.7 stands for."""
    return jnp.rint(sweep_C[0]).astype(jnp.int32)
