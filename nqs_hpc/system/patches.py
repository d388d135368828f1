"""Patches of a lattice: equal blocks of cells that cover it, and their relative positions.

A patch is a block of ``patch`` unit cells with all their sites. The patches form a lattice with extent / patch cells in
each direction and the same boundaries. Two pairs of patches have the same relative position if a translation by whole
patches maps one to the other: n displacements along a closed direction of n patches, 2n - 1 along an open one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system import links
from nqs_hpc.system.families import is_in_cells
from nqs_hpc.system.lattice import Lattice, cells


class Patches(NamedTuple):
    """``n`` patches of S sites each; tables are indexed [i, j] by pairs of patches."""

    sites: NDArray[np.int32]  # (n, S), the sites of each patch, in the same order in all of them
    relative: NDArray[np.int32]  # (n, n), the number of the relative position of patch i as seen from patch j
    n_relative: int


def patches(lattice: Lattice, patch: int | Sequence[int]) -> Patches:
    """The patches of ``patch`` cells, one number for all directions or one each.

    ValueError, which says what is valid, if they do not fit.
    """
    if not is_in_cells(lattice) and lattice.name != links.NAME:
        raise ValueError(f"patches of a lattice in unit cells; {lattice.told} has none")
    size = (patch,) * len(lattice.extent) if isinstance(patch, int) else tuple(patch)
    if len(size) != len(lattice.extent):
        raise ValueError(f"one number, or {len(lattice.extent)}, one by direction")
    if any(length < 1 or extent % length for length, extent in zip(size, lattice.extent, strict=True)):
        raise ValueError(f"divisors of the extent, {list(lattice.extent)}, by direction")

    cell_ND = cells(lattice)
    numbers = tuple(extent // length for extent, length in zip(lattice.extent, size, strict=True))
    patch_N = np.ravel_multi_index(tuple((cell_ND // size).T), numbers, order="F")
    n_patches = int(np.prod(numbers))
    # a stable sort keeps the order of the sites within each patch, as translations do
    sites = np.argsort(patch_N, kind="stable").reshape(n_patches, -1)

    place_nD = np.stack(np.unravel_index(np.arange(n_patches), numbers, order="F"), axis=1)
    shift = place_nD[:, None, :] - place_nD[None, :, :]
    n = np.array(numbers)
    shift = np.where(lattice.pbc, shift % n, shift + n - 1)
    spans = tuple(np.where(lattice.pbc, n, 2 * n - 1).tolist())
    relative = np.ravel_multi_index(tuple(np.moveaxis(shift, -1, 0)), spans, order="F")
    return Patches(sites.astype(np.int32), relative.astype(np.int32), int(np.prod(spans)))
