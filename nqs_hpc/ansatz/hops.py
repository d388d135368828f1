"""Moves of fermions: the modes that they leave and come to, and the sign of sorting them."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from nqs_hpc.types import Move

PAD = 2**30  # beyond all modes


class Hops(NamedTuple):
    """A move as h fermions that go from modes to modes; of pads both are mode 0."""

    origin_h: Array  # int32
    to_h: Array
    real_h: Array  # bool: False of pads
    keeps: Array  # bool: as many fermions appear as disappear


def hops_of(move: Move) -> Hops:
    """The modes that are emptied and those that are filled, both ascending, so that a pair lies in one block."""
    h = move.sites.shape[0] // 2
    leaves, comes = move.deltas < 0, move.deltas > 0
    n_leave = jnp.sum(leaves)

    def modes(here: Array) -> Array:
        if h == 1:
            return jnp.sum(jnp.where(here, move.sites, 0), keepdims=True, dtype=jnp.int32)
        return jnp.sort(jnp.where(here, move.sites, PAD))[:h] % PAD

    return Hops(modes(leaves), modes(comes), jnp.arange(h) < n_leave, n_leave == jnp.sum(comes))


def below(s_N: Array) -> Array:
    """How many fermions are in the modes before each: (N,) int32."""
    return jnp.cumsum(s_N, dtype=jnp.int32) - s_N


def inversions(hops: Hops, below_N: Array) -> Array:
    """How many exchanges of neighbours sort the modes when each fermion stands where it stood before its hop."""
    low, high = jnp.minimum(hops.origin_h, hops.to_h), jnp.maximum(hops.origin_h, hops.to_h)
    between = below_N[high] - below_N[low] - (hops.origin_h < hops.to_h)  # fermions strictly between
    # of which those that leave too do not count
    gone_hh = (low[:, None] < hops.origin_h[None, :]) & (hops.origin_h[None, :] < high[:, None])
    gone_hh = gone_hh & hops.real_h[:, None] & hops.real_h[None, :]
    return jnp.sum(jnp.where(hops.real_h, between, 0)) - jnp.sum(gone_hh)
