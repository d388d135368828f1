"""The rows of a square matrix over ranks, block by block: block k lies on rank k mod R.

Until the end of a factorisation every rank has rows to work on, unlike with one contiguous piece per rank. This is the
one-dimensional block-cyclic distribution of ScaLAPACK (Blackford et al. 1997, doi:10.1137/1.9780898719642). All ranks
hold the same number of blocks: rows beyond the last are padding, 0 and never read.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

# Rows of a block: enough for fast products of blocks, but so few that each rank has at least EACH blocks.
LARGEST, SMALLEST = 256, 8
EACH = 8


class Layout(NamedTuple):
    """Where the rows of a matrix lie; it follows from sizes only, so it is the same on every rank."""

    n: int  # rows of the matrix
    size: int  # ranks
    block: int  # rows of a block

    @property
    def n_blocks(self) -> int:
        """Blocks of one rank."""
        return -(-self.n // (self.block * self.size))

    @property
    def local(self) -> int:
        """Rows of one rank."""
        return self.n_blocks * self.block

    @property
    def padded(self) -> int:
        """Rows of all ranks, with padding."""
        return self.local * self.size

    def rows(self, rank: Array) -> Array:
        """(local,) int32: the numbers of a rank's rows in the matrix, ``n`` and above for padding."""
        here = jnp.arange(self.local, dtype=jnp.int32)
        return (here // self.block * self.size + rank) * self.block + here % self.block

    def in_order(self, parts: Array) -> Array:
        """(R * m, ...) from parts (R, m, ...) of all ranks in rank order: some blocks of each, one after the other."""
        size, m, rest = parts.shape[0], parts.shape[1], parts.shape[2:]
        shaped = parts.reshape(size, m // self.block, self.block, *rest)
        return jnp.swapaxes(shaped, 0, 1).reshape(size * m, *rest)

    def pad(self, x: Array) -> Array:
        """(n, ...) -> (padded, ...), with 0 as padding."""
        return jnp.pad(x, ((0, self.padded - self.n), *((0, 0),) * (x.ndim - 1)))


def layout(n: int, size: int) -> Layout:
    """The layout of ``n`` rows over ``size`` ranks, in blocks of a power of two."""
    block = SMALLEST
    while block < LARGEST and 2 * block * EACH * size <= n:
        block *= 2
    return Layout(n, size, block)
