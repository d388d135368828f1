"""Autoregressive dense network: a perceptron whose weights are masked so that site i sees only the sites before it.

    x_0 = s,   z_l(i) = b_l(i) + sum_(j<=i) W_l(i, j) x_(l-1)(j),   x_l = f(z_l),   z_L(i) = the outputs for site i

with j < i in the first layer, and ``features`` numbers per site in each hidden layer; `conditionals` computes psi from
the outputs. This is MADE (Germain et al. 2015, arXiv:1502.03509) in a fixed order; as a neural quantum state in Sharir
et al., Phys. Rev. Lett. 124, 020503 (2020), arXiv:1902.04057. Only weights that are not masked are parameters.

A move changes the outputs of all sites after its first one. A ratio updates the first layer, which is linear in s, from
a cache, and recomputes the others.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.activations import activation_function
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
from nqs_hpc.ansatz.layers import normal, real_parameters
from nqs_hpc.ansatz.names import Activation, FloatName, NumberName
from nqs_hpc.types import Ansatz, Conditionals, Move


class Masked(NamedTuple):
    """x -> z of one layer; the pairs (j, i) of sites are sorted by j, then by i."""

    weight: Array  # (pairs, in, out)
    bias: Array  # (N, out)


class DenseFrozen(NamedTuple):
    weights: tuple[Array, ...]  # (N in, N out) by layer, 0 where masked
    biases: tuple[Array, ...]  # (N, out)


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
    nonlinear = activation_function(activation)
    space = local_space(n_sites, local_values, total)
    real_dtype = real_parameters(dtype, float_dtype)
    widths = (1, *[features] * (layers - 1), space.n_values * (2 if dtype == "complex" else 1))
    pairs = [np.triu_indices(n_sites, 1 if layer == 0 else 0) for layer in range(layers)]  # j, i

    def init(key: Array) -> tuple[Masked, ...]:
        result = []
        for layer, k in enumerate(jax.random.split(key, layers)):
            n_in, n_out = widths[layer], widths[layer + 1]
            n_seen = pairs[layer][1] + (layer > 0)
            scale = init_scale / np.sqrt(n_seen * n_in)
            weight = normal(k, (len(n_seen), n_in, n_out), 1.0, real_dtype)
            weight = (weight * scale[:, None, None]).astype(real_dtype)
            result.append(Masked(weight, jnp.zeros((n_sites, n_out), real_dtype)))
        return tuple(result)

    def freeze(params: tuple[Masked, ...]) -> DenseFrozen:
        return DenseFrozen(
            tuple(full(layer.weight, *both) for layer, both in zip(params, pairs, strict=True)),
            tuple(layer.bias for layer in params),
        )

    def full(weight: Array, j: np.ndarray, i: np.ndarray) -> Array:
        _, n_in, n_out = weight.shape
        # a scatter here, so that the derivative for each sample is a gather
        blocks = (
            jnp.zeros((n_sites, n_sites, n_in, n_out), real_dtype)
            .at[j, i]
            .set(weight, unique_indices=True, indices_are_sorted=True, mode="promise_in_bounds")
        )
        return blocks.transpose(0, 2, 1, 3).reshape(n_sites * n_in, n_sites * n_out)

    def first_layer(frozen: DenseFrozen, s_N: Array) -> Array:
        return (s_N.astype(real_dtype) @ frozen.weights[0]).reshape(n_sites, -1) + frozen.biases[0]

    def outputs_of(frozen: DenseFrozen, first: Array) -> Array:
        z = first
        for weight, bias in zip(frozen.weights[1:], frozen.biases[1:], strict=True):
            z = (nonlinear(z).reshape(-1) @ weight).reshape(n_sites, -1) + bias
        return z

    def log_psi(params: tuple[Masked, ...], s_N: Array) -> Array:
        frozen = freeze(params)
        return log_product(space, outputs_of(frozen, first_layer(frozen, s_N)), s_N)

    def cache_of(frozen: DenseFrozen, first: Array, s_N: Array) -> DenseCache:
        digits_N = digits(space, s_N)
        terms = amplitude(space, outputs_of(frozen, first), digits_N, allowed_everywhere(space, digits_N))
        return DenseCache(first, terms, ~inside(space, digits_N))

    def prepare(frozen: DenseFrozen, s_N: Array) -> DenseCache:
        return cache_of(frozen, first_layer(frozen, s_N), s_N)

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
        return DenseRunning(tuple(jnp.zeros((n_sites, n), real_dtype) for n in widths[:-1]), jnp.int32(0))

    def step(frozen: DenseFrozen, running: DenseRunning, site: Array) -> tuple[Array, DenseRunning]:
        planes, z = list(running.x), jnp.zeros(0)
        for layer, (weight, bias) in enumerate(zip(frozen.weights, frozen.biases, strict=True)):
            if layer > 0:
                planes[layer] = put(planes[layer], site, nonlinear(z))
            n_out = widths[layer + 1]
            columns = jax.lax.dynamic_slice_in_dim(weight, site * n_out, n_out, axis=1)
            z = planes[layer].reshape(-1) @ columns + bias[site]
        log_p_V = log_probabilities(z[: space.n_values], allowed(space, site, running.before))
        return log_p_V, DenseRunning(tuple(planes), running.before)

    def extend(frozen: DenseFrozen, running: DenseRunning, site: Array, digit: Array) -> DenseRunning:
        del frozen
        value = (space.first + space.spacing * digit).astype(real_dtype)
        return DenseRunning((put(running.x[0], site, value[None]), *running.x[1:]), running.before + digit)

    def put(plane: Array, site: Array, x: Array) -> Array:
        return plane.at[site].set(x, mode="promise_in_bounds")

    conditionals = Conditionals(begin, step, extend)
    return complete(init, log_psi, dtype, freeze=freeze, prepare=prepare, attempt=attempt, conditionals=conditionals)
