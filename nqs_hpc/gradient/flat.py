"""Parameters as one flat vector, and back.

For real, signed and complex ansätze the vector is real: complex leaves enter as their real parts, then their imaginary
parts. For a holomorphic ansatz it is complex with half that length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.types import Kind, Tree


class Flat(NamedTuple):
    """``ravel(params) -> theta_P`` and its inverse; both are linear, so they also apply to gradients and updates."""

    ravel: Callable[[Tree], Array]
    unravel: Callable[[Array], Tree]
    split: Callable[[Array], list[Array]]  # the leaves, in the dtype of the vector; only if no leaf is split
    n_parameters: int  # length of the vector
    n_real: int  # real degrees of freedom
    dtype: np.dtype  # of the vector


def flat(params: Tree, kind: Kind) -> Flat:
    """The flat form of pytrees like ``params`` (arrays or their shapes).

    A holomorphic kind needs only complex leaves.
    """
    leaves, structure = jax.tree.flatten(params)
    shapes = [leaf.shape for leaf in leaves]
    dtypes = [jnp.dtype(leaf.dtype) for leaf in leaves]
    complex_vector = kind == "holomorphic"
    if complex_vector and not all(jnp.issubdtype(dtype, jnp.complexfloating) for dtype in dtypes):
        raise ValueError("a holomorphic ansatz has complex parameters only")
    is_split = [not complex_vector and jnp.issubdtype(dtype, jnp.complexfloating) for dtype in dtypes]
    sizes = [int(leaf.size) * (2 if split else 1) for leaf, split in zip(leaves, is_split, strict=True)]

    def ravel(tree: Tree) -> Array:
        parts = []
        for leaf, split in zip(jax.tree.leaves(tree), is_split, strict=True):
            parts += [jnp.real(leaf).ravel(), jnp.imag(leaf).ravel()] if split else [jnp.ravel(leaf)]
        return jnp.concatenate(parts)

    def unravel(theta_P: Array) -> Tree:
        out, start = [], 0
        for shape, dtype, size, split in zip(shapes, dtypes, sizes, is_split, strict=True):
            part = theta_P[start : start + size]
            if split:
                part = jax.lax.complex(part[: size // 2], part[size // 2 :])
            out.append(part.reshape(shape).astype(dtype))
            start += size
        return jax.tree.unflatten(structure, out)

    def split(theta_P: Array) -> list[Array]:
        assert not any(is_split)
        ends = np.cumsum(sizes)
        return [theta_P[end - size : end].reshape(shape) for end, size, shape in zip(ends, sizes, shapes, strict=True)]

    total = sum(sizes)
    dtype = np.result_type(*(d if complex_vector else np.finfo(d).dtype for d in dtypes))
    return Flat(ravel, unravel, split, total, n_real=2 * total if complex_vector else total, dtype=dtype)


def widened(x: Array, solve_dtype: str) -> Array:
    """``x`` in the precision of a solve, complex if ``x`` is complex."""
    return x.astype(jnp.result_type(solve_dtype, jnp.complex64) if jnp.iscomplexobj(x) else solve_dtype)
