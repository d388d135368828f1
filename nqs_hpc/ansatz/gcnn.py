"""Group-convolutional network: a wave function of a symmetry sector by construction.

    f^1_g = W (g s) + b,      f^{l+1}_g = sum_h K_l(h g^-1) a(f^l_h) + b_l,      psi(s) = sum_g chi*(g) sum_c exp f_gc,

with f_g a vector of ``features`` for each group element g, so that f_g(u s) = f_{gu}(s) and psi(u s) = chi(u) psi(s).
Kernels span the whole group. Roth and MacDonald, arXiv:2104.05085 (2021); Roth, Szabo and MacDonald, Phys. Rev. B 108,
054410 (2023), arXiv:2211.07749. All parameters are real. f is real for dtype="real", where psi > 0; otherwise the last
layer gives the real and the imaginary part of each f_gc.

A convolution is a few matrix products over all elements and features (`group_convolution`), whose matrices are gathered
once a step. A move changes all f, and the first layer is one of the smallest products, so ratios are full evaluations.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.activations import activation_function
from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.group_convolution import group_convolution
from nqs_hpc.ansatz.layers import normal, real_parameters
from nqs_hpc.ansatz.names import Activation, FloatName, NumberName
from nqs_hpc.ansatz.sector import codes, is_absent, log_sum
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.groups import product_table
from nqs_hpc.types import Ansatz


class GroupLayer(NamedTuple):
    kernel: Array  # (N, features) of the first layer, (G, in, out) of the others, by h g^-1
    bias: Array  # (out,)


class FrozenGCNN(NamedTuple):
    """Vectors over group and features have one long axis, with the elements in the order of `group_convolution`."""

    kernels: tuple[Array, ...]  # as in the parameters, for derivatives
    lift: Array  # (N, G out) the first layer, as a matrix
    matrices: tuple[tuple[Array, ...], ...]  # of each other layer
    biases: tuple[Array, ...]  # (G out,)


def gcnn(
    symmetry: Symmetry,
    *,
    layers: int,
    features: int,
    activation: Activation = "selu",
    dtype: NumberName = "real",
    init_scale: float = 1.0,
    local_values: Sequence[int] = (1, -1),
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A network over the group of ``symmetry``, of kind ``real`` or ``complex``; params are a tuple of ``GroupLayer``.

    ``layers`` includes the first one, from sites to the group. Weights start LeCun-normal times ``init_scale``,
    biases at zero. Raises ValueError for sizes below 1, an unknown activation, a group with spin flips, and for
    dtype="real" with characters that are not all 1.
    """
    if layers < 1 or features < 1:
        raise ValueError(f"layers={layers}, features={features}: both must be at least 1")
    nonlinear = activation_function(activation)
    if (symmetry.flips < 0).any():
        raise ValueError("symmetry: only site permutations are available here; for spin flip use symmetrize")
    if dtype == "real" and not symmetry.is_trivial:
        raise ValueError("dtype='real': needs characters that are all 1; otherwise dtype='complex'")
    is_complex = dtype == "complex"
    param_dtype = real_parameters(dtype, float_dtype)
    size, n_sites = symmetry.perms.shape
    outputs = features * (2 if is_complex else 1)
    widths = (*(features,) * (layers - 1), outputs)

    convolution = group_convolution(product_table(symmetry.perms), features)
    perms = symmetry.perms[convolution.elements]
    window_GN = np.argsort(perms, axis=1)  # site j of s is site perm_g(j) of g s
    weights = np.repeat(symmetry.dimension / size * np.conj(symmetry.characters[convolution.elements]), features)
    codes_NG = None if symmetry.is_trivial else codes(symmetry, max(map(abs, local_values)))

    def init(key: Array) -> tuple[GroupLayer, ...]:
        shapes = [(n_sites, widths[0]), *((size, n_in, n_out) for n_in, n_out in pairwise(widths))]
        return tuple(
            GroupLayer(
                normal(k, shape, init_scale / float(np.prod(shape[:-1])) ** 0.5, param_dtype),
                jnp.zeros(shape[-1], param_dtype),
            )
            for k, shape in zip(jax.random.split(key, layers), shapes, strict=True)
        )

    def freeze(params: tuple[GroupLayer, ...]) -> FrozenGCNN:
        first, *others = params
        # Derivatives go through the kernels: derivatives of the matrices would be many times larger.
        return FrozenGCNN(
            kernels=tuple(layer.kernel for layer in params),
            lift=jax.lax.stop_gradient(first.kernel[perms.T].reshape(n_sites, -1)),
            matrices=tuple(jax.lax.stop_gradient(convolution.matrices(layer.kernel)) for layer in others),
            biases=tuple(jnp.tile(layer.bias, size) for layer in params),
        )

    def log_psi(frozen: FrozenGCNN, s_N: Array) -> Array:
        x = lift(s_N.astype(param_dtype), frozen.kernels[0], frozen.lift) + frozen.biases[0]
        for kernel, matrices, bias in zip(frozen.kernels[1:], frozen.matrices, frozen.biases[1:], strict=True):
            x = convolution.apply(nonlinear(x), kernel, matrices) + bias
        log_f = x
        if is_complex:  # for each element its real parts, then its imaginary parts
            planes = x.reshape(size, 2, features)
            log_f = jax.lax.complex(planes[:, 0].ravel(), planes[:, 1].ravel())
        absent = jnp.bool_(False)
        if codes_NG is not None:
            absent = is_absent(s_N.astype(jnp.float64) @ codes_NG, symmetry)
        return log_sum(log_f, weights, dtype, absent)

    @jax.custom_jvp
    def lift(s_N: Array, kernel: Array, matrix: Array) -> Array:
        del kernel
        return s_N @ matrix

    @lift.defjvp
    def _(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        s_N, kernel, matrix = primals
        by_kernel = (s_N[window_GN] @ tangents[1]).reshape(-1)
        return lift(s_N, kernel, matrix), tangents[0] @ matrix + by_kernel

    return full_evaluation(init, log_psi, dtype, freeze=freeze)
