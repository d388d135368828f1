"""Convolutions over a finite group by a discrete Fourier transform over one of its cyclic subgroups.

    y_g = sum_h K(h g^-1) x_h,        x_h of ``n_in`` features, y_g of ``n_out``.

With a subgroup {1, c, .., c^(n-1)} every element is r c^j with a unique representative r of its coset, and
K(r' c^i (r c^j)^-1) depends on i and j through i - j only: in the matrix of all elements and features each block row is
the previous one, shifted. The transform over j leaves one block of cosets and features for each of the n/2 + 1
frequencies of real numbers,

    Y_k = X_k sum_d exp(2 pi i k d / n) K(r' c^d r^-1),     X_k = sum_j exp(-2 pi i k j / n) x_{r c^j},

while the whole matrix has n^2 blocks of that size. At n = 6 this is a third of the operations, in matrix products that
are still large enough to run at a processor's full rate; those of a transform over the whole group are not. (Such
transforms in general: Diaconis, Group Representations in Probability and Statistics, IMS 1988.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.system.groups import inverses

# The cost of an operation in the transforms, which are loops with n operations a number, relative to one in a matrix
# product. With this value the fastest subgroup is chosen in all cases of benchmarks/group_convolution.py.
LOOP_COST = 2.0
MAX_ORDER = 24  # transforms are written out term by term, so that compile times grow with it


class GroupConvolution(NamedTuple):
    """Activations are flat over elements and features, the elements in the order of ``elements``."""

    elements: NDArray[np.int64]  # (G,) their numbers, all cosets of one power of c after the other
    order: int  # n
    matrices: Callable[[Array], tuple[Array, ...]]  # kernel (G, n_in, n_out) -> what is gathered once a step
    apply: Callable[[Array, Array, tuple[Array, ...]], Array]  # (x (G n_in,), kernel, matrices) -> (G n_out,)


def group_convolution(
    table: NDArray[np.int32], features: int, powers: NDArray[np.int64] | None = None
) -> GroupConvolution:
    """For the group with products ``table[g, h]`` = g h, whose identity is number 0, and about so many features.

    ``powers``: the subgroup to take instead of that of `cyclic_subgroup`. Kernels are indexed by the number of h g^-1.
    Derivatives with respect to them are products with windows of x; ``matrices`` is not differentiated.
    """
    if powers is None:
        powers = cyclic_subgroup(table, features)
    elements_nR = _cosets(table, powers)
    n, n_cosets = elements_nR.shape
    elements = elements_nR.reshape(-1)
    representatives = elements_nR[0]
    # r' c^d r^-1 of all d, r', r
    quotient_nRR = table[table[representatives[:, None], powers].T[:, :, None], inverses(table)[representatives]]
    position = np.argsort(elements)
    window_GK = position[table[:, elements].T]  # h = k g for all k, the index of the kernel
    frequencies = range(n // 2 + 1)

    def is_real(k: int) -> bool:
        return 2 * k % n == 0

    def matrices(kernel: Array) -> tuple[Array, ...]:
        blocks = kernel[quotient_nRR].transpose(0, 1, 3, 2, 4)  # (n, r', in, r, out)
        blocks = blocks.reshape(n, n_cosets * kernel.shape[1], -1)
        found = []
        for k in frequencies:
            angle = 2 * np.pi * k * np.arange(n) / n
            weight = (1 if is_real(k) else 2) / n  # of the inverse transform, where k stands for -k too
            real = jnp.tensordot(jnp.asarray(weight * np.cos(angle), kernel.dtype), blocks, 1)
            if is_real(k):
                found.append(real)
                continue
            imaginary = jnp.tensordot(jnp.asarray(weight * np.sin(angle), kernel.dtype), blocks, 1)
            found.append(jnp.block([[real, imaginary], [-imaginary, real]]))
        return tuple(found)

    @jax.custom_jvp
    def apply(x: Array, kernel: Array, matrices: tuple[Array, ...]) -> Array:
        del kernel
        return product(x, matrices)

    @apply.defjvp
    def _(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
        x, kernel, matrices = primals
        windows = x.reshape(len(elements), -1)[window_GK].reshape(len(elements), -1)  # (G, K in)
        by_kernel = (windows @ tangents[1].reshape(windows.shape[1], -1)).reshape(-1)
        return apply(x, kernel, matrices), product(tangents[0], matrices) + by_kernel

    def product(x: Array, matrices: tuple[Array, ...]) -> Array:
        if n == 1:
            return x @ matrices[0]
        x_n = list(x.reshape(n, -1))
        planes = [X @ matrix for X, matrix in zip(_forward(x_n), matrices, strict=True)]
        return jnp.concatenate(_backward(planes, n))

    return GroupConvolution(elements, n, matrices, apply)


def _forward(x_n: list[Array]) -> list[Array]:
    """X_k = sum_j exp(-2 pi i k j / n) x_j for real x_j: real, or the real part followed by the imaginary part."""
    n = len(x_n)
    pairs = range(1, (n + 1) // 2)
    even = {j: x_n[j] + x_n[n - j] for j in pairs}
    odd = {j: x_n[n - j] - x_n[j] for j in pairs}
    planes = []
    for k in range(n // 2 + 1):
        real = x_n[0] + sum(float(np.cos(2 * np.pi * k * j / n)) * even[j] for j in pairs)
        if n % 2 == 0:
            real = real + (-1) ** k * x_n[n // 2]
        if 2 * k % n == 0:
            planes.append(real)
        else:
            imaginary = sum(float(np.sin(2 * np.pi * k * j / n)) * odd[j] for j in pairs)
            planes.append(jnp.concatenate([real, imaginary]))
    return planes


def _backward(planes: list[Array], n: int) -> list[Array]:
    """y_j = Re sum_k exp(2 pi i k j / n) Y_k over the frequencies of ``_forward``."""
    pairs = range(1, (n + 1) // 2)
    half = {k: jnp.split(planes[k], 2) for k in pairs}
    y_n: list[Array] = [planes[0]] * n
    for j in range(n // 2 + 1):
        even = planes[0] + sum(float(np.cos(2 * np.pi * k * j / n)) * half[k][0] for k in pairs)
        if n % 2 == 0:
            even = even + (-1) ** j * planes[n // 2]
        y_n[j] = even
        if 2 * j % n:
            odd = sum(float(np.sin(2 * np.pi * k * j / n)) * half[k][1] for k in pairs)
            y_n[j], y_n[n - j] = even - odd, even + odd
    return y_n


def cyclic_subgroup(table: NDArray[np.int32], features: int) -> NDArray[np.int64]:
    """The powers (n,) of the element for which a convolution costs least, the identity first."""
    size = len(table)

    def cost(n: int) -> float:
        blocks = (n + 1) // 2 - 1, 2 - n % 2  # of complex frequencies, and of real ones
        return (4 * blocks[0] + blocks[1]) * (size / n) * features / n + (2 * LOOP_COST * n if n > 1 else 0)

    every = np.arange(size)
    power: NDArray[np.integer] = every
    order = np.zeros(size, dtype=np.int64)
    for n in range(1, MAX_ORDER + 1):
        order[(power == 0) & (order == 0)] = n
        power = table[power, every]
    best = min((g for g in range(size) if order[g]), key=lambda g: (cost(int(order[g])), g))
    powers = [0]
    while len(powers) < order[best]:
        powers.append(int(table[powers[-1], best]))
    return np.array(powers)


def _cosets(table: NDArray[np.int32], powers: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, R) the numbers of r c^j; r is the first element of its coset, and the identity is the first r."""
    left = np.ones(len(table), dtype=bool)
    cosets = []
    for r in range(len(table)):
        if left[r]:
            cosets.append(table[r, powers])
            left[cosets[-1]] = False
    return np.stack(cosets, axis=1).astype(np.int64)
