"""Every amplitude a parameter: log psi(s) = theta[index(s)], the wave function itself, of a space that can be counted.

Any state of the space is one of these, exact states too (`parts.reference_in_time`), and its tangent space is the whole
space: what is computed with it has no error but that of the method. psi(s) = 0 is theta = -inf.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.full_evaluation import ratio_to
from nqs_hpc.ansatz.layers import parameter_dtype
from nqs_hpc.ansatz.names import FloatName
from nqs_hpc.system.hilbert import Hilbert, codes, is_whole
from nqs_hpc.types import Ansatz, Move, Tree


def table(hilbert: Hilbert, *, init_scale: float = 0.1, float_dtype: FloatName = "float64") -> Ansatz:
    """log psi(s) = theta[k] of the state number k in the order of `system.hilbert.codes`; holomorphic.

    The parameters are theta, (D,) complex; at random normal with standard deviation ``init_scale`` of real and
    imaginary part. States outside of the space have psi = 0.
    """
    codes_D = codes(hilbert)
    whole = is_whole(hilbert)
    low, values = min(hilbert.local_values), hilbert.local_values
    digits = np.full(max(values) - low + 1, -1, dtype=np.int64)
    digits[np.asarray(values) - low] = np.arange(len(values))
    places_N = len(values) ** np.arange(hilbert.n_sites, dtype=np.int64)

    def init(key: Array) -> Array:
        planes = init_scale * jax.random.normal(key, (2, len(codes_D)))
        return jax.lax.complex(planes[0], planes[1]).astype(parameter_dtype("complex", float_dtype))

    def code_of(s_N: Array) -> Array:
        return jnp.sum(jnp.asarray(digits)[s_N.astype(jnp.int32) - low] * jnp.asarray(places_N))

    def entry(theta_D: Array, code: Array) -> Array:
        if whole:
            return theta_D[code]
        place = jnp.minimum(jnp.searchsorted(jnp.asarray(codes_D), code), len(codes_D) - 1)
        return jnp.where(jnp.asarray(codes_D)[place] == code, theta_D[place], -jnp.inf)

    def prepare(theta_D: Array, s_N: Array) -> tuple[Array, Array]:
        code = code_of(s_N)
        return code, entry(theta_D, code)

    def attempt(theta_D: Array, s_N: Array, cache: Tree, move: Move) -> tuple[Array, Tree]:
        code, log_psi = cache
        old = s_N[move.sites].astype(jnp.int32)
        new = old + move.deltas.astype(jnp.int32)
        steps = jnp.asarray(digits)[new - low] - jnp.asarray(digits)[old - low]
        code = code + jnp.sum(steps * jnp.asarray(places_N)[move.sites])
        log_psi_new = entry(theta_D, code)
        return ratio_to(log_psi_new, log_psi), (code, log_psi_new)

    return complete(
        init,
        lambda theta_D, s_N: entry(theta_D, code_of(s_N)),
        "holomorphic",
        prepare=prepare,
        attempt=attempt,
    )


def of_amplitudes(psi_D: ArrayLike) -> Array:
    """The parameters of the wave function with these amplitudes, in the order of codes; the norm is kept."""
    with np.errstate(divide="ignore"):
        return jnp.asarray(np.log(np.asarray(psi_D, dtype=np.complex128)))
