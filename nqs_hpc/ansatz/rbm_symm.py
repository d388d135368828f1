"""Restricted Boltzmann machine of shared weights, invariant under translations.

    log psi(s) = sum_i a_{c(i)} s_i + sum_{f,t} log 2 cosh(theta_ft),    theta_ft = b_f + sum_i w_fi s_{t(i)}

with t all translations of the lattice, t(i) the site that t carries i to, and c(i) the place of site i in its cell:
each feature f is one hidden unit, moved to every cell. Carleo and Troyer, Science 355, 602 (2017), arXiv:1606.02318.

It is an RBM whose weights are W_{j,(f,t)} = w_{f,t(j)}, with a unit for each t as for its inverse, and its ratios are
those of that RBM (`ansatz.rbm`). The
log-derivatives are sums over translations,

    d log psi / d w_fi = sum_t tanh(theta_ft) s_{t(i)},

products of matrices once the translated configurations stand in rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.activations import LOG_2, log_cosh
from nqs_hpc.ansatz.layers import normal, parameter_dtype, times_weight
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.product import fields_as, strengths
from nqs_hpc.ansatz.rbm import RBMFrozen, RBMParams, rbm
from nqs_hpc.system.product_states import TINY, affine, reduced
from nqs_hpc.types import Ansatz


class RBMSymmParams(NamedTuple):
    """Z places in a cell, f features; the biases are None if ``bias=False``."""

    w: Array  # (f, N)
    a: Array | None  # (Z,)
    b: Array | None  # (f,)


def rbm_symm(
    perms_TN: NDArray[np.int32],
    *,
    n_features: int,
    dtype: NumberName = "real",
    bias: bool = True,
    init_scale: float = 0.01,
    local_values: tuple[int, ...] = (1, -1),
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A translation-invariant RBM of kind ``real`` or, with dtype="complex", ``holomorphic``.

    ``perms_TN`` are all translations, a group (`system.symmetry.translations`). Parameters start as normal numbers of
    standard deviation ``init_scale``. As a product state each feature is on one site of a cell; its fields are the same
    in all cells. Raises ValueError as `rbm`.
    """
    n_shifts, n_sites = perms_TN.shape
    full = rbm(
        n_sites,
        n_hidden=n_features * n_shifts,
        dtype=dtype,
        bias=bias,
        local_values=local_values,
        float_dtype=float_dtype,
    )
    param_dtype = parameter_dtype(dtype, float_dtype)
    # the sites of the first cell, one of each set of sites that translations join, and which of them every site is
    first_Z, place_N = np.unique(perms_TN.min(axis=0), return_inverse=True)

    def init(key: Array) -> RBMSymmParams:
        key_w, key_a, key_b = jax.random.split(key, 3)
        return RBMSymmParams(
            w=normal(key_w, (n_features, n_sites), init_scale, param_dtype),
            a=normal(key_a, (len(first_Z),), init_scale, param_dtype) if bias else None,
            b=normal(key_b, (n_features,), init_scale, param_dtype) if bias else None,
        )

    def expanded(params: RBMSymmParams) -> RBMParams:
        """The RBM with a hidden unit for each feature and translation."""
        w = params.w[:, perms_TN].reshape(-1, n_sites).T
        if params.a is None or params.b is None:
            return RBMParams(w, None, None)
        return RBMParams(w, params.a[place_N], jnp.repeat(params.b, n_shifts))

    def freeze(params: RBMSymmParams) -> RBMFrozen:
        frozen: RBMFrozen = full.freeze(expanded(params))
        return frozen

    def log_psi(params: RBMSymmParams, s_N: Array) -> Array:
        theta_TM = times_weight(s_N[perms_TN], params.w.T)
        if params.a is None or params.b is None:
            return jnp.sum(log_cosh(theta_TM)) + theta_TM.size * LOG_2
        hidden = jnp.sum(log_cosh(theta_TM + params.b[None])) + theta_TM.size * LOG_2
        # as floats: int8 holds no sum of many sites
        sum_Z = jax.ops.segment_sum(jnp.asarray(s_N, params.w.real.dtype), place_N, len(first_Z))
        return hidden + times_weight(sum_Z, params.a)

    def product_state(fields_N: NDArray[Any]) -> RBMSymmParams:
        a_N = fields_as(fields_N, param_dtype)
        if np.abs(reduced(a_N - a_N[first_Z][place_N])).max() > TINY:
            raise ValueError("a state that is the same in all cells, as the network is")
        middle, half = affine(local_values)
        if not bias and (a_N.any() or middle):
            raise ValueError("without biases the network is even in all values: bias=true")
        r_M = strengths(n_features, param_dtype) / half
        features = np.arange(n_features)
        w = jnp.zeros((n_features, n_sites), param_dtype).at[features, first_Z[features % len(first_Z)]].set(r_M)
        if not bias:
            return RBMSymmParams(w, None, None)
        a = jnp.asarray(a_N[first_Z] / half, param_dtype)
        return RBMSymmParams(w, a, jnp.asarray(-middle * r_M, param_dtype))

    return full._replace(init=init, log_psi=log_psi, freeze=freeze, factors=None, product_state=product_state)
