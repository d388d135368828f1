"""Ranks without MPI: the functions of all of them in one program, as a mapped axis whose collectives are jax's own."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nqs_hpc.parallel.comm import Comm


def comm_of(size: int) -> Comm:
    return Comm(
        rank=0,
        size=size,
        sum=lambda x: jax.lax.psum(x, "ranks"),
        max=lambda x: jax.lax.pmax(x, "ranks"),
        gather=lambda x: jax.lax.all_gather(x, "ranks"),
        all_to_all=lambda x: jax.lax.all_to_all(x, "ranks", 0, 0),
    )


def on_ranks(function: Callable[..., Any], size: int, *arguments: Any) -> Any:
    """``function(rank, *arguments)`` of all ranks, compiled: arguments and results lead with the rank."""
    mapped = jax.vmap(function, axis_name="ranks", axis_size=size)
    return jax.jit(mapped)(jnp.arange(size, dtype=jnp.int32), *arguments)
