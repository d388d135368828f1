"""Two-body Jastrow wave function.

    log psi(s) = sum_{i<j} W_ij s_i s_j + sum_i a_i s_i

Jastrow, Phys. Rev. 98, 1479 (1955); for spins Manousakis, Rev. Mod. Phys. 63, 1 (1991), and Capello, Becca, Fabrizio,
Sorella and Tosatti, Phys. Rev. Lett. 94, 026406 (2005). Real parameters give a positive wave
function, complex ones a holomorphic log psi.

With the field h_i = a_i + sum_j W_ij s_j (W symmetric, zero on the diagonal) as cache, a move with deltas d has

    log psi(s') - log psi(s) = sum_i d_i h_i + 1/2 sum_{ij} d_i W_ij d_j,    h' = h + W d:

F^2 operations for a ratio, N F to follow a move.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.layers import normal, parameter_dtype
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.product import fields_as
from nqs_hpc.system.product_states import affine
from nqs_hpc.types import Ansatz, Kind, Move


class JastrowParams(NamedTuple):
    w: Array  # (N (N - 1) / 2,): W_ij for i < j, row by row
    a: Array  # (N,)


class JastrowFrozen(NamedTuple):
    w: Array  # (N, N), symmetric with zero diagonal
    a: Array  # (N,)


def jastrow(
    n_sites: int,
    *,
    dtype: NumberName = "real",
    init_scale: float = 0.01,
    local_values: tuple[int, ...] = (1, -1),
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A Jastrow wave function of kind ``real`` or, with dtype="complex", ``holomorphic``, for any local values.

    Parameters start as normal numbers of standard deviation ``init_scale``. Raises ValueError for fewer than two sites.
    As a product state it has W = 0: its log-derivatives are those of any other state, all s_i s_j and all s_i. That of
    equal amplitudes it is for any ``local_values``, others for two of them.
    """
    if n_sites < 2:
        raise ValueError(f"n_sites={n_sites}: at least 2, since the wave function is one of pairs")
    param_dtype = parameter_dtype(dtype, float_dtype)
    first, second = np.triu_indices(n_sites, k=1)

    def init(key: Array) -> JastrowParams:
        key_w, key_a = jax.random.split(key)
        return JastrowParams(
            w=normal(key_w, (len(first),), init_scale, param_dtype),
            a=normal(key_a, (n_sites,), init_scale, param_dtype),
        )

    def upper(w: Array) -> Array:
        """(N, N): W_ij for i < j, else 0."""
        return jnp.zeros((n_sites, n_sites), param_dtype).at[first, second].set(w)

    def log_psi(params: JastrowParams, s_N: Array) -> Array:
        s_N = s_N.astype(param_dtype)
        return s_N @ (upper(params.w) @ s_N + params.a)

    def freeze(params: JastrowParams) -> JastrowFrozen:
        w = upper(params.w)
        return JastrowFrozen(w=w + w.T, a=params.a)

    def prepare(frozen: JastrowFrozen, s_N: Array) -> Array:
        return frozen.a + s_N.astype(param_dtype) @ frozen.w

    def attempt(frozen: JastrowFrozen, s_N: Array, h_N: Array, move: Move) -> tuple[Array, tuple[()]]:
        del s_N
        d = move.deltas.astype(param_dtype)
        # Pads may repeat a site, but their delta is 0; and W_ii = 0, so no pair of a site with itself counts.
        w = frozen.w[move.sites[:, None], move.sites[None, :]]
        return d @ (h_N[move.sites] + w @ d / 2), ()

    def advance(
        frozen: JastrowFrozen, s_N: Array, h_N: Array, move: Move, attempted: tuple[()], accepted: Array | bool
    ) -> Array:
        del s_N, attempted
        d = jnp.where(accepted, move.deltas, 0).astype(param_dtype)
        return h_N + d @ frozen.w[move.sites]

    def shifted(params: JastrowParams, fields_N: Array) -> JastrowParams:
        return params._replace(a=params.a + fields_N.astype(param_dtype))

    def product_state(fields_N: NDArray[Any]) -> JastrowParams:
        a_N = fields_as(fields_N, param_dtype)
        if a_N.any():
            a_N = a_N / param_dtype.type(affine(local_values)[1])
        return JastrowParams(jnp.zeros(len(first), param_dtype), jnp.asarray(a_N))

    kind: Kind = "real" if dtype == "real" else "holomorphic"
    return complete(
        init,
        log_psi,
        kind,
        freeze=freeze,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        product_state=product_state,
        shifted=shifted,
    )
