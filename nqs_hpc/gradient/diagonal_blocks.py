"""The diagonal blocks of S = X^dagger X, one for each layer or each leaf of the parameters.

A step (S_l + lambda)^-1 F_l in each block l neglects correlations between layers, as in K-FAC (Martens and Grosse 2015,
arXiv:1503.05671) and its use for wave functions (Pfau et al. 2020, arXiv:1909.02487). Their Kronecker factors
approximate these blocks; the blocks here are exact.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.gradient.flat import Flat
from nqs_hpc.gradient.qgt import pack, unpack
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Tree

By = Literal["layers", "leaves"]


class Block(NamedTuple):
    """Ranges of the flat vector."""

    ranges: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        return sum(end - start for start, end in self.ranges)

    def of(self, x: Array) -> Array:
        """These entries of the last axis."""
        return jnp.concatenate([x[..., start:end] for start, end in self.ranges], axis=-1)


def diagonal_blocks(params: Tree, form: Flat, by: By, most: int) -> tuple[Block, ...]:
    """Blocks that together make the flat vector: one for each leaf, or for the leaves with one parent in the tree (the
    weights and the bias of a dense layer), cut into equal parts if longer than ``most``.

    The real and imaginary part of a number are always in the same block.
    """
    layers: dict[Any, list[NDArray[np.int64]]] = {}
    start, complex_vector = 0, jnp.issubdtype(form.dtype, jnp.complexfloating)
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        planes = 2 if jnp.issubdtype(leaf.dtype, jnp.complexfloating) and not complex_vector else 1
        places = start + np.arange(planes * leaf.size).reshape(planes, leaf.size).T  # (numbers, planes)
        layers.setdefault(path[:-1] if by == "layers" else path, []).append(places)
        start += places.size
    assert start == form.n_parameters
    blocks = []
    for leaves in layers.values():
        places = np.concatenate([leaf.ravel() for leaf in leaves])
        of_number = np.arange(sum(map(len, leaves)))
        number = np.repeat(of_number, np.concatenate([np.full(len(leaf), leaf.shape[1]) for leaf in leaves]))
        length = math.ceil(len(of_number) / math.ceil(len(places) / most))
        for first in range(0, len(of_number), length):
            blocks.append(_block(np.sort(places[(first <= number) & (number < first + length)])))
    return tuple(blocks)


def _block(places: NDArray[np.int64]) -> Block:
    ends = np.flatnonzero(np.diff(places) > 1)
    runs = np.split(places, ends + 1)
    return Block(tuple((int(run[0]), int(run[-1]) + 1) for run in runs))


def put_together(parts: tuple[Array, ...], blocks: tuple[Block, ...], like_P: Array) -> Array:
    """(P,) the vector with the blocks ``parts``."""
    vector_P = jnp.zeros(like_P.shape, parts[0].dtype)
    for part, block in zip(parts, blocks, strict=True):
        done = 0
        for start, end in block.ranges:
            vector_P = vector_P.at[start:end].set(part[done : done + end - start])
            done += end - start
    return vector_P


def summed(s_blocks: tuple[Array, ...], force_P: Array, comm: Comm) -> tuple[tuple[Array, ...], Array]:
    """The blocks of S and F, summed over all ranks in one reduction of packed S and F."""
    if comm.size == 1:
        return s_blocks, force_P
    packed = [pack(block) for block in s_blocks]
    total = comm.sum(jnp.concatenate([*packed, force_P]))
    found, start = [], 0
    for block, numbers in zip(s_blocks, packed, strict=True):
        found.append(unpack(total[start : start + len(numbers)], len(block)))
        start += len(numbers)
    return tuple(found), total[start:]
