"""Chains as a checkpoint holds them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.system.hilbert import Hilbert, members
from nqs_hpc.types import Tree


def outside(chains: dict[str, Tree], hilbert: Hilbert) -> str:
    """Why these chains cannot be of a run: configurations that the Hilbert space does not have; empty if they can.

    The leaves that hold configurations are those whose name begins with ``s_C``.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(chains)[0]:
        if _name(path[-1]).startswith("s_C") and not members(hilbert, leaf).all():
            return "its chains are in states that this run does not have"
    return ""


def placed(chains: Tree, s_N: NDArray[np.int8] | None) -> Tree:
    """Chains that all begin at one configuration, as they are with None; collective functions are not called."""
    if s_N is None:
        return chains

    def one(path: tuple[Any, ...], leaf: Array) -> Array:
        is_configuration = _name(path[-1]).startswith("s_C")
        return jnp.broadcast_to(jnp.asarray(s_N, leaf.dtype), leaf.shape) if is_configuration else leaf

    return jax.tree_util.tree_map_with_path(one, chains)


def _name(key: Any) -> str:
    return jax.tree_util.keystr((key,), simple=True)
