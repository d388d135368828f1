"""The product of two wave functions with parameters of their own,

    log psi(s) = log psi_1(s; theta_1) + log psi_2(s; theta_2),

an amplitude on occupations times a determinant above all: Jastrow, Phys. Rev. 98, 1479 (1955); for lattices Capello,
Becca, Fabrizio, Sorella and Tosatti, Phys. Rev. Lett. 94, 026406 (2005); with an RBM Nomura, Darmawan, Yamaji and
Imada, Phys. Rev. B 96, 205152 (2017), arXiv:1709.06475.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.types import Ansatz, Factors, Kind, Move, Tree


class Pair(NamedTuple):
    """Parameters, frozen parameters, caches or results of an attempt, of both factors."""

    first: Tree
    second: Tree


def products(first: Ansatz, second: Ansatz) -> Ansatz:
    """The product, with the ratios and caches of both; params are a `Pair`.

    Kind: ``real``, ``signed`` or ``holomorphic`` where both factors are (a real and a signed one are signed), else
    ``complex``. Log-derivatives are factored where those of both are and the kind is not complex; fields shift the
    first factor that can have them. It is no product state.
    """
    kind = _kind(first.kind, second.kind)
    both = _summed(first, second, kind, real=False)
    has_less = first.modulus is not None or second.modulus is not None
    modulus = _summed(first.modulus or first, second.modulus or second, "real", real=True) if has_less else None

    def shifted(params: Pair, fields_N: Array) -> Pair:
        if first.shifted is not None:
            return params._replace(first=first.shifted(params.first, fields_N))
        assert second.shifted is not None
        return params._replace(second=second.shifted(params.second, fields_N))

    return both._replace(
        factors=None if kind == "complex" else _factors(first, second),
        modulus=modulus,
        shifted=None if first.shifted is None and second.shifted is None else shifted,
    )


def _summed(first: Ansatz, second: Ansatz, kind: Kind, *, real: bool) -> Ansatz:
    """The sum of both logarithms, or of their real parts, which is the logarithm of the modulus."""

    def plus(a: Array, b: Array) -> Array:
        return jnp.real(a) + jnp.real(b) if real else a + b

    def init(key: Array) -> Pair:
        keys = jax.random.split(key)
        return Pair(first.init(keys[0]), second.init(keys[1]))

    def log_psi(params: Pair, s_N: Array) -> Array:
        return plus(first.log_psi(params.first, s_N), second.log_psi(params.second, s_N))

    def freeze(params: Pair) -> Pair:
        return Pair(first.freeze(params.first), second.freeze(params.second))

    def prepare(frozen: Pair, s_N: Array) -> Pair:
        return Pair(first.prepare(frozen.first, s_N), second.prepare(frozen.second, s_N))

    def log_ratios(frozen: Pair, s_N: Array, cache: Pair, moves_KF: Move) -> Array:
        return plus(
            first.log_ratios(frozen.first, s_N, cache.first, moves_KF),
            second.log_ratios(frozen.second, s_N, cache.second, moves_KF),
        )

    def attempt(frozen: Pair, s_N: Array, cache: Pair, move: Move) -> tuple[Array, Pair]:
        of_first, tried_first = first.attempt(frozen.first, s_N, cache.first, move)
        of_second, tried_second = second.attempt(frozen.second, s_N, cache.second, move)
        return plus(of_first, of_second), Pair(tried_first, tried_second)

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
        whole=first.whole or second.whole,
    )


def _kind(first: Kind, second: Kind) -> Kind:
    kinds = {first, second}
    if kinds == {"holomorphic"}:
        return "holomorphic"
    if kinds == {"real"}:
        return "real"
    return "signed" if kinds <= {"real", "signed"} else "complex"


def _factors(first: Ansatz, second: Ansatz) -> Factors | None:
    if first.factors is None or second.factors is None:
        return None
    of_first, of_second = first.factors, second.factors
    n_first = 1 + max(max(leaf) for leaf in of_first.leaves)
    leaves = (*of_first.leaves, *(tuple(n_first + i for i in leaf) for leaf in of_second.leaves))

    def parts(params: Pair, s_N: Array) -> tuple[Array, ...]:
        found = of_first.parts(params.first, s_N)
        assert len(found) == n_first
        return (*found, *of_second.parts(params.second, s_N))

    return Factors(parts, leaves)
