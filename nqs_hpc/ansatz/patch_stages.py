"""Log-derivatives by the layers of a transformer that are not affine maps of each patch (`tape`).

With delta = d log psi / dz of the output z of a layer, for patches i:

    normalisation       z_i = y_i * scale + bias:             sum_i y_i delta_i,  sum_i delta_i
    relative positions  z_ij = beta_(i-j) for each head:      the sum of delta_ij over pairs of one relative position
    affine, of a sum    z = (sum_i x_i) W + n b:              (sum_i x_i) (x) delta,  n delta

as for affine maps (Goodfellow 2015, arXiv:1510.01799).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.tape import affine
from nqs_hpc.system.patches import Patches
from nqs_hpc.types import Stage


def normalisation(record: int) -> Stage:
    """``kept`` y (n, width) and ``back`` (n, width); the leaves are scale (width,), then bias (width,)."""

    def rows(kept: Array, back: Array) -> Array:
        return jnp.concatenate([jnp.sum(kept * back, axis=0), jnp.sum(back, axis=0)])

    def total(kept: Array, back: Array) -> Array:
        return rows(kept.reshape(-1, kept.shape[-1]), back.reshape(-1, back.shape[-1]))

    return Stage(record, rows, total)


def relative_positions(record: int, patches: Patches) -> Stage:
    """Nothing kept, ``back`` (heads, n, n); the leaf is (heads, relative positions)."""
    n_pairs = patches.relative.size
    relative = patches.relative.ravel()
    counts = np.bincount(relative, minlength=patches.n_relative)
    # the pairs of each relative position, filled up with a place behind the last pair, where a 0 is: gathers, which
    # are several times as fast as additions at places
    pairs = np.full((patches.n_relative, counts.max()), n_pairs)
    for position, count in enumerate(counts):
        pairs[position, :count] = np.flatnonzero(relative == position)

    def rows(kept: tuple[()], back: Array) -> Array:
        del kept
        padded = jnp.pad(back.reshape(len(back), n_pairs), ((0, 0), (0, 1)))
        return jnp.sum(padded[:, pairs], axis=2).ravel()

    def total(kept: tuple[()], back: Array) -> Array:
        return rows(kept, jnp.sum(back, axis=0))

    return Stage(record, rows, total)


def affine_of_sum(record: int, n: int) -> Stage:
    """``kept`` (1, in), a sum over n places, and ``back`` (1, out); the leaves are the weight (in, out), then the bias
    (out,), which comes n times.
    """
    weight = affine(record, bias=False)

    def rows(kept: Array, back: Array) -> Array:
        return jnp.concatenate([weight.rows(kept, back), n * back[0]])

    def total(kept: Array, back: Array) -> Array:
        return jnp.concatenate([weight.total(kept, back), n * jnp.sum(back, axis=(0, 1))])

    return Stage(record, rows, total)
