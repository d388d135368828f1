"""Convolutional networks: with residual blocks (``resnet``) and without (``cnn``), the same at every site.

With conv_l the l-th convolution of a lattice (`convolution`), f the activation and C features,

    cnn       x_l = conv_l(f(x_(l-1)))                                  x_1 = conv_1(s)
    resnet    x_b = x_(b-1) + conv_2b(f(conv_(2b-1)(f(x_(b-1) / sqrt(b)))))      b = 1, ..., layers / 2

    y_c = sum_i f(x_ic / sqrt(blocks + 1)),    log psi = sum_c h_c y_c

(the root is 1 in a cnn). Pre-activation blocks of two convolutions, no normalisation layers, and the scaling of
the b-th block's input by 1/sqrt(b), which is what the sum over blocks has grown to, are those of Chen and Heyl, Nature
Physics 20, 1476 (2024), arXiv:2302.01941; as there, the first block takes the spins without an activation and adds them
to every feature. Convolutional quantum states: Choo, Neupert and Carleo, Phys. Rev. B 100, 125124 (2019),
arXiv:1903.06713. Where all directions are periodic psi is invariant under all translations, and without any other
bias: f of each feature is summed over sites.

Real parameters; with dtype="complex" h has two columns, for log |psi| and the phase. Ratios evaluate the
network anew, with matrices made once for all of them. (To keep the first convolution in a cache, where a move adds a
few numbers of the kernel, saves nothing that can be measured: of L layers it is 1 in C L of the work.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.convolution import convolution
from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.layers import FloatName, NumberName, normal, parameter_dtype
from nqs_hpc.ansatz.mlp import ACTIVATIONS, Activation
from nqs_hpc.types import Ansatz


class Filter(NamedTuple):
    """A convolution of the network; frozen, ``weight`` is the matrix that `Convolution.times` takes."""

    weight: Array  # (K, in, C)
    bias: Array  # (C,)


class ResnetParams(NamedTuple):
    filters: tuple[Filter, ...]
    head: Array  # (C, 1), or (C, 2): log |psi| and the phase


def resnet(
    extent: tuple[int, ...],
    pbc: tuple[bool, ...],
    *,
    layers: int,
    features: int,
    kernel: tuple[int, ...],
    activation: Activation = "gelu",
    skip: bool = True,
    dtype: NumberName = "real",
    init_scale: float = 1.0,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A network of ``layers`` convolutions, of kind ``real`` or ``complex``, for any local values.

    ``extent``, ``pbc`` and ``kernel`` (D,): sites, whether periodic, and extent of the kernels along each direction;
    the site of cell (x, y, ...) is x + Lx y + ...  Beyond an open side inputs are 0. ``skip``: residual blocks, of two
    layers each. Kernels start He-normal times ``init_scale``, biases at zero. Raises ValueError for unknown names,
    sizes below 1, an odd number of layers with ``skip``, and kernels that reach a site twice.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r}: one of {', '.join(ACTIVATIONS)}")
    if layers < 1 or features < 1:
        raise ValueError(f"layers={layers}, features={features}: both must be at least 1")
    if skip and layers % 2:
        raise ValueError(f"layers={layers}: a residual block has two")
    is_complex = parameter_dtype(dtype, float_dtype).kind == "c"
    param_dtype = parameter_dtype("real", float_dtype)
    nonlinear = ACTIVATIONS[activation]
    convolutions = [convolution(extent, pbc, kernel, 1 if i == 0 else features, features) for i in range(layers)]
    n_sites, n_kernel, n_blocks = math.prod(extent), math.prod(kernel), layers // 2

    def init(key: Array) -> ResnetParams:
        *keys, key_head = jax.random.split(key, layers + 1)
        filters = []
        for i, key_i in enumerate(keys):
            n_in = 1 if i == 0 else features
            gain = 1 if i == 0 else 2  # an activation leaves about half of the mean square (He et al. 2015)
            scale = init_scale * (gain / (n_kernel * n_in)) ** 0.5
            weight = normal(key_i, (n_kernel, n_in, features), scale, param_dtype)
            filters.append(Filter(weight, jnp.zeros(features, param_dtype)))
        # the features of all sites add up
        head_scale = init_scale / (n_sites * features) ** 0.5
        return ResnetParams(
            tuple(filters), normal(key_head, (features, 2 if is_complex else 1), head_scale, param_dtype)
        )

    def network(params: ResnetParams, s_N: Array, apply: Callable[[int, Array, Array], Array]) -> Array:
        """log psi; ``apply(i, weight, x)`` makes the i-th convolution."""

        def convolved(i: int, x: Array) -> Array:
            layer = params.filters[i]
            return apply(i, layer.weight, x) + layer.bias[None]

        x = s_N.astype(param_dtype)[:, None]
        if skip:
            x = x + convolved(1, nonlinear(convolved(0, x)))
            for block in range(1, n_blocks):
                inside = convolved(2 * block, nonlinear(x / (block + 1) ** 0.5))
                x = x + convolved(2 * block + 1, nonlinear(inside))
            x = x / (n_blocks + 1) ** 0.5
        else:
            x = convolved(0, x)
            for i in range(1, layers):
                x = convolved(i, nonlinear(x))
        out = jnp.sum(nonlinear(x), axis=0) @ params.head
        return jax.lax.complex(out[0], out[1]) if is_complex else out[0]

    def log_psi(params: ResnetParams, s_N: Array) -> Array:
        return network(params, s_N, lambda i, kernel, x: convolutions[i].apply(kernel, x))

    def freeze(params: ResnetParams) -> ResnetParams:
        pairs = zip(convolutions, params.filters, strict=True)
        return ResnetParams(tuple(Filter(conv.matrix(layer.weight), layer.bias) for conv, layer in pairs), params.head)

    def log_psi_frozen(frozen: ResnetParams, s_N: Array) -> Array:
        return network(frozen, s_N, lambda i, matrix, x: convolutions[i].times(matrix, x))

    ratios = full_evaluation(init, log_psi_frozen, "complex" if is_complex else "real")
    return ratios._replace(log_psi=log_psi, freeze=freeze)
