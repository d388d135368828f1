"""A running mean of the parameters, which a final evaluation takes in their place (Polyak & Juditsky 1992)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.tasks.trees import choose
from nqs_hpc.types import Tree


class Average(NamedTuple):
    """An exponential running mean of the parameters; ``weight`` is the sum of the weights so far, at most 1."""

    params: Tree
    weight: Array


def empty(params: Tree) -> Average:
    return Average(jax.tree.map(jnp.zeros_like, params), jnp.float64(0.0))


def moved(mean: Average, params: Tree, decay: float) -> Average:
    """With ``params`` counted in."""
    fresh = 1 - decay
    return Average(jax.tree.map(lambda m, p: decay * m + fresh * p, mean.params, params), decay * mean.weight + fresh)


def averaged(params: Tree, mean: Average | None) -> Tree:
    """The running mean of the parameters if there is one, else the parameters."""
    if mean is None:
        return params
    # before the first good step the mean is empty
    return choose(mean.weight > 0, jax.tree.map(lambda m: m / jnp.maximum(mean.weight, 1e-300), mean.params), params)
