"""Threads and device of this rank, set before jax is imported, because jax reads them once.

Ranks of one host with the same affinity mask (a plain mpiexec) divide its cores between them, and each is bound to its
own; separate masks set by the launcher are kept. XLA's CPU client takes its thread count only from PJRT_NPROC. BLAS
gets one thread: its own threads spin while they wait for each other, so a call takes many times as long if any other
process is busy. Large calls are split over threads that sleep while they wait (`parallel.foreign`). With GPUs, rank i
of a node uses the i-th device and sees no other; i is SLURM_LOCALID if srun started the ranks, else the order of the
ranks on the host.
"""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.parallel.launchers import LAUNCHERS
from nqs_hpc.parallel.world import World

# XLA uses vectors of 256 bits also on processors with 512, which would halve the time of exp, tanh and the like. All
# ranks use the same width, so that their programs are identical to the bit.
VECTOR_WIDTH = "--xla_cpu_prefer_vector_width"

# Options of glibc's mallopt and the values they are given.
KEEP_SMALL = {
    "M_MMAP_THRESHOLD": (-3, 32 * 2**20),  # the largest there is
    "M_TRIM_THRESHOLD": (-1, 256 * 2**20),
    "M_TOP_PAD": (-2, 16 * 2**20),
}
KEEP_ALL = {
    "M_ARENA_MAX": (-8, 1),
    "M_MMAP_MAX": (-4, 0),
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),
    "M_TOP_PAD": (-2, 16 * 2**20),
}


class Placement(NamedTuple):
    """Where this rank computes."""

    host: str
    cpus: tuple[int, ...]
    threads: int
    gpu: str | None  # the id of its GPU, if there are GPUs


def launched() -> tuple[int, int]:
    """The number of ranks that the launcher started, and the number of this one; (1, 0) for a plain start."""
    for size, rank in LAUNCHERS:
        if (started := _positive_int(size)) is not None:
            return started, int(os.environ.get(rank, "0"))
    return 1, 0


def place(world: World, wanted: int | None = None) -> Placement:
    """Bind this rank and set the environment that jax and BLAS will read. Collective.

    The number of threads is PJRT_NPROC if that is set; otherwise one for each core of this rank, or SLURM_CPUS_PER_TASK
    or ``wanted`` if that is less.
    """
    host = socket.gethostname()
    mask = tuple(sorted(os.sched_getaffinity(0)))
    every = world.allgather((host, mask, slurm_local_id(world), "avx512f" in processor_flags()))
    neighbours = [other for name, other, _, _ in every if name == host]
    cpus = mask
    if world.local_size > 1 and all(other == mask for other in neighbours):
        cpus = share(mask, world.local_rank, world.local_size)
        os.sched_setaffinity(0, cpus)

    threads = min(len(cpus), _positive_int("SLURM_CPUS_PER_TASK") or len(cpus))
    threads = _positive_int("PJRT_NPROC") or min(threads, wanted or threads)
    os.environ["PJRT_NPROC"] = str(threads)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    if all(has_wide for *_, has_wide in every) and VECTOR_WIDTH not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {VECTOR_WIDTH}=512".strip()

    gpu = None
    visible = _gpus()
    if visible:
        by_slurm = [local_id for _, _, local_id, _ in every]
        local = world.local_rank if None in by_slurm else by_slurm[world.rank]
        gpu = visible[local % len(visible)]
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        # otherwise products of float32 are rounded to the ten bits of TF32, less than the precision of a network
        os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
    keep_freed_memory(threads)
    os.environ["JAX_ENABLE_X64"] = "1"  # energies need float64 whatever the precision of the network
    # CUDA-aware MPI crashes on some systems; messages through host memory always work.
    os.environ.setdefault("MPI4JAX_USE_CUDA_MPI", "0")
    return Placement(host, cpus, threads, gpu)


def other_threads(wanted: int, placement: Placement, asked: str | None) -> str:
    """A line if a rank does not compute with the ``wanted`` number of threads, else "".

    ``asked``: PJRT_NPROC as it was before `place`.
    """
    if placement.threads == wanted:
        return ""
    why = f"PJRT_NPROC={asked} is set" if asked else f"it may use {len(placement.cpus)} cores"
    return f"resources.threads={wanted}: a rank computes with {placement.threads} threads, because {why}"


def slurm_local_id(world: World) -> int | None:
    """The number of this rank on its node if srun started it; None for another launcher, also inside a Slurm job.

    Then the variables of Slurm are those of the batch script, or of the launcher's own daemons.
    """
    here = (os.environ.get("SLURM_STEP_NUM_TASKS"), os.environ.get("SLURM_PROCID"))
    local_id = os.environ.get("SLURM_LOCALID", "")
    return int(local_id) if here == (str(world.size), str(world.rank)) and local_id.isdigit() else None


def processor_flags() -> set[str]:
    """The features of the first processor, as Linux names them; empty if it does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read(2**14).split("\n\n")[0]  # one processor, not hundreds: each costs the kernel time
    except OSError:
        return set()
    return {flag for line in first.splitlines() if line.startswith("flags") for flag in line.split()}


def keep_freed_memory(threads: int) -> None:
    """Make glibc keep the memory of freed arrays. Otherwise the kernel maps the temporaries of every call of a program
    and fills them with zeros again, which took half of the time of an update with a Jacobian of 100 MB.

    A rank with one thread keeps arrays of any size in one heap, because other heaps map arrays beyond 64 MB. With more
    threads that heap is fragmented (we measured 1.5 times the memory), so the largest arrays are mapped and returned.
    No effect if the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in (KEEP_ALL if threads == 1 else KEEP_SMALL).values():
            mallopt(option, value)


def share(mask: tuple[int, ...], local_rank: int, local_size: int) -> tuple[int, ...]:
    """The cores of one of ``local_size`` ranks on ``mask``: a contiguous part, or one core each if there are more ranks
    than cores."""
    if local_size >= len(mask):
        return (mask[local_rank % len(mask)],)
    first = local_rank * len(mask) // local_size
    last = (local_rank + 1) * len(mask) // local_size
    return mask[first:last]


def _gpus() -> list[str]:
    """The ids of the NVIDIA devices that this process may use; empty if there are none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    devices = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted(devices, key=int)


def _positive_int(name: str) -> int | None:
    value = os.environ.get(name, "")
    return int(value) if value.isdigit() and int(value) > 0 else None
