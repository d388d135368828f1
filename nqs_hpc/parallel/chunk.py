"""Mapping over samples in chunks, which bounds the memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxprs_in_params

from nqs_hpc.types import Tree


def chunked_map(function: Callable[[Tree], Tree], xs: Tree, chunk: int | None) -> Tree:
    """``vmap(function)(xs)``, evaluated ``chunk`` entries of the leading axis at a time (None: all at once).

    Not for functions with collectives: how many chunks there are depends on this rank's samples.
    """
    n = jax.tree.leaves(xs)[0].shape[0]
    if chunk is None or chunk >= n:
        return jax.vmap(function)(xs)
    return jax.lax.map(function, xs, batch_size=chunk)


def chunked(function: Callable[[Tree], Tree], xs: Tree, chunk: int | None) -> Tree:
    """``function(xs)`` for a function of batches, in pieces of ``chunk`` entries of the leading axis, in order."""
    n = jax.tree.leaves(xs)[0].shape[0]
    if chunk is None or chunk >= n:
        return function(xs)
    whole = n - n % chunk
    out = jax.lax.map(function, jax.tree.map(lambda x: x[:whole].reshape(-1, chunk, *x.shape[1:]), xs))
    out = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), out)
    if whole == n:
        return out
    last = function(jax.tree.map(lambda x: x[whole:], xs))
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), out, last)


def blocked(function: Callable[[Tree, jax.Array], jax.Array], size: int) -> Callable[[Tree, jax.Array], jax.Array]:
    """``function(shared, x)`` that takes at most ``size`` of ``x`` at a time, however it is mapped over them.

    Nested maps become one. Not for reverse-mode derivatives.
    """

    def in_blocks(shared: Tree, xs: jax.Array) -> jax.Array:
        return chunked_map(lambda x: function(shared, x), xs, even_part(len(xs), size))

    many = jax.custom_batching.custom_vmap(in_blocks)

    @many.def_vmap
    def mapped(axis_size: int, in_batched: list[Tree], shared: Tree, xs: jax.Array) -> tuple[jax.Array, bool]:
        shared_mapped, xs_mapped = in_batched
        if any(jax.tree.leaves(shared_mapped)):
            axes = jax.tree.map(lambda is_mapped: 0 if is_mapped else None, (shared_mapped, xs_mapped))
            return jax.vmap(in_blocks, in_axes=axes, axis_size=axis_size)(shared, xs), True
        out = many(shared, xs.reshape(-1, *xs.shape[2:]))
        return out.reshape(axis_size, -1, *out.shape[1:]), True

    return lambda shared, x: many(shared, x[None])[0]


def of_batches(function: Callable[[Tree, Tree], Tree], size: int) -> Callable[[Tree, Tree], Tree]:
    """``function(shared, xs)`` of batches as a function of single entries, ``(shared, x) -> result``. However it is
    mapped, nested maps become one, and ``function`` gets batches of at most ``size``. ``x`` may be a tree of arrays;
    leaves that are not mapped over are repeated.

    Not for derivatives. If ``shared`` is mapped over too, its entries are taken one after the other.
    """

    def in_pieces(shared: Tree, xs: Tree) -> Tree:
        return chunked(lambda some: function(shared, some), xs, even_part(len(jax.tree.leaves(xs)[0]), size))

    many = jax.custom_batching.custom_vmap(in_pieces)

    @many.def_vmap
    def mapped(axis_size: int, in_batched: list[Tree], shared: Tree, xs: Tree) -> tuple[Tree, Tree]:
        shared_mapped, xs_mapped = in_batched
        if any(jax.tree.leaves(shared_mapped)):

            def one(i: jax.Array) -> Tree:
                own = jax.tree.map(
                    lambda x, is_mapped: x[i] if is_mapped else x, (shared, xs), (shared_mapped, xs_mapped)
                )
                return many(*own)

            out = jax.lax.map(one, jnp.arange(axis_size))
        else:

            def joined(x: jax.Array, is_mapped: bool) -> jax.Array:
                whole = x if is_mapped else jnp.broadcast_to(x[None], (axis_size, *x.shape))
                return whole.reshape(-1, *whole.shape[2:])

            out = many(shared, jax.tree.map(joined, xs, xs_mapped))
            out = jax.tree.map(lambda x: x.reshape(axis_size, -1, *x.shape[1:]), out)
        return out, jax.tree.map(lambda _: True, out)

    def of_one(shared: Tree, x: Tree) -> Tree:
        return jax.tree.map(lambda y: y[0], many(shared, jax.tree.map(lambda y: y[None], x)))

    return of_one


def even_part(n: int, most: int) -> int:
    """The largest divisor of n up to ``most`` if it is at least half of ``most``, else ``most``. Chunks that divide n
    leave no remainder, for which the program would contain the function's code a second time.
    """
    divisors = (size for size in range(min(n, most), (most + 1) // 2 - 1, -1) if n % size == 0)
    return next(divisors, most)


def activations(jaxpr: Any) -> int:
    """The number of elements of all intermediates of a jaxpr, nested ones included."""
    total = 1
    for equation in jaxpr.eqns:
        total += sum(variable.aval.size for variable in equation.outvars if hasattr(variable.aval, "size"))
        total += sum(activations(inner) for inner in jaxprs_in_params(equation.params))
    return total
