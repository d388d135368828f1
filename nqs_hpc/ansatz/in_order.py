"""A wave function of sites in one order as that of the sites in another, psi(s_0, s_1, ...) = phi(s_o(0), s_o(1), ...).

Autoregressive networks count their sites along a path; here the path is laid through the lattice.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.types import Ansatz, Move, Tree


def in_order(along: Ansatz, order_N: NDArray[Any]) -> Ansatz:
    """``along`` of the sites ``order_N`` (N,), a permutation: its i-th is site ``order_N[i]`` of the lattice."""
    order_N = np.asarray(order_N)
    assert np.array_equal(np.sort(order_N), np.arange(len(order_N)))
    if np.array_equal(order_N, np.arange(len(order_N))):
        return along
    places_N = np.argsort(order_N).astype(np.int32)

    def on_path(s_N: Array) -> Array:
        return s_N.at[order_N].get(mode="promise_in_bounds")

    def moved(move: Move) -> Move:
        return Move(jnp.asarray(places_N).at[move.sites].get(mode="promise_in_bounds"), move.deltas)

    def advance(
        frozen: Tree, s_N: Array, cache: Tree, move: Move, attempted: Tree | None = None, accepted: Array | bool = True
    ) -> Tree:
        return along.advance(frozen, on_path(s_N), cache, moved(move), attempted, accepted)

    layered, conditionals = along.layered, along.conditionals
    if layered is not None:
        tape = layered.tape
        layered = layered._replace(tape=lambda params, s_N: tape(params, on_path(s_N)))
    if conditionals is not None:
        conditionals = conditionals._replace(order=tuple(order_N.tolist()))
    return along._replace(
        log_psi=lambda params, s_N: along.log_psi(params, on_path(s_N)),
        prepare=lambda frozen, s_N: along.prepare(frozen, on_path(s_N)),
        log_ratio=lambda frozen, s_N, cache, move: along.log_ratio(frozen, on_path(s_N), cache, moved(move)),
        log_ratios=lambda frozen, s_N, cache, moves: along.log_ratios(frozen, on_path(s_N), cache, moved(moves)),
        attempt=lambda frozen, s_N, cache, move: along.attempt(frozen, on_path(s_N), cache, moved(move)),
        advance=advance,
        layered=layered,
        conditionals=conditionals,
    )
