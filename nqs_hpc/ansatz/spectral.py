"""Convolutions on lattices by discrete Fourier transforms of real numbers, of whole batches of configurations.

    y_o = sum_j W_j x_(o + j)     is     Y_k = H_k X_k,     X_k = sum_o exp(-i k o) x_o,     H_k = sum_j exp(i k j) W_j,

for wave vectors k of the periodic lattice; along an open direction with as many sites of zeros more as a kernel reaches
beyond it. x is real, so one of k and -k is enough: a real product where k = -k, three real ones for a complex one, from
a + ib = X and c + id = H (Karatsuba and Ofman 1962; cyclic convolutions in real products: Winograd, Arithmetic
Complexity of Computations, SIAM 1980):

    p = (a + b) c,  q = a (d - c),  r = b (c + d):      Re Y = p - r,  Im Y = p + q.

On N sites about 3 N / 2 products of n_in x n_out matrices stand instead of K N. The sums a + b and p - r are made by
the transforms, which are products with matrices of cosines and sines. Along a periodic direction of even length the
halves of x are added and subtracted first: the sum has the even, the difference the odd multiples of 2 pi / length (the
first step of a decimation in frequency, Gentleman and Sande 1966), and the matrices have a quarter of the entries.

Arrays are (sites, batch, features), so that all of these are products of large matrices without a copy in between.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray


class Part(NamedTuple):
    """The wave vectors that one combination of halves contains."""

    forward: NDArray[np.float64]  # (M, n): the n numbers of the combination -> the M factors
    kernel: NDArray[np.float64]  # (M, K): the kernel -> the M matrices
    backward: NDArray[np.float64]  # (n, M)


class Spectral(NamedTuple):
    """``kernel`` is (K, in, out), as in `convolution`; x (N, B, in)."""

    matrices: Callable[[Array], tuple[Array, ...]]  # kernel -> (M, in, out) of each part
    times: Callable[[tuple[Array, ...], Array], Array]  # matrices, x -> (N, B, out)
    products: int  # M of all parts
    transformed: int  # entries of all matrices ``forward``
    halved: int  # directions along which halves are added and subtracted


def spectral(extent: tuple[int, ...], pbc: tuple[bool, ...], kernel: tuple[int, ...]) -> Spectral:
    """On a lattice of ``extent`` sites with a kernel of extent ``kernel``, both (D,)."""
    # axes of arrays: the last direction first
    lengths, sides, sizes = extent[::-1], pbc[::-1], kernel[::-1]
    halves = [side and length % 2 == 0 for length, side in zip(lengths, sides, strict=True)]
    axes = [axis for axis, halve in enumerate(halves) if halve]
    parts = [
        _part(lengths, sides, sizes, parities)
        for parities in itertools.product(*((0, 1) if h else (None,) for h in halves))
    ]
    n_sites = math.prod(extent)

    def matrices(kernel_KIO: Array) -> tuple[Array, ...]:
        flat = kernel_KIO.reshape(len(kernel_KIO), -1)
        return tuple((jnp.asarray(part.kernel, flat.dtype) @ flat).reshape(-1, *kernel_KIO.shape[1:]) for part in parts)

    def times(matrices: tuple[Array, ...], x: Array) -> Array:
        batch = x.shape[1]
        found = []
        for part, matrix, combined in zip(parts, matrices, _split(x.reshape(*lengths, -1), axes), strict=True):
            n = part.forward.shape[1]
            factors = jnp.asarray(part.forward, x.dtype) @ combined.reshape(n, -1)
            products = jnp.einsum("mbi,mio->mbo", factors.reshape(-1, batch, x.shape[2]), matrix)
            back = jnp.asarray(part.backward, x.dtype) @ products.reshape(len(products), -1)
            found.append(back.reshape(*combined.shape[:-1], -1))
        return _join(found, axes).reshape(n_sites, batch, -1)

    return Spectral(
        matrices,
        times,
        products=sum(len(part.kernel) for part in parts),
        transformed=sum(part.forward.size for part in parts),
        halved=len(axes),
    )


def _split(x: Array, axes: list[int]) -> list[Array]:
    """Sums and differences of halves along the axes, those of the last axis next to each other."""
    parts = [x]
    for axis in axes:
        halves = [jnp.split(part, 2, axis=axis) for part in parts]
        parts = [combined for a, b in halves for combined in (a + b, a - b)]
    return parts


def _join(parts: list[Array], axes: list[int]) -> Array:
    """x from its even and odd parts on the first halves."""
    for axis in reversed(axes):
        parts = [
            jnp.concatenate([even + odd, even - odd], axis=axis)
            for even, odd in zip(parts[::2], parts[1::2], strict=True)
        ]
    return parts[0]


def _part(
    lengths: tuple[int, ...], sides: tuple[bool, ...], sizes: tuple[int, ...], parities: tuple[int | None, ...]
) -> Part:
    """Of even (0) and odd (1) wave numbers along each direction, or of all of them (None)."""
    periods = [length if side else length + size // 2 for length, side, size in zip(lengths, sides, sizes, strict=True)]
    numbers = [
        range(period) if parity is None else range(parity, period, 2)
        for period, parity in zip(periods, parities, strict=True)
    ]
    real, pairs = [], []
    for k in itertools.product(*numbers):
        opposite = tuple(-n % period for n, period in zip(k, periods, strict=True))
        if k == opposite:
            real.append(k)
        elif k < opposite:
            pairs.append(k)
    shown = [range(n if parity is None else n // 2) for n, parity in zip(lengths, parities, strict=True)]
    places = np.array(list(itertools.product(*shown)), int)
    offsets = np.array(list(itertools.product(*(range(-((size - 1) // 2), size // 2 + 1) for size in sizes))), int)

    def waves(numbers: list[tuple[int, ...]], places: NDArray[np.int64]) -> tuple[NDArray, NDArray]:
        k = np.array(numbers, int).reshape(-1, len(periods))
        # whole turns are taken out while numbers are integers
        turns = (k[:, None] * places[None]) % np.array(periods)
        angle = 2 * np.pi * np.sum(turns / np.array(periods), axis=2)
        return np.cos(angle), np.sin(angle)

    (one, _), (cos, sin) = waves(real, places), waves(pairs, places)
    (h, _), (c, d) = waves(real, offsets), waves(pairs, offsets)
    n_periods = math.prod(periods)
    return Part(
        forward=np.concatenate([one, cos - sin, cos, -sin]),
        kernel=np.concatenate([h, c, d - c, c + d]),
        backward=np.concatenate([one, 2 * (cos - sin), -2 * sin, -2 * cos]).T / n_periods,
    )
