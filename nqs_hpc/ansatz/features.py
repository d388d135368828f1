"""Networks that see which modes are occupied and give numbers instead of one amplitude: what orbitals can depend on.

    x(n): (rows, C),   one row for all modes (`perceptron`), or one for each orbital of a lattice (`convolutional`).

Input are 2 n - 1 of all modes. Both are equal layers as those of `mlp` and `resnet`, without a last one: whoever uses
the numbers has it. They are bounded by no symmetry but that of `convolutional`, which commutes with translations: its
rows of a shifted configuration are the shifted rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.activations import activation_function
from nqs_hpc.ansatz.convolution import convolution
from nqs_hpc.ansatz.layers import Dense, dense_apply, dense_layers_init, normal, parameter_dtype
from nqs_hpc.ansatz.names import Activation, FloatName
from nqs_hpc.ansatz.resnet import Filter
from nqs_hpc.types import Tree

# inputs of all layers, and what brings a derivative by the features back to the outputs of all layers
Traced = tuple[Array, tuple[Array, ...], Callable[[Array], tuple[Array, ...]]]


class Features(NamedTuple):
    """``init(key) -> params``; ``apply(params, s_N) -> (rows, width)``; ``freeze(params)`` is what evaluations of one
    step share, and ``frozen(frozen, s_N)`` the features by it.

    ``traced(params, s_N)``, where all layers are dense: the features (width,), the input of each layer, and the
    function of d log psi / d features (width,) that gives the derivatives by the output of each layer.
    """

    init: Callable[[Array], Tree]
    apply: Callable[[Tree, Array], Array]
    freeze: Callable[[Tree], Tree]
    frozen: Callable[[Tree, Array], Array]
    row_of_mode: np.ndarray  # (M,) int: the row that belongs to each mode
    n_rows: int
    width: int
    n_layers: int
    traced: Callable[[Tree, Array], Traced] | None = None


def perceptron(
    n_modes: int,
    *,
    widths: tuple[int, ...],
    activation: Activation = "gelu",
    init_scale: float = 1.0,
    float_dtype: FloatName = "float64",
) -> Features:
    """Dense layers of ``widths``, each with the activation behind it; params are a tuple of ``Dense``.

    Weights start LeCun-normal times ``init_scale``, biases at zero. ValueError for no layer or a width below 1.
    """
    if not widths or min(widths) < 1:
        raise ValueError(f"widths={widths}: at least one layer, each of at least 1 unit")
    nonlinear, dtype = activation_function(activation), parameter_dtype("real", float_dtype)
    sizes = list(pairwise((n_modes, *widths)))

    def init(key: Array) -> tuple[Dense, ...]:
        return dense_layers_init(key, sizes, scale=init_scale, dtype=dtype)

    def apply(params: tuple[Dense, ...], s_N: Array) -> Array:
        x = centred(s_N, dtype)
        for layer in params:
            x = nonlinear(dense_apply(layer, x))
        return x[None]

    def traced(params: tuple[Dense, ...], s_N: Array) -> Traced:
        def forward(shifts: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
            x, inputs = centred(s_N, dtype), []
            for layer, shift in zip(params, shifts, strict=True):
                inputs.append(x)
                x = nonlinear(dense_apply(layer, x) + shift)
            return x, tuple(inputs)

        zeros = tuple(jnp.zeros_like(layer.bias) for layer in params)
        x, pullback, inputs = jax.vjp(forward, zeros, has_aux=True)
        return x, inputs, lambda back: pullback(back)[0]

    return Features(
        init, apply, lambda params: params, apply, np.zeros(n_modes, np.int32), 1, widths[-1], len(widths), traced
    )


def convolutional(
    extent: tuple[int, ...],
    pbc: tuple[bool, ...],
    n_layers_of_modes: int,
    *,
    layers: int,
    features: int,
    kernel: tuple[int, ...],
    activation: Activation = "gelu",
    init_scale: float = 1.0,
    float_dtype: FloatName = "float64",
) -> Features:
    """Convolutions over the orbitals of a lattice with one site a cell, ``n_layers_of_modes`` modes on each.

    x_1 = f(conv_1(2 n - 1)),   x_l = x_(l-1) + f(conv_l(x_(l-1)))   for l = 2, ..., ``layers``,

    with ``features`` numbers a site; params are a tuple of `resnet.Filter`. ``extent``, ``pbc`` and ``kernel`` are
    those of `convolution`; beyond an open side inputs are 0. Kernels start He-normal times ``init_scale`` (but for the
    first, without an activation before it, LeCun-normal), biases at zero. ValueError for sizes below 1 and kernels that
    reach a site twice.
    """
    if layers < 1 or features < 1:
        raise ValueError(f"layers={layers}, features={features}: both must be at least 1")
    nonlinear, dtype = activation_function(activation), parameter_dtype("real", float_dtype)
    widths = [n_layers_of_modes, *[features] * layers]
    convolutions = [convolution(extent, pbc, kernel, *pair) for pair in pairwise(widths)]
    n_sites, n_kernel = math.prod(extent), math.prod(kernel)

    def init(key: Array) -> tuple[Filter, ...]:
        filters = []
        for i, key_i in enumerate(jax.random.split(key, layers)):
            scale = init_scale * ((1 if i == 0 else 2) / (n_kernel * widths[i])) ** 0.5
            weight = normal(key_i, (n_kernel, widths[i], features), scale, dtype)
            filters.append(Filter(weight, jnp.zeros(features, dtype)))
        return tuple(filters)

    def network(convolve: Callable[[int, Array], Array], biases: Iterable[Array], s_N: Array) -> Array:
        x = centred(s_N, dtype).reshape(n_layers_of_modes, n_sites).T
        for i, bias in enumerate(biases):
            new = nonlinear(convolve(i, x) + bias[None])
            x = new if i == 0 else x + new
        return x

    def apply(params: tuple[Filter, ...], s_N: Array) -> Array:
        return network(lambda i, x: convolutions[i].apply(params[i].weight, x), (f.bias for f in params), s_N)

    def freeze(params: tuple[Filter, ...]) -> tuple[Filter, ...]:
        pairs = zip(convolutions, params, strict=True)
        return tuple(Filter(conv.matrix(layer.weight), layer.bias) for conv, layer in pairs)

    def frozen(matrices: tuple[Filter, ...], s_N: Array) -> Array:
        return network(lambda i, x: convolutions[i].times(matrices[i].weight, x), (f.bias for f in matrices), s_N)

    row_of_mode = np.tile(np.arange(n_sites, dtype=np.int32), n_layers_of_modes)
    return Features(init, apply, freeze, frozen, row_of_mode, n_sites, features, layers)


def centred(s_N: Array, dtype: np.dtype) -> Array:
    """2 n - 1 of occupation numbers."""
    return 2 * s_N.astype(dtype) - 1
