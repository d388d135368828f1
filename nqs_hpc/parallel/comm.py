"""Collectives inside jit, over mpi4jax, and a serial twin with the same interface.

The only file that imports mpi4jax. Every function is called under jit, by every rank in the same order; never under
`vmap`, `grad` or a condition that ranks may answer differently. The host side (`world.py`) talks on a duplicate of
COMM_WORLD, so that the two never meet. Called eagerly a collective would compile again each time: this package never
does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.world import World

# MPI counts are C ints, and mpi4jax casts to them unchecked: longer buffers go in pieces.
MAX_ELEMENTS = 2**31 - 1


class Comm(NamedTuple):
    """Reductions over ranks of arrays whose shapes agree; results are equal on all ranks but for `all_to_all`."""

    rank: int
    size: int
    sum: Callable[[Array], Array]
    max: Callable[[Array], Array]
    gather: Callable[[Array], Array]  # (...) -> (R, ...), in rank order
    all_to_all: Callable[[Array], Array]  # (R, ...) -> (R, ...): entry r goes to rank r, entry q came from rank q


def comm(world: World) -> Comm:
    """The collectives of this job: over MPI, or for a single rank identities that XLA removes."""
    if world.size == 1:
        return serial()

    import mpi4jax

    channel, mpi_sum, mpi_max = world.mpi.COMM_WORLD, world.mpi.SUM, world.mpi.MAX

    def reduce_pieces(x: Array, op) -> Array:
        if x.size <= MAX_ELEMENTS:
            return mpi4jax.allreduce(x, op=op, comm=channel)
        pieces = jnp.split(x.ravel(), list(range(MAX_ELEMENTS, x.size, MAX_ELEMENTS)))
        return jnp.concatenate([mpi4jax.allreduce(piece, op=op, comm=channel) for piece in pieces]).reshape(x.shape)

    def all_to_all(x: Array) -> Array:
        limit = MAX_ELEMENTS // world.size
        row = math.prod(x.shape[1:])
        if row <= limit:
            return mpi4jax.alltoall(x, comm=channel)
        pieces = jnp.split(x.reshape(world.size, row), list(range(limit, row, limit)), axis=1)
        return jnp.concatenate([mpi4jax.alltoall(piece, comm=channel) for piece in pieces], axis=1).reshape(x.shape)

    def gather(x: Array) -> Array:
        limit = MAX_ELEMENTS // world.size
        if x.size <= limit:
            return mpi4jax.allgather(x, comm=channel)
        pieces = jnp.split(x.ravel(), list(range(limit, x.size, limit)))
        whole = jnp.concatenate([mpi4jax.allgather(piece, comm=channel) for piece in pieces], axis=1)
        return whole.reshape(world.size, *x.shape)

    return Comm(
        rank=world.rank,
        size=world.size,
        sum=lambda x: reduce_pieces(x, mpi_sum),
        max=lambda x: reduce_pieces(x, mpi_max),
        gather=gather,
        all_to_all=all_to_all,
    )


def serial() -> Comm:
    """The collectives of a process that computes alone, whether or not it is one of many."""
    return Comm(rank=0, size=1, sum=_same, max=_same, gather=lambda x: x[None], all_to_all=_same)


def _same(x: Array) -> Array:
    return x
