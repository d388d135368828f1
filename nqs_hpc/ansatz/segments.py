"""Products of a chain of matrices that follow the change of a few of them: a binary tree of products of segments.

The lowest level holds the N matrices, each level above it the products of neighbouring pairs below, and the top the
product of all. When a matrix changes, one product on each level changes: log2(N) of them instead of N. Each product
is divided by its largest entry, whose logarithm stands beside it, so that no length of the chain overflows. All levels
lie in one array, for on CPUs each gather and each scatter takes its time for every chain.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

FEW = 4  # products of matrices up to this size are sums written out: a call takes longer than they do


def rescaled(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """x divided by its largest modulus along ``axes``, and the logarithm of that; x itself and 0 where it is 0.

    The divisor is constant to derivatives: those of log(x / c) + log(c) are the same whatever c.
    """
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axes, keepdims=True))
    largest = jnp.where(largest > 0, largest, 1)
    return x / largest, jnp.log(jnp.squeeze(largest, axes))


def offsets(n_matrices: int) -> list[int]:
    """Where each level begins among the products of the tree, and where the last ends; all levels but the top are
    filled up to an even length.
    """
    found, length = [0], n_matrices
    while length > 1:
        length += length % 2
        found.append(found[-1] + length)
        length //= 2
    return [*found, found[-1] + 1]


def segments(matrices_Ncc: Array) -> Array:
    """The tree over N matrices: (T, chi^2 + 1), a product and its logarithm in each row."""
    size = matrices_Ncc.shape[-1]
    product, log = rescaled(matrices_Ncc, (1, 2))
    rows = []
    while len(product) > 1:
        if len(product) % 2:
            one = jnp.eye(size, dtype=product.dtype)
            product, log = jnp.concatenate([product, one[None]]), jnp.append(log, jnp.zeros((), log.dtype))
        rows.append(joined(product, log))
        product, more = rescaled(product[::2] @ product[1::2], (1, 2))
        log = log[::2] + log[1::2] + more
    return jnp.concatenate([*rows, joined(product, log)])


def joined(product_ncc: Array, log_n: Array) -> Array:
    return jnp.concatenate([product_ncc.reshape(len(log_n), -1), log_n[:, None].astype(product_ncc.dtype)], axis=1)


def parted(rows: Array) -> tuple[Array, Array]:
    """Products (..., chi, chi) and logarithms (...,) of rows (..., chi^2 + 1)."""
    size = round((rows.shape[-1] - 1) ** 0.5)
    return rows[..., :-1].reshape(*rows.shape[:-1], size, size), rows[..., -1].real


def places(n_matrices: int, places_F: Array) -> Array:
    """(levels, F): the rows of the tree above the matrices number ``places_F``, and those matrices."""
    levels = np.arange(len(offsets(n_matrices)) - 1)[:, None]
    return jnp.asarray(offsets(n_matrices)[:-1], jnp.int32)[:, None] + (places_F[None, :] >> levels)


def changed(tree: Array, n_matrices: int, places_F: Array, matrices_Fcc: Array) -> Array:
    """The rows (levels, F, chi^2 + 1) at `places` with new matrices at ``places_F``; a place that is given twice has
    the same matrix twice.
    """
    starts = jnp.asarray(offsets(n_matrices)[:-1], jnp.int32)[:, None]
    mine = places(n_matrices, places_F) - starts
    beside = (mine ^ 1)[:-1]
    others, other_logs = parted(tree.at[starts[:-1] + beside].get(mode="promise_in_bounds"))
    product, log = rescaled(matrices_Fcc, (1, 2))
    rows = [joined(product, log)]
    for level in range(len(beside)):
        other, other_log = list(others[level]), list(other_logs[level])
        for f in range(len(other)):  # of a pair of products both may be new
            for g in range(len(other)):
                if f != g:
                    meets = beside[level, f] == mine[level, g]
                    other[f] = jnp.where(meets, product[g], other[f])
                    other_log[f] = jnp.where(meets, log[g], other_log[f])
        beside_Fcc = jnp.stack(other)
        is_left = (mine[level] & 1 == 0)[:, None, None]
        left, right = jnp.where(is_left, product, beside_Fcc), jnp.where(is_left, beside_Fcc, product)
        product, more = rescaled(times(left, right), (1, 2))
        log = log + jnp.stack(other_log) + more
        rows.append(joined(product, log))
    return jnp.stack(rows)


def followed(tree: Array, n_matrices: int, places_F: Array, rows: Array, accepted: Array | bool) -> Array:
    """The tree with the rows of `changed` in it where ``accepted``."""
    at = places(n_matrices, places_F)
    return tree.at[at].set(jnp.where(accepted, rows, tree[at]), mode="promise_in_bounds")


def times(x: Array, y: Array) -> Array:
    """x @ y of small matrices: complex ones by planes, because XLA's own products of batches of them are slow."""
    size = x.shape[-1]
    if size <= FEW:
        parts = [x[..., :, k, None] * y[..., None, k, :] for k in range(size)]
        return sum(parts[1:], start=parts[0])
    if jnp.isrealobj(x):
        return x @ y
    real = x.real @ y.real - x.imag @ y.imag
    return jax.lax.complex(real, x.real @ y.imag + x.imag @ y.real)
