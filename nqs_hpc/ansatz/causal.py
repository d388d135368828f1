"""Blocks of a transformer in which no place sees a later one.

    x <- x + W_o A(norm x) + b_o,    A_i^h = sum_(j<=i) softmax_j(q_i^h . k_j^h / sqrt(d)) v_j^h,    (q, k, v) = W x
    x <- x + W_down f(W_up norm(x) + b_up) + b_down

with heads h of d = width / heads numbers each: Vaswani et al. (2017, arXiv:1706.03762), layers with normalised inputs
(Ba et al., arXiv:1607.06450; Xiong et al., arXiv:2002.04745). k and v of a place depend on that and earlier ones alone:
where they are known, the others are computed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from nqs_hpc.ansatz.layers import Dense, dense_apply, dense_init, normal
from nqs_hpc.types import Tree

_EPS = 1e-6  # added to the variance, so that equal numbers can be normalised

# What a layer does with its inputs and outputs: it hands on the outputs, and may add a probe (`tape`).
Layer = Callable[[Tree, Array], Array]


class Norm(NamedTuple):
    scale: Array  # (width,)
    bias: Array  # (width,)


class Block(NamedTuple):
    norm_attention: Norm
    inputs: Array  # (width, 3 width): q, k, v
    out: Dense
    norm_mlp: Norm
    up: Dense
    down: Dense


def norm_init(width: int, dtype: DTypeLike) -> Norm:
    return Norm(jnp.ones(width, dtype), jnp.zeros(width, dtype))


def block_init(key: Array, width: int, expansion: int, dtype: DTypeLike) -> Block:
    keys = jax.random.split(key, 4)
    return Block(
        norm_init(width, dtype),
        normal(keys[0], (width, 3 * width), width**-0.5, dtype),
        dense_init(keys[1], width, width, scale=1.0, dtype=dtype),
        norm_init(width, dtype),
        dense_init(keys[2], width, expansion * width, scale=1.0, dtype=dtype),
        dense_init(keys[3], expansion * width, width, scale=1.0, dtype=dtype),
    )


def plain(inputs: Tree, outputs: Array) -> Array:
    del inputs
    return outputs


def normalised(norm: Norm, x_mW: Array, layer: Layer = plain) -> Array:
    x_mW = x_mW - jnp.mean(x_mW, axis=-1, keepdims=True)
    unit_mW = x_mW * jax.lax.rsqrt(jnp.mean(x_mW * x_mW, axis=-1, keepdims=True) + _EPS)
    return layer(unit_mW, unit_mW * norm.scale[None] + norm.bias[None])


def dense(dense_layer: Dense, x_mI: Array, layer: Layer) -> Array:
    return layer(x_mI, jax.vmap(dense_apply, in_axes=(None, 0))(dense_layer, x_mI))


def blocks(
    params: Sequence[Block],
    x_mW: Array,
    earlier: Sequence[Array],
    seen_mn: Array | np.ndarray,
    *,
    heads: int,
    nonlinear: Callable[[Array], Array],
    layer: Layer = plain,
) -> tuple[Array, tuple[Array, ...]]:
    """x of m places behind all blocks, and their (k, v), (m, 2 width), by block.

    ``earlier`` are the (k, v) of other places, (n, 2 width) by block; ``seen_mn`` (m, n + m) says which each place
    sees, those first.
    """
    width = x_mW.shape[1]
    d = width // heads

    def by_head(x_nW: Array) -> Array:
        return x_nW.reshape(len(x_nW), heads, d).transpose(1, 0, 2)

    found = []
    for block, known in zip(params, earlier, strict=True):
        x_in = normalised(block.norm_attention, x_mW, layer)
        qkv = layer(x_in, x_in @ block.inputs)
        found.append(qkv[:, width:])
        q, k, v = (by_head(part) for part in jnp.split(qkv, 3, axis=1))
        # scores with what is known apart: many configurations share it
        scores, parts = [q @ k.transpose(0, 2, 1)], [v]
        if len(known):
            k_known, v_known = (by_head(part) for part in jnp.split(known, 2, axis=1))
            scores, parts = [q @ k_known.transpose(0, 2, 1), *scores], [v_known, *parts]
        weights = softmax(jnp.concatenate(scores, axis=2) * d**-0.5, seen_mn)
        ends = np.cumsum([part.shape[1] for part in parts])[:-1].tolist()
        mixed = sum(
            (w @ part for w, part in zip(jnp.split(weights, ends, axis=2), parts, strict=True)),
            start=jnp.zeros((), x_mW.dtype),
        )
        x_mW = x_mW + dense(block.out, mixed.transpose(1, 0, 2).reshape(-1, width), layer)
        hidden = nonlinear(dense(block.up, normalised(block.norm_mlp, x_mW, layer), layer))
        x_mW = x_mW + dense(block.down, hidden, layer)
    return x_mW, tuple(found)


def softmax(scores_Hmn: Array, seen_mn: Array | np.ndarray) -> Array:
    """Over the last axis, 0 where it is not seen; each row sees something."""
    masked = jnp.where(jnp.asarray(seen_mn)[None], scores_Hmn, -jnp.inf)
    weights = jnp.exp(masked - jax.lax.stop_gradient(jnp.max(masked, axis=-1, keepdims=True)))
    return weights / jnp.sum(weights, axis=-1, keepdims=True)
