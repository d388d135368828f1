"""A network that takes couplings as input (`types.Ansatz.bound`), with these as data: one program for all.

``carrying``  the couplings travel with the parameters, (params, gamma_G) instead of params.
``numbered``  they travel with the configuration, whose last entry, one more than there are sites, is their number k in
              a list gamma_KG: samples of several wave functions are differentiated together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.types import Ansatz, Layered, Tree, WithCouplings

MOST = int(np.iinfo(np.int8).max)  # lists of couplings: their numbers stand in configurations


def carrying(ansatz: Ansatz) -> Ansatz:
    """psi(s; gamma, theta) of the parameters ``WithCouplings(theta, gamma)``. Has neither derivatives nor initial
    parameters: it is sampled, and its ratios are taken.
    """
    bound = ansatz.bound
    assert bound is not None

    def of(name: str) -> Callable[..., Any]:
        def call(told: WithCouplings, *data: Any, **more: Any) -> Any:
            return getattr(bound(told.couplings_G), name)(told.own, *data, **more)

        return call

    return Ansatz(
        init=ansatz.init,
        log_psi=of("log_psi"),
        kind=ansatz.kind,
        freeze=lambda told: WithCouplings(bound(told.couplings_G).freeze(told.own), told.couplings_G),
        prepare=of("prepare"),
        log_ratio=of("log_ratio"),
        log_ratios=of("log_ratios"),
        attempt=of("attempt"),
        advance=of("advance"),
        whole=ansatz.whole,
    )


def numbered(ansatz: Ansatz, couplings_KG: NDArray[Any]) -> Ansatz:
    """psi(s; gamma_k, theta) as a function of (s, k), (N + 1,) int8, for derivatives by theta: its ratios are those of
    no configuration.
    """
    bound = ansatz.bound
    assert bound is not None and len(couplings_KG) <= MOST

    def at(s: Array) -> tuple[Ansatz, Array]:
        return bound(jnp.asarray(couplings_KG)[s[-1].astype(jnp.int32)]), s[:-1]

    def log_psi(params: Tree, s: Array) -> Array:
        one, s_N = at(s)
        return one.log_psi(params, s_N)

    def tape(params: Tree, s: Array) -> tuple[tuple[Tree, Tree], ...]:
        one, s_N = at(s)
        assert one.layered is not None
        return one.layered.tape(params, s_N)

    layered = None if ansatz.layered is None else Layered(tape, ansatz.layered.stages)
    return ansatz._replace(log_psi=log_psi, layered=layered, factors=None, modulus=None, conditionals=None, bound=None)
