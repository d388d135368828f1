"""Sums of operators with coefficients that depend on time,

    A(t) = A_0 + sum_k f_k(t) A_k,

quenches and pulses as well as complex, not Hermitian drives. The moves of all parts stand side by side, so that one
program serves all times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jax import Array

from nqs_hpc.types import Move, Operator

Part = tuple[Callable[[Array], Array], Operator]  # f_k, A_k


def driven(constant: Operator, parts: Sequence[Part], *, is_real: bool = True, is_hermitian: bool = True) -> Operator:
    """A(t). ``is_real`` and ``is_hermitian`` say what the coefficients are at every time; parts that are complex or not
    Hermitian make the sum so. Bounds of the spectrum are not known; ``e_infinity`` is that of time 0.
    """
    operators = [constant, *(operator for _, operator in parts)]
    is_real = is_real and all(operator.is_real for operator in operators)
    is_hermitian = is_hermitian and all(operator.is_hermitian for operator in operators)
    assert all(operator.at is None for operator in operators), "parts that depend on time themselves"

    terms: tuple[Part, ...] = ((_one, constant), *parts)

    def at(time: Array) -> Operator:
        factors = [jnp.asarray(1.0), *(jnp.asarray(f(time)) for f, _ in parts)]

        def diagonal(s_N: Array) -> Array:
            total = sum(f * operator.diagonal(s_N) for f, operator in zip(factors, operators, strict=True))
            return jnp.real(total) if is_hermitian else jnp.asarray(total)

        def connected(s_N: Array) -> tuple[Move, Array]:
            found = [operator.connected(s_N) for operator in operators]
            width = max(moves.sites.shape[1] for moves, _ in found)
            pads = [[(0, 0), (0, width - moves.sites.shape[1])] for moves, _ in found]
            sites = jnp.concatenate([jnp.pad(moves.sites, pad) for (moves, _), pad in zip(found, pads, strict=True)])
            deltas = jnp.concatenate([jnp.pad(moves.deltas, pad) for (moves, _), pad in zip(found, pads, strict=True)])
            elements = jnp.concatenate([f * part for f, (_, part) in zip(factors, found, strict=True)])
            if not is_real:
                elements = elements.astype(jnp.complex128)
            # a coefficient that is 0 now leaves elements 0, which come with no move
            return Move(sites, jnp.where((elements != 0)[:, None], deltas, jnp.int8(0))), elements

        return operator_of(diagonal, connected)

    def operator_of(diagonal: Callable[[Array], Array], connected: Callable[[Array], tuple[Move, Array]]) -> Operator:
        return Operator(
            diagonal,
            connected,
            sum(operator.n_connected for operator in operators),
            is_real,
            e_infinity,
            may_vanish=True,
            is_hermitian=is_hermitian,
            at=at,
            terms=terms,
        )

    coefficients = [1.0, *(float(jnp.real(f(jnp.asarray(0.0)))) for f, _ in parts)]
    e_infinity = sum(f * operator.e_infinity for f, operator in zip(coefficients, operators, strict=True))
    return at(jnp.asarray(0.0))


def _one(time: Array) -> Array:
    return jnp.ones_like(time)
