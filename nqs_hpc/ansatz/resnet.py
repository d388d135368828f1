"""Convolutional networks, with residual blocks (``resnet``) or without (``cnn``).

With conv_l the l-th convolution of a lattice (`convolution`), f the activation and C features,

    cnn       x_l = conv_l(f(x_(l-1)))                                  x_1 = conv_1(s)
    resnet    x_b = x_(b-1) + conv_2b(f(conv_(2b-1)(f(x_(b-1) / sqrt(b)))))      b = 1, ..., layers / 2

    y_c = sum_i f(x_ic / sqrt(blocks + 1)),    log psi = sum_c h_c y_c

(without the root in a cnn). Pre-activation blocks of two convolutions, no normalisation layers, and the input of the
b-th block divided by sqrt(b), to which the sum over blocks has grown, follow Chen and Heyl, Nature Physics 20, 1476
(2024), arXiv:2302.01941; as there, the first block takes the spins without an activation and adds them to every
feature. Convolutional quantum states: Choo, Neupert and Carleo, Phys. Rev. B 100, 125124 (2019),
arXiv:1903.06713. If all directions are periodic, psi is invariant under all translations, since f of each feature is
summed over sites.

Parameters are real; with dtype="complex" h has two columns, for log |psi| and the phase. For small kernels on a large
lattice, ratios evaluate only what a move reaches (`touched`), otherwise the whole network, in batches of configurations
with matrices shared by all (`spectral`). (A cache of the first convolution alone, to which a move adds a few numbers of
the kernel, saves nothing measurable: with L layers of C features that is 1/(C L) of the work.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.activations import activation_function
from nqs_hpc.ansatz.convolution import batched, convolution
from nqs_hpc.ansatz.convolution_stages import convolution_stages
from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.layers import normal, real_or_complex, real_parameters
from nqs_hpc.ansatz.names import Activation, FloatName, NumberName
from nqs_hpc.ansatz.tape import affine, tape_of_batch
from nqs_hpc.ansatz.touched import NetworkFrozen, Steps, everywhere, touched_ratios, touching_pays
from nqs_hpc.parallel.chunk import of_batches
from nqs_hpc.types import Ansatz, Layered

BATCH = 64  # configurations that go through the network together: products that are large, arrays that stay in a cache


class Filter(NamedTuple):
    """A convolution of the network."""

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
    touch: bool | None = None,
) -> Ansatz:
    """A network of ``layers`` convolutions, of kind ``real`` or ``complex``, for any local values.

    ``extent``, ``pbc`` and ``kernel`` (D,): sites, whether periodic, and extent of the kernels along each direction;
    the site of cell (x, y, ...) is x + Lx y + ...  Beyond an open side inputs are 0. ``skip``: residual blocks of two
    layers each. Kernels start He-normal times ``init_scale``, biases at zero. ``touch``: ratios by the touched patch;
    None: if that costs less. Raises ValueError for unknown names, sizes below 1, an odd number of layers with
    ``skip``, and kernels that reach a site twice.
    """
    nonlinear = activation_function(activation)
    if layers < 1 or features < 1:
        raise ValueError(f"layers={layers}, features={features}: both must be at least 1")
    if skip and layers % 2:
        raise ValueError(f"layers={layers}: must be even, since a residual block has two layers")
    param_dtype = real_parameters(dtype, float_dtype)
    convolutions = [convolution(extent, pbc, kernel, 1 if i == 0 else features, features) for i in range(layers)]
    of_batch = [batched(extent, pbc, kernel, 1 if i == 0 else features, features) for i in range(layers)]
    n_sites, n_kernel, n_blocks, n_heads = (
        math.prod(extent),
        math.prod(kernel),
        layers // 2,
        2 if dtype == "complex" else 1,
    )

    def init(key: Array) -> ResnetParams:
        *keys, key_head = jax.random.split(key, layers + 1)
        filters = []
        for i, key_i in enumerate(keys):
            n_in = 1 if i == 0 else features
            gain = 1 if i == 0 else 2  # an activation halves the mean square, roughly (He et al. 2015)
            scale = init_scale * (gain / (n_kernel * n_in)) ** 0.5
            weight = normal(key_i, (n_kernel, n_in, features), scale, param_dtype)
            filters.append(Filter(weight, jnp.zeros(features, param_dtype)))
        # the features of all sites add up
        head_scale = init_scale / (n_sites * features) ** 0.5
        head = normal(key_head, (features, n_heads), head_scale, param_dtype)
        return ResnetParams(tuple(filters), head)

    def network(params: ResnetParams, s: Array, steps: Steps) -> Array:
        """Of s (N,), or of a batch (N, B), whose axis then comes behind the sites everywhere."""

        def convolved(i: int, x: Array) -> Array:
            bias = params.filters[i].bias
            return steps.convolve(i, x) + bias.reshape((1,) * (x.ndim - 1) + bias.shape)

        x = s.astype(param_dtype)[..., None]
        if skip:
            rows = steps.at(1, x) + convolved(1, steps.keep(0, nonlinear(convolved(0, x))))
            for block in range(1, n_blocks):
                first, second = 2 * block, 2 * block + 1
                x = steps.keep(first - 1, rows)
                inside = steps.keep(first - 1, nonlinear(rows / (block + 1) ** 0.5))
                inside = steps.keep(first, nonlinear(convolved(first, inside)))
                rows = steps.at(second, x) + convolved(second, inside)
            rows = rows / (n_blocks + 1) ** 0.5
        else:
            rows = convolved(0, x)
            for i in range(1, layers):
                rows = convolved(i, steps.keep(i - 1, nonlinear(rows)))
        pooled = jnp.sum(steps.keep(layers - 1, nonlinear(rows)), axis=0)
        return real_or_complex(jnp.moveaxis(steps.head(pooled, params.head), -1, 0), dtype)

    def kernels(params: ResnetParams) -> list[Array]:
        return [layer.weight for layer in params.filters]

    def log_psi(params: ResnetParams, s_N: Array) -> Array:
        return network(params, s_N, everywhere(lambda i, x: convolutions[i].apply(params.filters[i].weight, x)))

    def tables(params: ResnetParams) -> NetworkFrozen:
        pairs = zip(of_batch, kernels(params), strict=True)
        return NetworkFrozen(params, tuple(conv.tables(weight) for conv, weight in pairs))

    def log_psi_batch(frozen: NetworkFrozen, s_BN: Array) -> Array:
        return network(frozen.params, s_BN.T, everywhere(lambda i, x: of_batch[i].times(frozen.matrices[i], x)))

    def probed(frozen: NetworkFrozen, s_BN: Array, probes: tuple[Array, ...]) -> tuple[Array, list[Array]]:
        kept = []

        def convolve(i: int, x: Array) -> Array:
            kept.append(x)
            return of_batch[i].times(frozen.matrices[i], x) + probes[i]

        def head(x: Array, weight: Array) -> Array:
            kept.append(x[None])
            return x @ weight + probes[-1][0]

        return network(frozen.params, s_BN.T, everywhere(convolve)._replace(head=head)), kept

    shapes = [*((n_sites, features) for _ in range(layers)), (1, n_heads)]
    record = of_batches(tape_of_batch(probed, shapes, param_dtype, dtype), BATCH)
    stages = [
        stage
        for i in range(layers)
        for stage in convolution_stages(i, extent, pbc, kernel, 1 if i == 0 else features, features)
    ]
    layered = Layered(lambda params, s_N: record(tables(params), s_N), (*stages, affine(layers, bias=False)))

    if touch is None:
        touch = touching_pays(extent, pbc, kernel, features, of_batch)
    if touch:

        def freeze(params: ResnetParams) -> NetworkFrozen:
            pairs = zip(convolutions, kernels(params), strict=True)
            return NetworkFrozen(params, tuple(conv.matrix(weight) for conv, weight in pairs))

        made = touched_ratios(init, log_psi, dtype, freeze, network, kernels, convolutions, extent, pbc, kernel)
    else:
        made = full_evaluation(init, of_batches(log_psi_batch, BATCH), dtype)._replace(log_psi=log_psi, freeze=tables)
    return made._replace(layered=layered)
