"""The wave function that a checkpoint holds, for those who evaluate it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nqs_hpc.job import checkpoint
from nqs_hpc.parts.shapes import parameter_shapes
from nqs_hpc.tasks.running_mean import Average, averaged
from nqs_hpc.tasks.vmc import CHAINS
from nqs_hpc.types import Ansatz, Sampler, Tree


def final_parameters(stored: checkpoint.Stored, ansatz: Ansatz) -> Tree:
    """The parameters that a final evaluation takes: of a run with a running mean, that mean.

    ValueError, one line, where the checkpoint holds those of another network.
    """
    shapes = parameter_shapes(ansatz)
    params = checkpoint.subtree(stored, "params/", shapes)
    if "memory/average/weight" not in stored.leaves:
        return params
    mean = checkpoint.subtree(stored, "memory/average/params/", shapes)
    return averaged(params, Average(mean, jnp.asarray(stored.leaves["memory/average/weight"])))


def learnt_chains(stored: checkpoint.Stored, sampler: Sampler) -> Tree | None:
    """The chains of a run whose sampler has learnt something, for fresh ones to inherit it; None of other samplers, and
    where the checkpoint is of another sampler, or of one with more or fewer numbers a chain.
    """
    if sampler.inherit is None:
        return None
    shapes: Any = jax.eval_shape(sampler.init, jax.ShapeDtypeStruct((2,), np.uint32))
    prefix = f"chains/{CHAINS}/"
    found = checkpoint.below(stored, prefix)
    if checkpoint.names(shapes, prefix).keys() != found.keys():
        return None
    wanted = checkpoint.names(shapes, prefix)
    if any(found[name].shape[1:] != wanted[name].shape[1:] for name in found):
        return None
    n_chains = next(iter(found.values())).shape[0]  # its own number of chains
    free = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((n_chains, *leaf.shape[1:]), leaf.dtype), shapes)
    return checkpoint.subtree(stored, prefix, free)
