"""Ratios by evaluating the whole wave function: log psi(s') - log psi(s).

The general path of the ansatz contract, for networks without a cheaper way to follow a move, and the reference for
those that have one. One ratio costs one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.types import Ansatz, Kind, Move, Tree


def full_evaluation(
    init: Callable[[Array], Tree],
    log_psi: Callable[[Tree, Array], Array],
    kind: Kind,
    *,
    freeze: Callable[[Tree], Tree] | None = None,
) -> Ansatz:
    """An ansatz from only ``init(key) -> params`` and ``log_psi(params, s_N) -> scalar``.

    With ``freeze(params) -> frozen``, which prepares what is used many times in a step, the second is
    ``log_psi(frozen, s_N)``.

    The cache is log psi(s). From a state with psi(s) = 0 every ratio is 1: a Markov chain leaves it with its next
    proposal, and a sum in which it has weight 0 stays finite. Given ``a.init``, ``a.log_psi`` and ``a.kind`` of an
    ansatz with its own ratios, this is the reference for them.
    """

    def attempt(frozen: Tree, s_N: Array, cache: Array, move: Move) -> tuple[Array, Array]:
        new = log_psi(frozen, apply_move(s_N, move))
        return ratio_to(new, cache), new

    of_params = log_psi if freeze is None else lambda params, s_N: log_psi(freeze(params), s_N)
    return complete(init, of_params, kind, freeze=freeze, prepare=log_psi, attempt=attempt, whole=True)


def ratio_to(log_psi_new: Array, log_psi_old: Array) -> Array:
    """log psi(s') - log psi(s), or 0 if psi(s) = 0."""
    empty = jnp.isneginf(jnp.real(log_psi_old))
    # The inner where keeps -inf - (-inf) = NaN out of the unused branch, and so out of derivatives.
    return jnp.where(empty, 0, log_psi_new - jnp.where(empty, 0, log_psi_old))


def apply_move(s_N: Array, move: Move) -> Array:
    """The configuration s' after ``move``, in the dtype of ``s_N``."""
    return s_N.at[move.sites].add(move.deltas.astype(s_N.dtype))
