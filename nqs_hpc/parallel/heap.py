"""Fresh memory for MPICH while it starts, because it sends some of its memory by mistake.

MPICH 5's UCX module publishes 4096 bytes from the beginning of its address, which has about 300 bytes. So it also sends
the memory behind it, in PMI lines of up to 1076 characters if that memory is not zero. Slurm's pmi2 reads 1024
characters and takes the rest for another request; then the start of a job on several nodes fails or hangs. Unused
memory is zero, and of zeros only the number is sent.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

MOST_BLOCKS = 500_000  # far more than a start has
SIZES = (*(2**power for power in range(16, 10, -1)), *range(1008, 15, -16))


def needed() -> bool:
    """Whether srun started this process on several nodes."""
    return os.environ.get("SLURM_STEP_NUM_NODES", "1") != "1"


@contextmanager
def fresh_memory() -> Iterator[None]:
    """If ``needed``, make the C library return unused memory within this block.

    All freed memory is taken first, so later requests are served from the end of the heap. No effect if the C library
    is not glibc.
    """
    libc = ctypes.CDLL(None)
    if not needed() or not hasattr(libc, "malloc_trim"):
        yield
        return
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.argtypes = libc.malloc_trim.argtypes = [ctypes.c_size_t]
    libc.sbrk.argtypes, libc.free.argtypes = [ctypes.c_ssize_t], [ctypes.c_void_p]
    held = (ctypes.c_void_p * MOST_BLOCKS)()  # allocated at once: a growing list would leave freed memory behind
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
