"""The product of two wave functions:

    log psi(s) = log psi_1(s; theta_1) + log psi_2(s; theta_2),

of any amplitude and any determinant: a Jastrow factor times a Slater determinant (Jastrow, Phys. Rev. 98, 1479 (1955);
Becca and Sorella 2017, "Quantum Monte Carlo approaches for correlated systems"), or a neural network times one (Nomura,
Darmawan, Yamaji and Imada, Phys. Rev. B 96, 205152 (2017), arXiv:1709.06475). Each keeps its own ratios and caches.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
from jax import Array

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.types import Ansatz, Factors, Kind, Move, Tree


class Pair(NamedTuple):
    """Parameters, frozen parameters, caches or results of an attempt, of both."""

    first: Tree
    second: Tree


def product_of(first: Ansatz, second: Ansatz) -> Ansatz:
    """The product; its params are a `Pair`.

    Of kind ``real`` if both are, ``signed`` if both are real or signed, ``holomorphic`` if both are, else ``complex``,
    where the parameters may be real, complex, or some of each. Log-derivatives are factored where those of both are and
    the product is not ``complex``. ``modulus`` is the product of the moduli, where one of them costs less.
    """
    kind = _kind(first.kind, second.kind)
    made = _ratios(first, second, kind)
    one, other = (part.modulus or (part if part.kind == "real" else None) for part in (first, second))
    if one is not None and other is not None and kind != "real":
        modulus = _ratios(one, other, "real")
        made = made._replace(modulus=modulus._replace(init=made.init, factors=None))
    return made


def _kind(one: Kind, other: Kind) -> Kind:
    kinds = {one, other}
    if len(kinds) == 1:
        return one
    return "signed" if kinds == {"real", "signed"} else "complex"


def _ratios(first: Ansatz, second: Ansatz, kind: Kind) -> Ansatz:
    def init(key: Array) -> Pair:
        keys = jax.random.split(key)
        return Pair(first.init(keys[0]), second.init(keys[1]))

    def log_psi(params: Pair, s_N: Array) -> Array:
        return first.log_psi(params.first, s_N) + second.log_psi(params.second, s_N)

    def freeze(params: Pair) -> Pair:
        return Pair(first.freeze(params.first), second.freeze(params.second))

    def prepare(frozen: Pair, s_N: Array) -> Pair:
        return Pair(first.prepare(frozen.first, s_N), second.prepare(frozen.second, s_N))

    def log_ratios(frozen: Pair, s_N: Array, cache: Pair, moves_KF: Move) -> Array:
        of_first = first.log_ratios(frozen.first, s_N, cache.first, moves_KF)
        return of_first + second.log_ratios(frozen.second, s_N, cache.second, moves_KF)

    def attempt(frozen: Pair, s_N: Array, cache: Pair, move: Move) -> tuple[Array, Pair]:
        one, of_first = first.attempt(frozen.first, s_N, cache.first, move)
        other, of_second = second.attempt(frozen.second, s_N, cache.second, move)
        return one + other, Pair(of_first, of_second)

    def advance(frozen: Pair, s_N: Array, cache: Pair, move: Move, tried: Pair, accepted: Array | bool) -> Pair:
        return Pair(
            first.advance(frozen.first, s_N, cache.first, move, tried.first, accepted),
            second.advance(frozen.second, s_N, cache.second, move, tried.second, accepted),
        )

    return complete(
        init,
        log_psi,
        kind,
        freeze=freeze,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        log_ratios=log_ratios,
        factors=_factors(first.factors, second.factors) if kind != "complex" else None,
        whole=first.whole or second.whole,
    )


def _factors(one: Factors | None, other: Factors | None) -> Factors | None:
    if one is None or other is None:
        return None
    n_first = 1 + max((i for leaf in one.leaves for i in leaf), default=-1)
    leaves = (*one.leaves, *(tuple(n_first + i for i in leaf) for leaf in other.leaves))

    def parts(params: Pair, s_N: Array) -> tuple[Array, ...]:
        return (*one.parts(params.first, s_N)[:n_first], *other.parts(params.second, s_N))

    return Factors(parts, leaves)
