"""Mean field: log psi(s) = sum_i a_i s_i."""

from __future__ import annotations

import jax
from jax import Array

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.types import Ansatz, Move


def toy(n_sites: int, scale: float, float_dtype: str) -> Ansatz:
    def init(key: Array) -> Array:
        return scale * jax.random.normal(key, (n_sites,), float_dtype)

    def log_psi(a_N: Array, s_N: Array) -> Array:
        return a_N @ s_N.astype(float_dtype)

    def attempt(a_N: Array, s_N: Array, cache: tuple[()], move: Move) -> tuple[Array, tuple[()]]:
        return a_N[move.sites] @ move.deltas.astype(float_dtype), cache

    return complete(init, log_psi, "real", attempt=attempt)
