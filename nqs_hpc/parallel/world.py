"""The ranks of this job on the host side: own number, exchange of objects, agreement on flags.

Only this file imports mpi4py, and it never imports jax. It uses a duplicate of COMM_WORLD, because mpi4jax sends its
messages on COMM_WORLD and the two must not mix.
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

START_SECONDS = 300  # thousands of ranks take minutes to start; a start that hangs would take all of a job's time


class World(NamedTuple):
    """Every function except ``abort`` is collective: all ranks call it, in the same order."""

    rank: int
    size: int
    local_rank: int  # among the ranks of this host
    local_size: int
    bcast: Callable[[Any], Any]  # rank 0's object to all
    gather: Callable[[Any], list[Any] | None]  # the objects of all ranks, in order, on rank 0; None elsewhere
    allgather: Callable[[Any], list[Any]]
    any_flags: Callable[[int], int]  # bitwise or of the bits of all ranks
    barrier: Callable[[], None]
    abort: Callable[[int], None]  # ends all ranks at once; one rank calls it
    library: str  # name and version of the MPI library
    mpi: Any = None  # the module mpi4py.MPI, only for parallel.comm; None in a world without MPI


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
    """This process by itself, without MPI."""
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
    """End this process, with a traceback, if the block takes longer than START_SECONDS.

    A rank that waits in MPI_Init for one that is gone gets no signal and no exception; faulthandler's thread needs no
    Python.
    """
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(START_SECONDS, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
