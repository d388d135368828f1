"""Whether all ranks have the same installation and settings: versions, MPI library, settings that change numbers."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from nqs_hpc.parallel.world import World

# Variables of jax and XLA that change types, bits or messages. Folders and thread counts may differ between nodes.
SETTINGS = (
    *("JAX_DEFAULT_DTYPE_BITS", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_ENABLE_X64", "JAX_NUMPY_DTYPE_PROMOTION"),
    *("JAX_PLATFORMS", "JAX_RANDOM_SEED_OFFSET", "JAX_THREEFRY_PARTITIONABLE", "MPI4JAX_USE_CUDA_MPI", "XLA_FLAGS"),
)


def settings() -> dict[str, str]:
    """The settings of this process that must be equal on all ranks; empty if not set."""
    return {name: os.environ.get(name, "") for name in SETTINGS}


def disagreement(facts: Mapping[str, str | None], world: World) -> str:
    """A line that names each rank whose ``facts`` differ from those of rank 0, and how; empty if all agree.

    Collective; the same on every rank.
    """
    every = world.allgather((socket.gethostname(), dict(facts)))
    first_host, first = every[0]
    odd = []
    for rank, (host, own) in enumerate(every):
        names = [name for name in sorted(first.keys() | own.keys()) if own.get(name) != first.get(name)]
        if names:
            what = ", ".join(f"{name} {_word(own.get(name))} instead of {_word(first.get(name))}" for name in names)
            odd.append(f"rank {rank} on {host} has {what}")
    if not odd:
        return ""
    return f"{'; '.join(odd)} (rank 0 on {first_host}): all ranks need the same installation and settings"


def _word(value: str | None) -> str:
    return value or "(none)"
