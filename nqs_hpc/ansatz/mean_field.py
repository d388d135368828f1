"""Product state: every site by itself,

    log psi(s) = sum_i theta_i(s_i),

with a number theta_i(v) for each local value v. With real theta psi is positive, with complex ones any product of
states of single sites of which no amplitude vanishes, and log psi is holomorphic. Its lowest energy is that of
mean-field theory (Weiss, J. Phys. Theor. Appl. 6, 661 (1907)), the start of every comparison: of the transverse-field
Ising model with z neighbours a site, -h^2 / (2 z J) - z J / 2 a site for h < z J, and -h above.

A ratio is a difference of two entries of a table for each site that a move changes.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.conditionals import digits, local_space
from nqs_hpc.ansatz.layers import normal, parameter_dtype
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.types import Ansatz, Move


def mean_field(
    n_sites: int,
    *,
    dtype: NumberName = "real",
    init_scale: float = 0.1,
    local_values: tuple[int, ...] = (1, -1),
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A product state of kind ``real`` or, with dtype="complex", ``holomorphic``; params are theta (N, V).

    theta starts as normal numbers of standard deviation ``init_scale``. ValueError for no sites and for local values
    that are not evenly spaced.
    """
    if n_sites < 1:
        raise ValueError(f"n_sites={n_sites}: at least 1")
    space = local_space(n_sites, local_values, None)
    param_dtype = parameter_dtype(dtype, float_dtype)

    def init(key: Array) -> Array:
        return normal(key, (n_sites, space.n_values), init_scale, param_dtype)

    def log_psi(theta_NV: Array, s_N: Array) -> Array:
        return jnp.sum(theta_NV[np.arange(n_sites), digits(space, s_N)])

    def attempt(theta_NV: Array, s_N: Array, cache: tuple[()], move: Move) -> tuple[Array, tuple[()]]:
        del cache
        old_F = s_N[move.sites].astype(jnp.int32)
        new_F = old_F + move.deltas.astype(jnp.int32)
        rows_F = theta_NV[move.sites]
        number_F = np.arange(len(move.sites))
        return jnp.sum(rows_F[number_F, digits(space, new_F)] - rows_F[number_F, digits(space, old_F)]), ()

    return complete(init, log_psi, "real" if dtype == "real" else "holomorphic", attempt=attempt)
