"""Autoregressive dense network: a perceptron whose weights are masked so that site i sees only the sites before it.

z_L(i), the last numbers z of `masked_net`, are the outputs for site i, from which `conditionals` computes psi; hidden
layers have ``features`` numbers a site. This is MADE (Germain et al. 2015, arXiv:1502.03509) in a fixed order; as a
neural quantum state in Sharir et al., Phys. Rev. Lett. 124, 020503 (2020), arXiv:1902.04057. Only weights that are not
masked are parameters.

A move changes the outputs of all sites after its first one. A ratio updates the first layer, which is linear in s, from
a cache, and recomputes the others.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.conditionals import (
    Terms,
    allowed,
    allowed_everywhere,
    amplitude,
    digits,
    inside,
    local_space,
    log_change,
    log_probabilities,
    log_product,
)
from nqs_hpc.ansatz.full_evaluation import apply_move
from nqs_hpc.ansatz.layers import real_parameters
from nqs_hpc.ansatz.masked_net import DenseFrozen, Masked, masked_net
from nqs_hpc.ansatz.names import Activation, FloatName, NumberName
from nqs_hpc.types import Ansatz, Conditionals, Move


class DenseCache(NamedTuple):
    first: Array  # (N, out): z of the first layer
    terms: Terms  # (N,): the log-amplitudes of the conditionals
    is_zero: Array  # bool: psi(s) = 0


class DenseRunning(NamedTuple):
    x: tuple[Array, ...]  # (N, in) by layer: the inputs known so far, else 0
    before: Array  # int32: the total of the digits so far


def masked_dense(
    n_sites: int,
    *,
    layers: int,
    features: int,
    activation: Activation = "selu",
    dtype: NumberName = "real",
    init_scale: float = 1.0,
    local_values: tuple[int, ...] = (1, -1),
    total: int | None = None,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A dense autoregressive network of kind ``real`` or ``complex``; params are a tuple of ``Masked``, all real.

    ``layers`` includes the one to the outputs. Weights start normal with variance init_scale^2 / (inputs of the site),
    biases at zero. ``total`` restricts psi to the configurations that have it. Raises ValueError for sizes below 1, an
    unknown name, local values that are not evenly spaced and totals that no configuration has.
    """
    if n_sites < 1 or layers < 1 or features < 1:
        raise ValueError(f"n_sites={n_sites}, layers={layers}, features={features}: each must be at least 1")
    space = local_space(n_sites, local_values, total)
    real_dtype = real_parameters(dtype, float_dtype)
    widths = (1, *[features] * (layers - 1), space.n_values * (2 if dtype == "complex" else 1))
    net = masked_net(n_sites, widths, activation=activation, init_scale=init_scale, dtype=real_dtype)

    def log_psi(params: tuple[Masked, ...], s_N: Array) -> Array:
        frozen = net.freeze(params)
        return log_product(space, net.outputs(frozen, net.first_layer(frozen, s_N)), s_N)

    def cache_of(frozen: DenseFrozen, first: Array, s_N: Array) -> DenseCache:
        digits_N = digits(space, s_N)
        terms = amplitude(space, net.outputs(frozen, first), digits_N, allowed_everywhere(space, digits_N))
        return DenseCache(first, terms, ~inside(space, digits_N))

    def prepare(frozen: DenseFrozen, s_N: Array) -> DenseCache:
        return cache_of(frozen, net.first_layer(frozen, s_N), s_N)

    def attempt(frozen: DenseFrozen, s_N: Array, cache: DenseCache, move: Move) -> tuple[Array, DenseCache]:
        rows = frozen.weights[0].at[move.sites].get(mode="promise_in_bounds")
        first = cache.first + (move.deltas.astype(real_dtype) @ rows).reshape(n_sites, -1)
        new = cache_of(frozen, first, apply_move(s_N, move))
        ratio = log_change(new.terms, cache.terms)
        if space.total is not None:
            ratio = jnp.where(cache.is_zero, 0, jnp.where(new.is_zero, -jnp.inf, ratio))
        return ratio, new

    def begin(frozen: DenseFrozen) -> DenseRunning:
        del frozen
        return DenseRunning(net.begin(), jnp.int32(0))

    def step(frozen: DenseFrozen, running: DenseRunning, site: Array) -> tuple[Array, DenseRunning]:
        z, x = net.at_site(frozen, running.x, site)
        log_p_V = log_probabilities(z[: space.n_values], allowed(space, site, running.before))
        return log_p_V, DenseRunning(x, running.before)

    def extend(frozen: DenseFrozen, running: DenseRunning, site: Array, digit: Array) -> DenseRunning:
        del frozen
        value = space.first + space.spacing * digit
        return DenseRunning(net.told(running.x, site, value), running.before + digit)

    conditionals = Conditionals(begin, step, extend)
    return complete(
        net.init, log_psi, dtype, freeze=net.freeze, prepare=prepare, attempt=attempt, conditionals=conditionals
    )
