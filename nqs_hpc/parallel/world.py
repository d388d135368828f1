"""The ranks of this job as seen from the host: who am I, pass objects around, agree on flags.

The only file that imports mpi4py, and it never imports jax. All traffic runs on a duplicate of COMM_WORLD, because
mpi4jax sends its own messages on COMM_WORLD and the two must not meet.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from nqs_hpc.parallel.heap import fresh_memory
from nqs_hpc.parallel.leftovers import remove_leftovers

START_SECONDS = 300  # for MPI to come up: thousands of ranks take minutes, a start that hangs takes a job's whole time


class World(NamedTuple):
    """Every function but ``abort`` is collective: all ranks call it, in the same order."""

    rank: int
    size: int
    local_rank: int  # among the ranks of this host
    local_size: int
    bcast: Callable[[Any], Any]  # rank 0's object to all
    gather: Callable[[Any], list[Any] | None]  # the objects of all ranks, in order, on rank 0; None elsewhere
    allgather: Callable[[Any], list[Any]]
    any_flags: Callable[[int], int]  # bitwise or of every rank's bits
    barrier: Callable[[], None]
    abort: Callable[[int], None]  # ends all ranks at once; one rank calls it
    library: str  # name and version of the MPI library
    mpi: Any = None  # the module mpi4py.MPI, for parallel.comm alone; None in a world without MPI


def world() -> World:
    """Start MPI and return this process's place in it. A plain ``python`` start is a world of size 1."""
    remove_leftovers()
    with _watched(), fresh_memory():
        from mpi4py import MPI  # starts MPI

        comm = MPI.COMM_WORLD.Dup()
        local = comm.Split_type(MPI.COMM_TYPE_SHARED)
    return World(
        rank=comm.rank,
        size=comm.size,
        local_rank=local.rank,
        local_size=local.size,
        bcast=lambda obj: comm.bcast(obj, root=0),
        gather=lambda obj: comm.gather(obj, root=0),
        allgather=comm.allgather,
        any_flags=lambda bits: comm.allreduce(bits, op=MPI.BOR),
        barrier=comm.Barrier,
        abort=comm.Abort,
        library=MPI.Get_library_version().splitlines()[0].strip(" \x00"),
        mpi=MPI,
    )


def alone() -> World:
    """This process alone, without MPI."""
    return World(
        rank=0,
        size=1,
        local_rank=0,
        local_size=1,
        bcast=lambda obj: obj,
        gather=lambda obj: [obj],
        allgather=lambda obj: [obj],
        any_flags=lambda bits: bits,
        barrier=lambda: None,
        abort=os._exit,
        library="",
    )


@contextmanager
def _watched() -> Iterator[None]:
    """End this process, with a traceback, where the block does not end in START_SECONDS.

    A rank that waits in MPI_Init for one that is gone sees no signal and no exception; a thread without Python does.
    """
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(START_SECONDS, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
