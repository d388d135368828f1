"""Approximately symmetric networks for the toric code: Wilson loops between two convolutional networks.

With x_0 = s on every link, conv a convolution on the vertices (`convolution`), each of which has the links to its right
and above it, f the activation and m values a link,

    first block     x_b = x_(b-1) + conv_2b(f(conv_(2b-1)(x_(b-1))))            b = 1, ..., link_layers / 2
    Wilson loops    w_p = product of x over the four links around face p, value by value
    second block    y_1 = conv_1(w),  y_l = conv_l(f(y_(l-1))),     log psi = sum_c h_c sum_p f(y_pc)

A star flips no link or two of each face, so w(s) and all that follows are invariant under all stars where the first
block is the identity. It begins there, since its even convolutions begin at zero: the network is exactly symmetric,
and learns how far a field takes its state away from that: Kufel et al. (2024), arXiv:2405.17541. The residual form of
the first block and the plain second one are choices of this program. On a torus a symmetric psi depends on no loop
around it, so it holds all four sectors of these in equal weights. If all directions are periodic, psi is invariant
under translations of the vertices.

Parameters are real; with dtype="complex" h has two columns, for log |psi| and the phase. A ratio evaluates the whole
network, in batches of configurations with matrices that all share.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
from nqs_hpc.ansatz.resnet import BATCH, Filter
from nqs_hpc.ansatz.tape import affine, tape_of_batch
from nqs_hpc.ansatz.touched import NetworkFrozen
from nqs_hpc.parallel.chunk import of_batches
from nqs_hpc.system.links import Grid
from nqs_hpc.types import Ansatz, Layered


class ApproxSymmetricParams(NamedTuple):
    links: tuple[Filter, ...]  # of the first block; every other one begins at zero
    faces: tuple[Filter, ...]
    head: Array  # (C, 1), or (C, 2): log |psi| and the phase


class Sizes(NamedTuple):
    """Of a convolution."""

    extent: tuple[int, ...]
    kernel: tuple[int, ...]
    n_in: int
    n_out: int


def approx_symmetric(
    grid: Grid,
    pbc: tuple[bool, ...],
    *,
    link_layers: int,
    link_features: int,
    link_kernel: tuple[int, ...],
    loops: int,
    layers: int,
    features: int,
    kernel: tuple[int, ...],
    activation: Activation = "tanh",
    dtype: NumberName = "real",
    init_scale: float = 1.0,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A network of kind ``real`` or ``complex`` for spins +1 and -1 on the links of ``grid``.

    ``link_kernel`` and ``kernel`` are extents in vertices and in faces along each direction; ``loops`` the values a
    link has, and so the products of a face. Convolutions that do not begin at zero start He-normal times
    ``init_scale``, biases at zero. Raises ValueError for unknown names, sizes
    below 1, an odd number of ``link_layers``, and kernels that reach a place twice.
    """
    nonlinear = activation_function(activation)
    if min(link_layers, link_features, loops, layers, features) < 1 or link_layers % 2:
        sizes = f"link_layers={link_layers}, link_features={link_features}, loops={loops}, layers={layers}"
        raise ValueError(f"{sizes}, features={features}: all at least 1, and link_layers even")
    param_dtype = real_parameters(dtype, float_dtype)
    n_faces, n_heads = len(grid.around_F4), 2 if dtype == "complex" else 1
    first, second = (
        Sizes(grid.extent, link_kernel, 2 * loops, link_features),
        Sizes(grid.faces, kernel, loops, features),
    )
    back = first._replace(n_in=link_features, n_out=2 * loops)
    sizes_of = [first, back] * (link_layers // 2) + [second] + [second._replace(n_in=features)] * (layers - 1)
    single = [convolution(size.extent, pbc, *size[1:]) for size in sizes_of]
    of_batch = [batched(size.extent, pbc, *size[1:]) for size in sizes_of]

    def init(key: Array) -> ApproxSymmetricParams:
        *keys, key_head = jax.random.split(key, len(sizes_of) + 1)
        filters = []
        for i, (key_i, size) in enumerate(zip(keys, sizes_of, strict=True)):
            shape = (math.prod(size.kernel), size.n_in, size.n_out)
            gain = 1 if i <= link_layers else 2  # an activation halves the mean square, roughly (He et al. 2015)
            scale = init_scale * (gain / (shape[0] * shape[1])) ** 0.5
            bias = jnp.zeros(size.n_out, param_dtype)
            if i < link_layers and i % 2:
                weight = jnp.zeros(shape, param_dtype)  # the identity
            else:
                weight = normal(key_i, shape, scale, param_dtype)
            filters.append(Filter(weight, bias))
        head = normal(key_head, (features, n_heads), init_scale / (n_faces * features) ** 0.5, param_dtype)
        return ApproxSymmetricParams(tuple(filters[:link_layers]), tuple(filters[link_layers:]), head)

    def filters_of(params: ApproxSymmetricParams) -> tuple[Filter, ...]:
        return (*params.links, *params.faces)

    def network(
        params: ApproxSymmetricParams,
        s: Array,
        convolve: Callable[[int, Array], Array],
        head: Callable[[Array, Array], Array] = jnp.matmul,
    ) -> Array:
        """Of s (N,), or of a batch (N, B), whose axis then comes behind the places everywhere."""

        def convolved(i: int, x: Array) -> Array:
            bias = filters_of(params)[i].bias
            return convolve(i, x) + bias.reshape((1,) * (x.ndim - 1) + bias.shape)

        links = jnp.pad(s.astype(param_dtype), [(0, 1)] + [(0, 0)] * (s.ndim - 1))[grid.links_V2]  # 0 beyond open ends
        x = jnp.repeat(jnp.moveaxis(links, 1, -1), loops, axis=-1)
        for i in range(0, link_layers, 2):
            x = x + convolved(i + 1, nonlinear(convolved(i, x)))
        below, right, above, left = grid.around_F4.T
        along, up = x[..., :loops], x[..., loops:]
        rows = convolved(link_layers, (along[below] * along[above]) * (up[left] * up[right]))
        for i in range(link_layers + 1, link_layers + layers):
            rows = convolved(i, nonlinear(rows))
        return real_or_complex(jnp.moveaxis(head(jnp.sum(nonlinear(rows), axis=0), params.head), -1, 0), dtype)

    def log_psi(params: ApproxSymmetricParams, s_N: Array) -> Array:
        weights = [one.weight for one in filters_of(params)]
        return network(params, s_N, lambda i, x: single[i].apply(weights[i], x))

    def tables(params: ApproxSymmetricParams) -> NetworkFrozen:
        pairs = zip(of_batch, filters_of(params), strict=True)
        return NetworkFrozen(params, tuple(conv.tables(one.weight) for conv, one in pairs))

    def log_psi_batch(frozen: NetworkFrozen, s_BN: Array) -> Array:
        return network(frozen.params, s_BN.T, lambda i, x: of_batch[i].times(frozen.matrices[i], x))

    def probed(frozen: NetworkFrozen, s_BN: Array, probes: tuple[Array, ...]) -> tuple[Array, list[Array]]:
        kept = []

        def convolve(i: int, x: Array) -> Array:
            kept.append(x)
            return of_batch[i].times(frozen.matrices[i], x) + probes[i]

        def head(x: Array, weight: Array) -> Array:
            kept.append(x[None])
            return x @ weight + probes[-1][0]

        return network(frozen.params, s_BN.T, convolve, head), kept

    shapes = [*((math.prod(size.extent), size.n_out) for size in sizes_of), (1, n_heads)]
    record = of_batches(tape_of_batch(probed, shapes, param_dtype, dtype), BATCH)
    stages = [stage for i, size in enumerate(sizes_of) for stage in convolution_stages(i, size.extent, pbc, *size[1:])]
    layered = Layered(lambda params, s_N: record(tables(params), s_N), (*stages, affine(len(sizes_of), bias=False)))
    made = full_evaluation(init, of_batches(log_psi_batch, BATCH), dtype)
    return made._replace(log_psi=log_psi, freeze=tables, layered=layered)
