"""Ratios of autoregressive wave functions by their tails: conditionals before the first changed site are the same.

    log psi(s') - log psi(s) = T'(f) - T(f),    T(i) = sum_(j>=i) log psi_j(s_j | s_<j),    f the first changed site

T(i) of s is known for all i. T'(f) is a walk along the sites from f on. Configurations of a batch are sorted by f and
walk in groups, each from the first f in it: those whose f is later wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.conditionals import Terms
from nqs_hpc.parallel.chunk import of_batches
from nqs_hpc.types import Move, Tree

GROUP = 128  # that walk together: enough to fill matrix products, few enough to begin near their own first sites
BATCH = 4096  # that are sorted at a time


def from_first_changed(move: Move, n_sites: int) -> Array:
    """The first site that a move changes, int32; ``n_sites`` where it changes none."""
    return jnp.min(jnp.where(move.deltas != 0, move.sites, n_sites))


def log_amplitude(terms: Terms) -> Array:
    """1/2 (part - log factor) + i phase, elementwise; real where there is no phase."""
    modulus = 0.5 * (terms.part - jnp.log(terms.factor))
    return modulus if terms.phase is None else jax.lax.complex(modulus, terms.phase)


def tail_sums(terms: Terms) -> Array:
    """(N + 1,): T(i) of all i, and T(N) = 0."""
    log_N = log_amplitude(terms)
    return jnp.append(jnp.cumsum(log_N[::-1])[::-1], jnp.zeros((), log_N.dtype))


def ratio_of_tails(new: Array, old: Array, was_zero: Array, is_zero: Array) -> Array:
    """The difference; -inf where psi(s') = 0, and 0 where psi(s) = 0 (`full_evaluation.ratio_to`)."""
    return jnp.where(was_zero, 0, jnp.where(is_zero, -jnp.inf, new - old))


def of_groups(
    one_site: Callable[[Any, Any, Array, Array], tuple[Terms, Any]], n_sites: int
) -> Callable[[Tree, Array, Tree], Array]:
    """``(frozen, first, lane) -> T'(first)`` from ``one_site(frozen, lane, site, counts) -> (terms, lane)`` of one
    configuration, which leaves the lane as it was where the site does not count. Not for derivatives.
    """

    together = jax.vmap(one_site, in_axes=(None, 0, None, 0))

    def walk(frozen: Tree, first_g: Array, lane_g: Tree) -> Array:
        def one(site: Array, carry: tuple[Array, Tree]) -> tuple[Array, Tree]:
            sum_g, lane_g = carry
            counts_g = site >= first_g
            terms, lane_g = together(frozen, lane_g, site, counts_g)
            return sum_g + jnp.where(counts_g, log_amplitude(terms), 0), lane_g

        site = jax.ShapeDtypeStruct((), jnp.int32)
        terms = jax.eval_shape(together, frozen, lane_g, site, first_g > 0)[0]
        nothing = jnp.zeros(len(first_g), jax.eval_shape(log_amplitude, terms).dtype)
        return jax.lax.fori_loop(jnp.min(first_g), n_sites, one, (nothing, lane_g))[0]

    def batch(frozen: Tree, given: tuple[Array, Tree]) -> Array:
        first_B, lane_B = given
        n = len(first_B)
        group = min(GROUP, n)
        order = jnp.argsort(first_B)
        places = jnp.pad(order, (0, -n % group))  # the last group is filled up with what has nothing to do
        first = jnp.where(jnp.arange(len(places)) < n, first_B[places], n_sites)
        lanes = jax.tree.map(lambda x: x[places], lane_B)
        groups = jax.tree.map(lambda x: x.reshape(-1, group, *x.shape[1:]), (first, lanes))
        found = jax.lax.map(lambda one: walk(frozen, *one), groups).reshape(-1)[:n]
        return jnp.zeros_like(found).at[order].set(found, unique_indices=True)

    one = of_batches(batch, BATCH)
    return lambda frozen, first, lane: one(frozen, (first, lane))
