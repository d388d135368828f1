"""H = sum_i (field sz_i - sx_i sx_i+1) along the numbers of the sites."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.types import Move, Operator


def toy(n_sites: int, field: float) -> Operator:
    sites_KF = np.stack([np.arange(n_sites - 1), np.arange(1, n_sites)], axis=1).astype(np.int32)

    def diagonal(s_N: Array) -> Array:
        return field * jnp.sum(s_N, dtype=float)

    def connected(s_N: Array) -> tuple[Move, Array]:
        return Move(jnp.asarray(sites_KF), -2 * s_N[sites_KF]), jnp.full(n_sites - 1, -1.0)

    return Operator(diagonal, connected, n_sites - 1, True, e_infinity=0.0)
