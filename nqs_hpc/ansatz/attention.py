"""Attention between the patches of a lattice, with weights that depend on relative positions.

    factored:  A_i^h = sum_j alpha^h_{i-j} v_j^h                                  v = W_v x
    full:      A_i^h = sum_j softmax_j(q_i^h . k_j^h / sqrt(d) + beta^h_{i-j}) v_j^h     (q, k, v) = (W_q, W_k, W_v) x

for heads h of d = width / heads numbers each. Factored attention, whose weights are parameters: Viteritti, Rende and
Becca, Phys. Rev. Lett. 130, 236401 (2023), arXiv:2211.05504; the two compared: Rende and Viteritti, arXiv:2405.18874.
Full attention: Vaswani et al., arXiv:1706.03762, with the relative bias of Raffel et al., arXiv:1910.10683. Both
commute with translations by whole patches along periodic directions.

q, k and v have no biases: a bias of k cancels in the softmax, and a bias of v is equivalent to one of the next layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

AttentionName = Literal["full", "factored"]


class Attention(NamedTuple):
    """``mix(inputs_nI, relative_Hnn) -> (n, width)``: from ``inputs`` numbers for each of n patches to ``width``.

    ``relative_Hnn`` is alpha or beta for all pairs of patches.
    """

    inputs: int
    mix: Callable[[Array, Array], Array]


def attention(name: AttentionName, width: int, heads: int) -> Attention:
    """Raises ValueError if the heads do not divide the width, and for an unknown name."""
    if heads < 1 or width % heads:
        raise ValueError(f"heads={heads}: must divide width={width}")

    def by_head(x_nW: Array) -> Array:
        """(n, width) -> (heads, n, d): with the heads first, products over patches read contiguous rows."""
        return x_nW.reshape(len(x_nW), heads, -1).transpose(1, 0, 2)

    def joined(x_Hnd: Array) -> Array:
        return x_Hnd.transpose(1, 0, 2).reshape(-1, width)

    def factored(v_nW: Array, alpha_Hnn: Array) -> Array:
        return joined(alpha_Hnn @ by_head(v_nW))

    def full(qkv_nI: Array, beta_Hnn: Array) -> Array:
        q, k, v = (by_head(x) for x in jnp.split(qkv_nI, 3, axis=1))
        scores = q @ k.transpose(0, 2, 1) * (width // heads) ** -0.5 + beta_Hnn
        return joined(jax.nn.softmax(scores, axis=-1) @ v)

    match name:
        case "factored":
            return Attention(width, factored)
        case "full":
            return Attention(3 * width, full)
    raise ValueError(f"attention={name!r}: full or factored")
