"""Collectives inside jit, over mpi4jax, and a serial version with the same interface.

Only this file imports mpi4jax. Call every function under jit, on every rank in the same order; never under `vmap`,
`grad` or a condition that may differ between ranks. The host side (`world.py`) uses a duplicate of COMM_WORLD, so that
messages of the two never mix. A collective called outside of jit would compile each time: this package never does that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.world import World

# MPI counts are C ints, and mpi4jax casts to them without a check: longer buffers are sent in pieces.
MAX_ELEMENTS = 2**31 - 1


class Comm(NamedTuple):
    """Reductions over ranks of arrays with equal shapes; results are the same on all ranks, except of `all_to_all`."""

    rank: int
    size: int
    sum: Callable[[Array], Array]
    max: Callable[[Array], Array]
    gather: Callable[[Array], Array]  # (...) -> (R, ...), in rank order
    all_to_all: Callable[[Array], Array]  # (R, ...) -> (R, ...): entry r goes to rank r, entry q comes from rank q


def comm(world: World) -> Comm:
    """The collectives of this job: over MPI, or, on a single rank, identities that XLA removes."""
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
    """The collectives of a process that computes by itself, also if it is one of many."""
    return Comm(rank=0, size=1, sum=_same, max=_same, gather=lambda x: x[None], all_to_all=_same)


def _same(x: Array) -> Array:
    return x
