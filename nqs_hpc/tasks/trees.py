"""Pytrees as a whole."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.types import Tree


def choose(condition: Array, yes: Tree, no: Tree) -> Tree:
    """``yes`` or ``no``, leaf by leaf, in the dtypes of ``no``."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a.astype(b.dtype), b), yes, no)


def finite(tree: Tree) -> Array:
    """Whether every number of a pytree is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)], bool))


def strong(tree: Tree) -> Tree:
    """Without weak types: a restored state compiles to the same program, with the same bits."""
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), tree)
