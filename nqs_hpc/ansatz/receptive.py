"""Causal convolutions on a grid, and how far a change of one site reaches through their layers.

The sites of a chain or of rows of a square lattice are numbered in raster order, site = x + Lx y. A kernel of size k
covers the last k - 1 sites of a chain, or the last k - 1 rows and in each row k - 1 columns to either side: the offsets
(dy, dx) that come before (0, 0), and except in the first layer (0, 0) itself. Inputs outside of the grid are 0.

A change of the input at one site changes layer l at the sites whose kernels reach it through l layers: a window of
fixed shape around the site, which is determined here. One matrix, the same for all sites, takes the changes in one
window to those in the next.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Window(NamedTuple):
    """The W places that a change of one site reaches in one layer."""

    offsets: NDArray[np.int32]  # (W, D)
    sites: NDArray[np.int32]  # (N, W): the sites at these offsets from each site, site 0 if outside of the grid
    on_grid: NDArray[np.bool_]  # (N, W)


def causal_offsets(dimensions: int, kernel: int, *, exclusive: bool) -> NDArray[np.int32]:
    """(n, D) in the order of the sites, the last one (0, 0) unless ``exclusive``."""
    reach = kernel - 1
    sides = [range(-reach, 1)] + [range(-reach, reach + 1)] * (dimensions - 1)
    offsets = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, dimensions)
    rank = offsets @ (2 * kernel) ** np.arange(dimensions)[::-1]
    return offsets[rank < 0 if exclusive else rank <= 0].astype(np.int32)


def windows(shape: tuple[int, ...], kernels: list[NDArray[np.int32]]) -> list[Window]:
    """The window of each layer on a grid of ``shape``, rows first; that of the last layer has the site itself first."""
    places = np.stack(np.unravel_index(np.arange(np.prod(shape)), shape), axis=-1)
    result, reached = [], np.zeros((1, len(shape)), np.int32)
    for i, kernel in enumerate(kernels, start=1):
        reached = np.unique((reached[:, None] - kernel[None]).reshape(-1, len(shape)), axis=0).astype(np.int32)
        reached = reached[np.all(np.abs(reached) < shape, axis=1)]  # the others are outside of the grid for every site
        offsets = reached if i < len(kernels) else np.concatenate([np.zeros_like(reached[:1]), reached])
        there = places[:, None] + offsets[None]
        on_grid = np.all((there >= 0) & (there < np.array(shape)), axis=-1)
        sites = np.ravel_multi_index(tuple(np.moveaxis(np.where(on_grid[..., None], there, 0), -1, 0)), shape)
        result.append(Window(offsets, sites.astype(np.int32), on_grid))
    return result


def connections(source: NDArray[np.int32], target: NDArray[np.int32], kernel: NDArray[np.int32]) -> NDArray[np.int32]:
    """(sources, targets): which entry of the kernel leads from an offset to another, len(kernel) if none does."""
    number = {tuple(offset): i for i, offset in enumerate(kernel.tolist())}
    pairs = (source[:, None] - target[None]).tolist()
    return np.array([[number.get(tuple(pair), len(kernel)) for pair in row] for row in pairs], np.int32)


def relative(offsets: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """The place in a window for a difference of two sites' coordinates, or W if there is none: one axis for each
    direction, with index difference + extent - 1."""
    table = np.full([2 * extent - 1 for extent in shape], len(offsets), np.int32)
    table[tuple((offsets + np.array(shape) - 1).T)] = np.arange(len(offsets))
    return table
