"""The network of autoregressive wave functions of dense layers: numbers z(i) of site i that see the sites before it.

    x_0 = s,   z_l(i) = b_l(i) + sum_(j<=i) W_l(i, j) x_(l-1)(j),   x_l = f(z_l),

with j < i in the first layer. Germain et al. 2015, arXiv:1502.03509. Only weights that are not masked are parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.activations import activation_function
from nqs_hpc.ansatz.layers import normal
from nqs_hpc.ansatz.names import Activation


class Masked(NamedTuple):
    """x -> z of one layer; the pairs (j, i) of sites are sorted by j, then by i."""

    weight: Array  # (pairs, in, out)
    bias: Array  # (N, out)


class DenseFrozen(NamedTuple):
    weights: tuple[Array, ...]  # (N in, N out) by layer, 0 where masked
    biases: tuple[Array, ...]  # (N, out)


class MaskedNet(NamedTuple):
    init: Callable[[Array], tuple[Masked, ...]]
    freeze: Callable[[tuple[Masked, ...]], DenseFrozen]
    first_layer: Callable[[DenseFrozen, Array], Array]  # s_N -> z of the first layer (N, out)
    outputs: Callable[[DenseFrozen, Array], Array]  # z of the first layer -> z of the last one
    begin: Callable[[], tuple[Array, ...]]  # the inputs of each layer before the first site: (N, in), 0
    # inputs so far, site -> z of the last layer there, and the inputs with those of this site after the first layer
    at_site: Callable[[DenseFrozen, tuple[Array, ...], Array], tuple[Array, tuple[Array, ...]]]
    # inputs, site, value -> the inputs with the value of this site
    told: Callable[[tuple[Array, ...], Array, Array], tuple[Array, ...]]


def masked_net(
    n_sites: int, widths: tuple[int, ...], *, activation: Activation, init_scale: float, dtype: np.dtype
) -> MaskedNet:
    """Layers from ``widths[l]`` to ``widths[l + 1]`` numbers a site; ``widths[0]`` is 1.

    Weights start normal with variance init_scale^2 / (inputs of the site), biases at zero.
    """
    nonlinear = activation_function(activation)
    layers = len(widths) - 1
    pairs = [np.triu_indices(n_sites, 1 if layer == 0 else 0) for layer in range(layers)]  # j, i

    def init(key: Array) -> tuple[Masked, ...]:
        result = []
        for layer, k in enumerate(jax.random.split(key, layers)):
            n_in, n_out = widths[layer], widths[layer + 1]
            n_seen = pairs[layer][1] + (layer > 0)
            scale = init_scale / np.sqrt(n_seen * n_in)
            weight = normal(k, (len(n_seen), n_in, n_out), 1.0, dtype)
            weight = (weight * scale[:, None, None]).astype(dtype)
            result.append(Masked(weight, jnp.zeros((n_sites, n_out), dtype)))
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
            jnp.zeros((n_sites, n_sites, n_in, n_out), dtype)
            .at[j, i]
            .set(weight, unique_indices=True, indices_are_sorted=True, mode="promise_in_bounds")
        )
        return blocks.transpose(0, 2, 1, 3).reshape(n_sites * n_in, n_sites * n_out)

    def first_layer(frozen: DenseFrozen, s_N: Array) -> Array:
        return (s_N.astype(dtype) @ frozen.weights[0]).reshape(n_sites, -1) + frozen.biases[0]

    def outputs(frozen: DenseFrozen, first: Array) -> Array:
        z = first
        for weight, bias in zip(frozen.weights[1:], frozen.biases[1:], strict=True):
            z = (nonlinear(z).reshape(-1) @ weight).reshape(n_sites, -1) + bias
        return z

    def begin() -> tuple[Array, ...]:
        return tuple(jnp.zeros((n_sites, n), dtype) for n in widths[:-1])

    def at_site(frozen: DenseFrozen, x: tuple[Array, ...], site: Array) -> tuple[Array, tuple[Array, ...]]:
        planes, z = list(x), jnp.zeros(0)
        for layer, (weight, bias) in enumerate(zip(frozen.weights, frozen.biases, strict=True)):
            if layer > 0:
                planes[layer] = put(planes[layer], site, nonlinear(z))
            n_out = widths[layer + 1]
            columns = jax.lax.dynamic_slice_in_dim(weight, site * n_out, n_out, axis=1)
            z = planes[layer].reshape(-1) @ columns + bias[site]
        return z, tuple(planes)

    def told(x: tuple[Array, ...], site: Array, value: Array) -> tuple[Array, ...]:
        return (put(x[0], site, value.astype(dtype)[None]), *x[1:])

    def put(plane: Array, site: Array, x: Array) -> Array:
        return plane.at[site].set(x, mode="promise_in_bounds")

    return MaskedNet(init, freeze, first_layer, outputs, begin, at_site, told)
