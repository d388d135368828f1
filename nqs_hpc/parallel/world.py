"""The ranks of this job as seen from the host: who am I, pass objects around, agree on flags.

The only file that imports mpi4py, and it never imports jax. All traffic runs on a duplicate of COMM_WORLD, because
mpi4jax sends its own messages on COMM_WORLD and the two must not meet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nqs_hpc.parallel.leftovers import remove_leftovers


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
