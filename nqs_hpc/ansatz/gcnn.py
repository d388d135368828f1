"""Group-convolutional network: a wave function of a symmetry sector by its making.

    f^1_g = W (g s) + b,      f^{l+1}_g = sum_h K_l(h g^-1) a(f^l_h) + b_l,      psi(s) = sum_g chi*(g) sum_c exp f_gc,

with f_g a vector of ``features`` for each group element g, so that f_g(u s) = f_{gu}(s) and psi(u s) = chi(u) psi(s).
Kernels span the whole group. Roth and MacDonald, arXiv:2104.05085 (2021); Roth, Szabo and MacDonald, Phys. Rev. B 108,
054410 (2023), arXiv:2211.07749. All parameters are real: f is real for psi > 0, else the last layer gives real and
imaginary part of each f_gc.

A convolution is one matrix product of all elements and features with a matrix that holds every kernel entry |G| times,
gathered once a step: at a few hundred rows it runs at the processor's rate, which neither gathered windows nor Fourier
transforms of so few elements do. Its derivative with respect to the kernel is a product of windows, without that
matrix. A move changes all f, and the first layer is one of the smallest products, so ratios are full evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.layers import FloatName, NumberName, normal, parameter_dtype
from nqs_hpc.ansatz.mlp import ACTIVATIONS
from nqs_hpc.ansatz.sector import codes, is_absent, log_sum
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.groups import inverses, product_table
from nqs_hpc.types import Ansatz

GroupActivation = Literal["selu", "gelu", "tanh", "relu", "silu", "log_cosh"]


class GroupLayer(NamedTuple):
    kernel: Array  # (N, features) of the first layer, (G, in, out) of the others, by h g^-1
    bias: Array  # (out,)


class FrozenGCNN(NamedTuple):
    """Of each layer the map of all inputs to all outputs: vectors over group and features are one long axis."""

    kernels: tuple[Array, ...]  # those of the parameters, for derivatives
    matrices: tuple[Array, ...]  # (N, G out), (G in, G out), ...
    biases: tuple[Array, ...]  # (G out,)


def selu(x: Array) -> Array:
    """The self-normalising unit of Klambauer et al. 2017, arXiv:1706.02515; exp - 1 is half the time of expm1 here."""
    return 1.0507009873554805 * jnp.where(x > 0, x, 1.6732632423543772 * (jnp.exp(jnp.minimum(x, 0)) - 1))


def gcnn(
    symmetry: Symmetry,
    *,
    layers: int,
    features: int,
    activation: GroupActivation = "selu",
    dtype: NumberName = "real",
    init_scale: float = 1.0,
    local_values: Sequence[int] = (1, -1),
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A network over the group of ``symmetry``, of kind ``real`` or ``complex``; params are a tuple of ``GroupLayer``.

    ``layers`` counts the first one, from sites to the group, too. Weights start LeCun-normal times ``init_scale``,
    biases at zero. Raises ValueError for sizes below 1, an unknown activation, a group with spin flips, and for
    dtype="real" with characters that are not all 1.
    """
    if layers < 1 or features < 1:
        raise ValueError(f"layers={layers}, features={features}: both must be at least 1")
    nonlinear = (ACTIVATIONS | {"selu": selu}).get(activation)
    if nonlinear is None:
        raise ValueError(f"activation={activation!r}: one of selu, {', '.join(ACTIVATIONS)}")
    if (symmetry.flips < 0).any():
        raise ValueError("a group of site permutations alone: spin flip is for symmetrize")
    if dtype == "real" and not symmetry.is_trivial:
        raise ValueError("dtype='real': characters that are all 1, or dtype='complex'")
    is_complex = parameter_dtype(dtype, float_dtype).kind == "c"
    param_dtype = parameter_dtype("real", float_dtype)
    size, n_sites = symmetry.perms.shape
    outputs = features * (2 if is_complex else 1)
    widths = (*(features,) * (layers - 1), outputs)

    table = product_table(symmetry.perms)
    quotient_HG = table[:, inverses(table)]  # h g^-1
    weights = np.repeat(symmetry.dimension / size * np.conj(symmetry.characters), features)
    codes_NG = None if symmetry.is_trivial else codes(symmetry, max(map(abs, local_values)))

    def flat(x_GO: Array) -> Array:
        """(..., G, O) -> (..., G O); of two planes in O, as the last layer may have, one after the other."""
        planes = x_GO.shape[-1] // features
        split = x_GO.reshape(*x_GO.shape[:-1], planes, features)
        return jnp.moveaxis(split, -2, -3).reshape(*x_GO.shape[:-2], -1)

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
        matrices = [flat(first.kernel[symmetry.perms.T])]  # site j of s is site perm_g(j) of g s
        for layer in others:
            whole = layer.kernel[quotient_HG].transpose(0, 2, 1, 3)  # (h, in, g, out)
            matrices.append(flat(whole.reshape(-1, *whole.shape[2:])))
        return FrozenGCNN(
            kernels=tuple(layer.kernel for layer in params),
            # Derivatives go through the kernels: those of the matrices would be |G| times as large.
            matrices=tuple(jax.lax.stop_gradient(matrix) for matrix in matrices),
            biases=tuple(flat(jnp.broadcast_to(layer.bias, (size, len(layer.bias)))) for layer in params),
        )

    def log_psi(frozen: FrozenGCNN, s_N: Array) -> Array:
        x = lift(s_N.astype(param_dtype), frozen.kernels[0], frozen.matrices[0]) + frozen.biases[0]
        for kernel, matrix, bias in zip(frozen.kernels[1:], frozen.matrices[1:], frozen.biases[1:], strict=True):
            x = convolve(nonlinear(x), kernel, matrix) + bias
        log_f = jax.lax.complex(*jnp.split(x, 2)) if is_complex else x
        absent = jnp.bool_(False)
        if codes_NG is not None:
            absent = is_absent(s_N.astype(jnp.float64) @ codes_NG, symmetry)
        return log_sum(log_f, weights, "complex" if is_complex else "real", absent)

    lift = product_with(np.argsort(symmetry.perms, axis=1), flat)
    convolve = product_with(table.T, flat)  # h = k g
    return full_evaluation(init, log_psi, "complex" if is_complex else "real", freeze=freeze)


def product_with(
    window_GK: NDArray[np.integer], flat: Callable[[Array], Array]
) -> Callable[[Array, Array, Array], Array]:
    """``(x, kernel, matrix) -> flat(y)``, y_g = sum_k x_{window[g, k]} kernel_k, of which the matrix is made."""

    @jax.custom_jvp
    def product(x: Array, kernel: Array, matrix: Array) -> Array:
        del kernel
        return x @ matrix

    @product.defjvp
    def _(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        x, kernel, matrix = primals
        windows = x.reshape(window_GK.shape[1], -1)[window_GK].reshape(len(window_GK), -1)  # (G, K in)
        by_kernel = flat(windows @ tangents[1].reshape(windows.shape[1], -1))
        return product(x, kernel, matrix), tangents[0] @ matrix + by_kernel

    return product
