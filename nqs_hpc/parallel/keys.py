"""Random keys that know no ranks: counters of (seed, step, stage, purpose, chain).

A chain draws the same numbers wherever it runs, so a run is the same at any rank count, and nothing of the random state
needs saving: a resumed step derives the keys it would have had. Salmon et al. 2011, "Parallel random numbers: as easy as
1, 2, 3" (doi:10.1145/2063384.2063405), implemented by jax as threefry.
"""

from __future__ import annotations

from enum import IntEnum

import jax
from jax import Array


class Purpose(IntEnum):
    """What a stream of random numbers is for; streams of different purposes are independent. Values never change."""

    PARAMETERS = 0
    CHAINS = 1
    SAMPLE = 2
    FINAL_CHAINS = 3
    FINAL_SAMPLE = 4


def purpose_key(seed: int, purpose: Purpose, step: Array | int = 0, stage: int = 0) -> Array:
    """The key of one use in one step; ``stage`` counts the evaluations inside a step (of an integrator, say)."""
    key = jax.random.key(seed)
    for counter in (step, stage, int(purpose)):
        key = jax.random.fold_in(key, counter)
    return key


def chain_keys(key: Array, chain_C: Array) -> Array:
    """(C,) keys from the global indices of this rank's chains."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, chain_C)
