"""Compiles the large programs of a run before they are called, each on one of the ranks that share a cache.

All ranks run the same programs, and XLA takes seconds for some. So each rank compiles some of them, and all read the
results of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from nqs_hpc.parallel.compile_cache import Share
from nqs_hpc.parallel.world import World

LEAST = "jax_persistent_cache_min_compile_time_secs"


class Program(NamedTuple):
    """A function under jit and its arguments, arrays or their shapes."""

    function: Any
    arguments: tuple[Any, ...]


def compile_ahead(programs: Sequence[Program], share: Share | None, world: World) -> None:
    """Compile this rank's share of the programs into the compile cache. Collective; a rank without a shared cache
    compiles when it calls.
    """
    if world.size == 1:
        return
    if share is not None and share.size > 1:
        before = getattr(jax.config, LEAST)
        jax.config.update(LEAST, share.least_seconds)  # so that ranks that otherwise write nothing write these
        for program in programs[share.number :: share.size]:
            program.function.lower(*program.arguments).compile()
        jax.config.update(LEAST, before)
    world.barrier()  # nobody reads an entry that is being written
