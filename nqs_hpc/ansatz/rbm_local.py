"""Restricted Boltzmann machine of local range: each hidden unit belongs to a site and sees only the sites near it.

    log psi(s) = sum_i a_i s_i + sum_j log 2 cosh(theta_j),    theta_j = b_j + sum_(i near j) s_i w_ij

Deng, Li and Das Sarma, Phys. Rev. B 96, 195145 (2017), arXiv:1609.09060, and Phys. Rev. X 7, 021021 (2017),
arXiv:1701.04844: with a range that does not grow with the lattice, the entanglement entropy obeys an area law. It is an
RBM whose other weights are 0, and its ratios are those of that RBM (`ansatz.rbm`); its parameters are the weights that
are there. Where every unit sees all sites it is that RBM.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.product import sites_of_units
from nqs_hpc.ansatz.rbm import RBMFrozen, RBMParams, rbm
from nqs_hpc.types import Ansatz


def rbm_local(
    near_NN: NDArray[np.bool_],
    *,
    n_hidden: int,
    dtype: NumberName = "real",
    bias: bool = True,
    init_scale: float = 0.01,
    local_values: tuple[int, ...] = (1, -1),
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """Of kind ``real`` or, with dtype="complex", ``holomorphic``; params are `RBMParams` with ``w`` (pairs,).

    ``near_NN`` says which sites a unit at a site sees; it is symmetric, and a site is near itself. Units stand at the
    sites of `product.sites_of_units`, where they make a product state. Pairs are sorted by site, then by unit.
    Parameters start as normal numbers of standard deviation ``init_scale``. Raises ValueError as `rbm`.
    """
    n_sites = len(near_NN)
    full = rbm(
        n_sites,
        n_hidden=n_hidden,
        dtype=dtype,
        bias=bias,
        init_scale=init_scale,
        local_values=local_values,
        float_dtype=float_dtype,
    )
    site_P, unit_P = np.nonzero(near_NN[:, sites_of_units(n_sites, n_hidden)])

    def kept(params: RBMParams) -> RBMParams:
        return params._replace(w=params.w[site_P, unit_P])

    def expanded(params: RBMParams) -> RBMParams:
        w = jnp.zeros((n_sites, n_hidden), params.w.dtype)
        # a scatter, so that the derivative for each sample is a gather
        w = w.at[site_P, unit_P].set(params.w, unique_indices=True, mode="promise_in_bounds")
        return params._replace(w=w)

    def freeze(params: RBMParams) -> RBMFrozen:
        frozen: RBMFrozen = full.freeze(expanded(params))
        return frozen

    def log_psi(params: RBMParams, s_N: Array) -> Array:
        return full.log_psi(expanded(params), s_N)

    def product_state(fields_N: NDArray[Any]) -> RBMParams:
        assert full.product_state is not None
        return kept(full.product_state(fields_N))

    return full._replace(
        init=lambda key: kept(full.init(key)),
        log_psi=log_psi,
        freeze=freeze,
        factors=None,
        product_state=product_state,
    )
