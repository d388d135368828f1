"""Threads and device of this rank: set before jax is imported, because jax reads them once.

Ranks of one host that share an affinity mask (a plain mpiexec) split its cores between them, each bound to its own;
a mask that the launcher already set apart is kept. XLA's CPU client takes its thread count from PJRT_NPROC alone. BLAS
gets one thread: its own spin while they wait for each other, and beside any other busy process a call then takes many
times as long. Large calls are split between threads that sleep while they wait (`parallel.foreign`). With GPUs, rank i
of a node takes its i-th device and sees no other; i is SLURM_LOCALID where srun started the ranks, else the order of
the ranks on the host.
"""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.parallel.launchers import LAUNCHERS
from nqs_hpc.parallel.world import World


class Placement(NamedTuple):
    """Where this rank computes."""

    host: str
    cpus: tuple[int, ...]
    threads: int
    gpu: str | None  # the id it was given, where there are GPUs


def launched() -> tuple[int, int]:
    """How many ranks the launcher started and the number of this one; (1, 0) for a plain start."""
    for size, rank in LAUNCHERS:
        if (started := _positive_int(size)) is not None:
            return started, int(os.environ.get(rank, "0"))
    return 1, 0


def place(world: World, wanted: int | None = None) -> Placement:
    """Bind this rank and set the environment that jax and BLAS will read. Collective.

    A number of threads already in PJRT_NPROC is used; without it there is one thread for each core of this rank, or
    SLURM_CPUS_PER_TASK or ``wanted`` where that is less.
    """
    host = socket.gethostname()
    mask = tuple(sorted(os.sched_getaffinity(0)))
    every = world.allgather((host, mask, slurm_local_id(world)))
    neighbours = [other for name, other, _ in every if name == host]
    cpus = mask
    if world.local_size > 1 and all(other == mask for other in neighbours):
        cpus = share(mask, world.local_rank, world.local_size)
        os.sched_setaffinity(0, cpus)

    threads = min(len(cpus), _positive_int("SLURM_CPUS_PER_TASK") or len(cpus))
    threads = _positive_int("PJRT_NPROC") or min(threads, wanted or threads)
    os.environ["PJRT_NPROC"] = str(threads)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")

    gpu = None
    visible = _gpus()
    if visible:
        by_slurm = [local_id for _, _, local_id in every]
        local = world.local_rank if None in by_slurm else by_slurm[world.rank]
        gpu = visible[local % len(visible)]
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        # else products of float32 are rounded to the ten bits of TF32: float32 would be no precision of a network
        os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
    keep_freed_memory()
    os.environ["JAX_ENABLE_X64"] = "1"  # energies need float64 whatever the precision of the network
    # CUDA-aware MPI crashes on some systems; through host memory it always works.
    os.environ.setdefault("MPI4JAX_USE_CUDA_MPI", "0")
    return Placement(host, cpus, threads, gpu)


def other_threads(wanted: int, placement: Placement, asked: str | None) -> str:
    """What to say where a rank does not compute with the ``wanted`` number of threads, else "".

    ``asked``: PJRT_NPROC as it was before `place`.
    """
    if placement.threads == wanted:
        return ""
    why = f"PJRT_NPROC={asked} is set" if asked else f"it may use {len(placement.cpus)} cores"
    return f"resources.threads={wanted}: a rank computes with {placement.threads} threads, because {why}"


def slurm_local_id(world: World) -> int | None:
    """The number of this rank on its node, where srun started it; None for another launcher, also inside a Slurm job.

    There the variables are those of the batch script, or of the launcher's own daemons.
    """
    here = (os.environ.get("SLURM_STEP_NUM_TASKS"), os.environ.get("SLURM_PROCID"))
    local_id = os.environ.get("SLURM_LOCALID", "")
    return int(local_id) if here == (str(world.size), str(world.rank)) and local_id.isdigit() else None


def keep_freed_memory() -> None:
    """Tell glibc to keep the memory of freed arrays: every call of a program would fault its temporaries in again.

    Nothing where the C library is another one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD
        mallopt(mmap_threshold, 32 * 2**20)  # the largest there is: larger arrays are mapped, and given back
        mallopt(trim_threshold, 256 * 2**20)
        mallopt(top_pad, 16 * 2**20)


def share(mask: tuple[int, ...], local_rank: int, local_size: int) -> tuple[int, ...]:
    """The cores of one of ``local_size`` ranks on ``mask``: a contiguous part, or one core each where ranks outnumber
    them."""
    if local_size >= len(mask):
        return (mask[local_rank % len(mask)],)
    first = local_rank * len(mask) // local_size
    last = (local_rank + 1) * len(mask) // local_size
    return mask[first:last]


def _gpus() -> list[str]:
    """The ids of the NVIDIA devices this process may use, none where there are none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    devices = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted(devices, key=int)


def _positive_int(name: str) -> int | None:
    value = os.environ.get(name, "")
    return int(value) if value.isdigit() and int(value) > 0 else None
