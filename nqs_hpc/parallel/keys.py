"""Random numbers that do not depend on the ranks: functions of (seed, purpose, step, stage, chain, index).

A chain draws the same numbers on any rank, so a run does not depend on the rank count, and no random state needs
saving: a resumed step draws what it would have drawn. The block cipher is threefry2x32 (Salmon et al. 2011, "Parallel
random numbers: as easy as 1, 2, 3", doi:10.1145/2063384.2063405): its key holds what all chains share, its counter the
chain and the index. One call of the cipher makes two words. A program contains one copy of it for each call of `words`,
and XLA takes a third of a second to compile each.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum

import jax.numpy as jnp
import numpy as np
from jax import Array


class Purpose(IntEnum):
    """The purpose of a stream of random numbers; streams of different purposes are independent. Values never change."""

    PARAMETERS = 0
    CHAINS = 1
    WARMUP = 2
    SAMPLE = 3
    FINAL_CHAINS = 4
    FINAL_WARMUP = 5
    FINAL_SAMPLE = 6
    LIBRARY_CHAINS = 7  # a notebook uses other random numbers than training and final evaluation
    LIBRARY_WARMUP = 8
    LIBRARY_SAMPLE = 9


def own_purpose(name: str) -> int:
    """The number of a purpose named by a task, "evaluate: chains" say; it differs from all those of `Purpose`."""
    return 2**16 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


def purpose_key(seed: int, purpose: int, step: int = 0, stage: int = 0) -> np.ndarray:
    """(2,) uint32, the key of one use in one step; ``stage`` counts the uses inside a step.

    Computed on the host, the same on all ranks, by NumPy's SeedSequence, whose results are the same in all versions of
    NumPy.
    """
    return np.random.SeedSequence([seed, int(purpose), step, stage]).generate_state(2, np.uint32)


def words(key: Array, chain: Array, index: Array, n: int) -> Array:
    """(n,) uint32 of one chain (its global number): block ``index`` of blocks of n words. Wraps after 2^33 words."""
    calls = -(-n // 2)
    low = jnp.asarray(index, jnp.uint32) * jnp.uint32(calls) + jnp.arange(calls, dtype=jnp.uint32)
    high = jnp.full(calls, jnp.asarray(chain, jnp.uint32))
    return jnp.concatenate(threefry(key, high, low))[:n]


def branch(key: Array, number: int) -> Array:
    """(2,) uint32, another key derived from ``key``, for random numbers of a sampler besides those of its chains, which
    do not change. ``number``: at most 2^32 - 2, larger than the number of any chain, different for each use.
    """
    return words(key, jnp.uint32(number), jnp.uint32(0), 2)


def threefry(key: Array, x0: Array, x1: Array) -> tuple[Array, Array]:
    """threefry2x32 of the counters (x0, x1), bit for bit as `jax.extend.random.threefry_2x32`.

    Written out, because XLA takes 1.5 times as long to compile jax's loops and runs them a third slower.
    """
    k = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    x0, x1 = x0 + k[0], x1 + k[1]
    for i in range(5):
        for r in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            x0 = x0 + x1
            x1 = x0 ^ (x1 << r | x1 >> (32 - r))
        x0, x1 = x0 + k[(i + 1) % 3], x1 + k[(i + 2) % 3] + jnp.uint32(i + 1)
    return x0, x1
