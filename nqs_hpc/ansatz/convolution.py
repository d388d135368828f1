"""Convolutions on lattices with one site a cell, as products of large matrices.

    y_o = sum_k W_k x_(o + k),    k in a box of the kernel's extent around 0,

with x wrapped around periodic directions and 0 beyond open ones. Arrays are (sites, features), sites in the order of
`system.lattice`: the first direction fastest.

XLA's own convolutions of 64-bit numbers are slow on CPUs, especially their gradients for each sample. Here a
convolution is dense along the first d directions and a sum over shifts along the others: with s the sites of one block
of the first d directions and k the number of shifts along the others, it is one product

    (blocks, k s in) x (k s out)

of the shifted input and a matrix of the kernel's numbers, which does not depend on the configuration. d = 0 is the
usual product with patches, d = D the product with the whole circulant matrix. A small d copies every number of the
input many times, a large d multiplies by many zeros; ``_seconds`` estimates both, from sizes alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.spectral import spectral

# Fitted to 64 to 1024 configurations on chains, squares and cubes, kernels from 3 to the whole; float64, one core.
PER_OPERATION = 1 / 48e9  # seconds for one addition or one multiplication in a matrix product
PER_COPY = 1.2e-9  # seconds to copy a number into the shifted input
PER_SPECTRAL_OPERATION = 1 / 32e9  # the same in the smaller products of `spectral`


class Convolution(NamedTuple):
    """``kernel`` is (K, in, out), K the places of the box, its first direction fastest; x is (N, in)."""

    apply: Callable[[Array, Array], Array]  # kernel, x -> (N, out); efficient to differentiate
    matrix: Callable[[Array], Array]  # kernel -> what ``times`` takes
    times: Callable[[Array, Array], Array]  # matrix, x -> (N, out)
    seconds: float  # estimated time of one configuration


def convolution(
    extent: tuple[int, ...],
    pbc: tuple[bool, ...],
    kernel: tuple[int, ...],
    n_in: int,
    n_out: int,
    *,
    dense: int | None = None,
) -> Convolution:
    """On a lattice of ``extent`` sites with a kernel of extent ``kernel``, both (D,).

    ``dense``: the number of dense directions; None: the fastest number. Raises ValueError for a kernel that would reach
    a site twice, or none.
    """
    for length, side, size in zip(extent, pbc, kernel, strict=True):
        most = length if side else 2 * length - 1
        if not 1 <= size <= most:
            raise ValueError(f"kernel={list(kernel)}: along {length} sites valid are extents from 1 to {most}")
    n_sites, n_kernel, n_dim = math.prod(extent), math.prod(kernel), len(extent)
    reach = [reach_of(size) for size in kernel]
    source_KN = sources(extent, pbc, reach)

    d = min(range(n_dim + 1), key=lambda d: _seconds(extent, kernel, n_in, n_out, d)) if dense is None else dense
    s, k_inner, k_outer = math.prod(extent[:d]), math.prod(kernel[:d]), math.prod(kernel[d:])
    inner_ss = places(sources(extent[:d], pbc[:d], reach[:d]))

    def matrix(kernel_KIO: Array) -> Array:
        w = kernel_KIO.reshape(k_outer, k_inner, n_in, n_out)
        w = jnp.pad(w, ((0, 0), (0, 1), (0, 0), (0, 0)))[:, inner_ss]  # (k_outer, s, s, in, out)
        return w.transpose(0, 1, 3, 2, 4).reshape(k_outer * s * n_in, s * n_out)

    def times(matrix: Array, x: Array) -> Array:
        blocks = x.reshape(*extent[d:][::-1], s * n_in)
        return (_shifted(blocks, pbc[d:], kernel[d:]) @ matrix).reshape(n_sites, n_out)

    def patches_times(x: Array, kernel_KIO: Array) -> Array:
        """The same, linear in the kernel: its transpose, the gradient for each sample, is one product a sample."""
        beyond = 0 if (source_KN < n_sites).all() else 1
        x = jnp.pad(x.T, ((0, 0), (0, beyond)))
        patches = x[:, source_KN].transpose(1, 0, 2).reshape(n_kernel * n_in, n_sites)
        return jnp.einsum("pn,po->no", patches, kernel_KIO.reshape(n_kernel * n_in, n_out))

    @jax.custom_jvp
    def apply(kernel_KIO: Array, x: Array) -> Array:
        return times(matrix(kernel_KIO), x)

    @apply.defjvp
    def apply_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
        # Differentiating through `matrix` would make the gradient of the whole matrix for every sample.
        (kernel_KIO, x), (d_kernel, d_x) = primals, tangents
        w = matrix(kernel_KIO)
        return times(w, x), times(w, d_x) + patches_times(x, d_kernel)

    return Convolution(apply, matrix, times, _seconds(extent, kernel, n_in, n_out, d))


class Batched(NamedTuple):
    """A convolution of batches of configurations, x (N, B, in), the fastest for its sizes. Not for few of them."""

    tables: Callable[[Array], Any]  # kernel -> what ``times`` takes
    times: Callable[[Any, Array], Array]  # tables, x -> (N, B, out); linear in x, efficient to differentiate by it
    seconds: float  # estimated time of one configuration


def batched(extent: tuple[int, ...], pbc: tuple[bool, ...], kernel: tuple[int, ...], n_in: int, n_out: int) -> Batched:
    """By Fourier transforms (`spectral`) or as `convolution`."""
    direct = convolution(extent, pbc, kernel, n_in, n_out)
    waves = spectral(extent, pbc, kernel)
    operations = 2 * waves.products * n_in * n_out + 2 * waves.transformed * (n_in + n_out)
    copied = 2 * waves.halved * math.prod(extent) * (n_in + n_out)
    seconds = operations * PER_SPECTRAL_OPERATION + copied * PER_COPY
    if seconds < direct.seconds:
        return Batched(waves.matrices, waves.times, seconds)
    return Batched(direct.matrix, jax.vmap(direct.times, (None, 1), 1), direct.seconds)


def places_of(extent: tuple[int, ...], pbc: tuple[bool, ...], kernel: tuple[int, ...], x: Array) -> list[Array]:
    """(N, in) -> for each place of the kernel, in order, its input at each output, (N, in)."""
    shifts = [x.reshape(*extent[::-1], -1)]
    for axis, (side, size) in enumerate(zip(pbc[::-1], kernel[::-1], strict=True)):
        shifts = [_shift(y, k, axis, side) for y in shifts for k in reach_of(size)]
    return [y.reshape(x.shape) for y in shifts]


def _seconds(extent: tuple[int, ...], kernel: tuple[int, ...], n_in: int, n_out: int, d: int) -> float:
    """Estimated time of one configuration with d dense directions."""
    s, blocks, k_outer = math.prod(extent[:d]), math.prod(extent[d:]), math.prod(kernel[d:])
    copied = blocks * k_outer * s * n_in
    copies = 0 if d == len(extent) else copied * PER_COPY
    return 2 * copied * s * n_out * PER_OPERATION + copies


def _shifted(x: Array, pbc: tuple[bool, ...], kernel: tuple[int, ...]) -> Array:
    """(blocks, k c) from (..., c), the last direction first: for each entry of the kernel the input it multiplies.

    By slices instead of a gather, into which XLA would fuse the activation before it and recompute it for each copy.
    """
    shifts = [x]
    for axis, (side, size) in enumerate(zip(pbc[::-1], kernel[::-1], strict=True)):
        shifts = [_shift(y, k, axis, side) for y in shifts for k in reach_of(size)]
    return jnp.concatenate(shifts, axis=-1).reshape(-1, len(shifts) * x.shape[-1])


def _shift(x: Array, by: int, axis: int, periodic: bool) -> Array:
    """y_o = x_(o + by) along an axis."""
    length = x.shape[axis]
    if by == 0:
        return x
    if periodic:
        cut = by % length
        ends = ((cut, length), (0, cut))
        return jnp.concatenate([jax.lax.slice_in_dim(x, *end, axis=axis) for end in ends], axis=axis)
    kept = jax.lax.slice_in_dim(x, max(by, 0), length + min(by, 0), axis=axis)
    widths = [(0, 0)] * x.ndim
    widths[axis] = (max(-by, 0), max(by, 0))
    return jnp.pad(kept, widths)


def reach_of(size: int) -> range:
    return range(-((size - 1) // 2), size // 2 + 1)


def sources(extent: tuple[int, ...], pbc: tuple[bool, ...], reach: Sequence[range]) -> NDArray[np.int64]:
    """(K, N): the site that entry k of the kernel multiplies for output o; N beyond an open side."""
    n_sites = math.prod(extent)
    here = np.array(list(itertools.product(*map(range, extent[::-1]))), int).reshape(n_sites, -1)
    steps = np.array(list(itertools.product(*reach[::-1])), int).reshape(math.prod(map(len, reach)), -1)
    there = here[None] + steps[:, None]
    length, side = np.array(extent[::-1], int), np.array(pbc[::-1], bool)
    there = np.where(side, there % np.where(side, length, 1), there)
    inside = ((there >= 0) & (there < length)).all(axis=-1)
    strides = np.cumprod((1, *extent))[: len(extent)][::-1]
    return np.where(inside, there @ strides, n_sites)


def places(source_KN: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, N): which entry of the kernel leads from site i to output o; K if none does."""
    n_kernel, n_sites = source_KN.shape
    place = np.full((n_sites + 1, n_sites), n_kernel)
    for k in range(n_kernel):
        place[source_KN[k], np.arange(n_sites)] = k
    return place[:n_sites]
