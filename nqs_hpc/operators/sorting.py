"""The sign of sorting occupied modes, of all elements of a group at once, inside compiled programs (`system.exchange`).

With I_i the mask of the modes that g carries from behind mode i to before it, and B_i that of all modes whose order
with i it changes, the parity of s is

    q(s) = |(XOR_{i in s} I_i) AND s|,     q(s') = q(s) + |(XOR_{f in m} B_f) AND s| + |(XOR_{f in m} I_f) AND m|

modulo 2, for s' in which the modes m are changed. For G elements and N modes in W = N / 32 words a state costs G N W
operations on words, a move of F modes G F W.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.system.exchange import BITS, masks
from nqs_hpc.types import Move


class Sorting(NamedTuple):
    """The masks of the elements of a group, (G, N, W) uint32."""

    later: NDArray[np.uint32]  # I
    either: NDArray[np.uint32]  # B


def sorting(perms: NDArray[np.integer]) -> Sorting:
    """Of permutations (G, N) of the modes."""
    return Sorting(masks(perms), masks(perms, both=True))


def words(s_N: Array) -> Array:
    """(W,) uint32 the occupied modes as bits; an odd number counts as occupied."""
    n_words = -(-s_N.shape[0] // BITS)
    bits = jnp.pad((s_N & 1).astype(jnp.uint32), (0, n_words * BITS - s_N.shape[0])).reshape(n_words, BITS)
    return jnp.sum(bits << jnp.arange(BITS, dtype=jnp.uint32)[None, :], axis=1, dtype=jnp.uint32)


def parity(later_GNW: Array, s_N: Array) -> Array:
    """(G,) bool whether the sign of each element is -1; without the axis G for one element."""
    is_occupied_N1 = jnp.expand_dims((s_N & 1).astype(bool), (*range(later_GNW.ndim - 2), -1))
    return _has_odd(_xor(jnp.where(is_occupied_N1, later_GNW, jnp.uint32(0))), words(s_N))


def change_of_parity(of: Sorting, s_N: Array, move: Move) -> Array:
    """(G,) bool whether a move changes the sign of each element."""
    is_changed_F = (move.deltas & 1).astype(bool)
    moved_N = jnp.zeros_like(s_N).at[move.sites].add(move.deltas.astype(s_N.dtype))

    def of_moved(masks_GNW: NDArray[np.uint32]) -> Array:
        rows = jnp.asarray(masks_GNW)[:, move.sites]
        return _xor(jnp.where(is_changed_F[None, :, None], rows, jnp.uint32(0)))

    return _has_odd(of_moved(of.either), words(s_N)) ^ _has_odd(of_moved(of.later), words(moved_N))


def _xor(masks: Array) -> Array:
    """Of masks (..., N, W) over N."""
    return jax.lax.reduce(masks, jnp.uint32(0), jax.lax.bitwise_xor, (masks.ndim - 2,))


def _has_odd(masks: Array, words_W: Array) -> Array:
    """Of masks (..., W): whether an odd number of their bits is among ``words_W``."""
    common = masks & jnp.broadcast_to(words_W, masks.shape)
    return jnp.sum(jax.lax.population_count(common), axis=-1, dtype=jnp.uint32) % 2 == 1
