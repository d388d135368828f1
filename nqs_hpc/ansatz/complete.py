"""An `Ansatz` from the functions that its author writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.types import Ansatz, Conditionals, Factors, Kind, Layered, Move, Tree


def complete(
    init: Callable[[Array], Tree],
    log_psi: Callable[[Tree, Array], Array],
    kind: Kind,
    *,
    attempt: Callable[[Tree, Array, Tree, Move], tuple[Array, Tree]],
    freeze: Callable[[Tree], Tree] | None = None,
    prepare: Callable[[Tree, Array], Tree] | None = None,
    advance: Callable[[Tree, Array, Tree, Move, Tree, Array | bool], Tree] | None = None,
    log_ratios: Callable[[Tree, Array, Tree, Move], Array] | None = None,
    factors: Factors | None = None,
    layered: Layered | None = None,
    modulus: Ansatz | None = None,
    whole: bool = False,
    conditionals: Conditionals | None = None,
    shifted: Callable[[Tree, Array], Tree] | None = None,
    product_state: Callable[[NDArray[Any]], Tree] | None = None,
) -> Ansatz:
    """The ansatz whose ratios are those of ``attempt(frozen, s_N, cache, move) -> (log ratio, attempted)``.

    ``freeze(params)``: by default the parameters themselves. ``prepare(frozen, s_N)``: by default an empty cache.
    ``advance(frozen, s_N, cache, move, attempted, accepted)``: by default ``attempted`` is the cache of s', and it
    replaces the old one where ``accepted``. ``log_ratios``: by default ``attempt`` of each of the K moves, which then
    share no more than the cache.
    """
    prepare = prepare or _empty_cache
    accept = advance or _replaced

    def log_ratio(frozen: Tree, s_N: Array, cache: Tree, move: Move) -> Array:
        return attempt(frozen, s_N, cache, move)[0]

    def advanced(
        frozen: Tree,
        s_N: Array,
        cache: Tree,
        move: Move,
        attempted: Tree | None = None,
        accepted: Array | bool = True,
    ) -> Tree:
        if attempted is None:
            attempted = attempt(frozen, s_N, cache, move)[1]
        return accept(frozen, s_N, cache, move, attempted, accepted)

    return Ansatz(
        init=init,
        log_psi=log_psi,
        kind=kind,
        freeze=freeze or (lambda params: params),
        prepare=prepare,
        log_ratio=log_ratio,
        log_ratios=log_ratios or jax.vmap(log_ratio, in_axes=(None, None, None, 0)),
        attempt=attempt,
        advance=advanced,
        factors=factors,
        layered=layered,
        modulus=modulus,
        whole=whole,
        conditionals=conditionals,
        shifted=shifted,
        product_state=product_state,
    )


def _empty_cache(frozen: Tree, s_N: Array) -> tuple[()]:
    del frozen, s_N
    return ()


def _replaced(frozen: Tree, s_N: Array, cache: Tree, move: Move, attempted: Tree, accepted: Array | bool) -> Tree:
    """The new cache, ``attempted``, if the move was accepted."""
    del frozen, s_N, move
    return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), attempted, cache)
