"""Fresh memory for MPICH while it starts, for what it sends of its memory by mistake.

MPICH 5's UCX module publishes 4096 bytes from the beginning of its address, which has some 300: what lies behind it in
memory goes along, in lines of PMI that grow to 1076 characters where that has no zeros. Slurm's pmi2 reads 1024, takes
the rest for another request, and the start of a job on several nodes fails, or hangs. Memory that was never used is
zero, and zeros are sent as their number.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

MOST_BLOCKS = 500_000  # a bound, far above what a start has
SIZES = (*(2**power for power in range(16, 10, -1)), *range(1008, 15, -16))


def needed() -> bool:
    """Whether srun has started this process on several nodes."""
    return os.environ.get("SLURM_STEP_NUM_NODES", "1") != "1"


@contextmanager
def fresh_memory() -> Iterator[None]:
    """Let the C library give out memory that was never used, within this block, where ``needed``.

    It holds all that was freed before: what is asked for next comes from the end of the heap. Nothing where the C
    library is not glibc.
    """
    libc = ctypes.CDLL(None)
    if not needed() or not hasattr(libc, "malloc_trim"):
        yield
        return
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.argtypes = libc.malloc_trim.argtypes = [ctypes.c_size_t]
    libc.sbrk.argtypes, libc.free.argtypes = [ctypes.c_ssize_t], [ctypes.c_void_p]
    held = (ctypes.c_void_p * MOST_BLOCKS)()  # made at once: a list that grows would leave its former selves behind
    n_held = 0
    libc.malloc_trim(0)  # gives the end of the heap back to the system, which returns it as zeros
    end = libc.sbrk(0)
    for size in SIZES:
        while n_held < MOST_BLOCKS and (block := libc.malloc(size)) is not None:
            held[n_held] = block
            n_held += 1
            if block >= end:
                break
    try:
        yield
    finally:
        for index in range(n_held):
            libc.free(held[index])
