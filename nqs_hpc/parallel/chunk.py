"""Mapping over samples in chunks: bounds the memory of what is computed a sample at a time."""

from __future__ import annotations

from collections.abc import Callable

import jax

from nqs_hpc.types import Tree


def chunked_map(function: Callable[[Tree], Tree], xs: Tree, chunk: int | None) -> Tree:
    """``vmap(function)(xs)``, evaluated ``chunk`` entries of the leading axis at a time (None: all at once).

    Not for functions with collectives: how many chunks there are depends on this rank's samples.
    """
    n = jax.tree.leaves(xs)[0].shape[0]
    if chunk is None or chunk >= n:
        return jax.vmap(function)(xs)
    return jax.lax.map(function, xs, batch_size=chunk)
