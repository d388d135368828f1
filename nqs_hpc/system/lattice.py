"""Lattices: sites, neighbours by order, and sublattices.

A site is r = x a_1 + y a_2 + z a_3 + b: cell (x, y, z), primitive vectors a, basis vector b. Its number is
``cell * n_basis + basis`` with ``cell = x + Lx y + Lx Ly z``, so on the square lattice site = x + Lx y. The built-in
lattices are those of `families`. A lattice from a user's edges has sites and bonds, but no geometry; lattices from a
user's positions (`points`) or from the bonds of the square lattice (`links`) keep the given lengths.

Bonds join a pair of sites once. If a Hamiltonian counts some more often, or by a number from a user's file, that is
their weight (`bond_weights`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nqs_hpc.system import shells
from nqs_hpc.system.edges import read_edges
from nqs_hpc.system.families import DIMENSIONS, FACTORIES, size_in_words
from nqs_hpc.system.graph import connected
from nqs_hpc.system.layers import in_all_layers, one_layer
from nqs_hpc.system.sites import TOLERANCE, Lattice, Shell
from nqs_hpc.system.vectors import reaching, shortened

__all__ = [
    "DIMENSIONS",
    "FACTORIES",
    "Lattice",
    "bipartition",
    "bond_lengths",
    "bond_weights",
    "cells",
    "edges_lattice",
    "neighbours",
    "read_edges",
    "sites_at",
]


def edges_lattice(
    n_sites: int | None, edges: Mapping[int, ArrayLike], weights: Mapping[int, ArrayLike] | None = None
) -> Lattice:
    """A lattice of given bonds, ``{order: (n_bonds, 2)}`` as from ``read_edges``, and of their weights ``{order:
    (n_bonds,)}`` if there are any.

    A bond begins at its first site, for couplings that have a sense (`turned`). ``n_sites`` None means one more than
    the largest site; a number must equal that, because a site beyond it has no bond. ValueError for that, and for lines
    that are not bonds: negative sites, self-loops, repeats.
    """
    bonds: dict[int, NDArray[np.int32]] = {}
    turned: dict[int, NDArray[np.bool_]] = {}
    sorted_weights: dict[int, NDArray[np.float64]] = {}
    for order in sorted(edges):
        pairs = np.sort(np.asarray(edges[order]), axis=-1)
        right = order >= 1 and pairs.dtype.kind in "iu" and pairs.ndim == 2 and pairs.shape[1] == 2 and len(pairs) > 0
        if not right or pairs.min() < 0 or (pairs[:, 0] == pairs[:, 1]).any():
            raise ValueError(f"edges of order {order}: valid are pairs of two different sites >= 0 and orders >= 1")
        different, first = np.unique(pairs, axis=0, return_index=True)
        bonds[order], turned[order] = different.astype(np.int32), np.greater(*np.asarray(edges[order])[first].T)
        if len(bonds[order]) != len(pairs):
            raise ValueError(f"edges of order {order}: a pair is given twice")
        if weights is not None:
            given = np.asarray(weights[order], dtype=np.float64)
            if given.shape != (len(pairs),) or not np.isfinite(given).all() or not given.all():
                raise ValueError(f"weights of order {order}: valid is one for each bond, a finite number other than 0")
            sorted_weights[order] = given[first]
    if 1 not in bonds:
        raise ValueError("edges: none of order 1, the nearest neighbours")
    named = 1 + int(max(pairs.max() for pairs in bonds.values()))
    if n_sites is not None and n_sites != named:
        raise ValueError(f"lattice.n_sites={n_sites}: the edges name sites 0 to {named - 1}, that is {named} sites")
    nowhere = np.zeros((named, 0))
    found = Lattice(
        "edges", named, (named,), (False,), nowhere, np.zeros((0, 0)), np.zeros((1, 0)), bonds, turned=turned
    )
    return found if weights is None else found._replace(weights=sorted_weights)


def cells(lattice: Lattice) -> NDArray[np.int64]:
    """The cell coordinates (N, D) of every site, the same in each layer."""
    cell = np.arange(lattice.n_sites) % (lattice.n_sites // lattice.layers) // len(lattice.basis)
    return np.stack(np.unravel_index(cell, lattice.extent, order="F"), axis=1)


def sites_at(lattice: Lattice, cell: NDArray[np.int64], sublattice: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """The sites in ``cell`` (..., D) on ``sublattice`` (...): wrapped on periodic sides, -1 outside open ones.

    Of several layers those of the first.
    """
    extent = np.broadcast_to(lattice.extent, cell.shape)
    wrapped = np.where(np.broadcast_to(lattice.pbc, cell.shape), cell % extent, cell)
    inside = ((wrapped >= 0) & (wrapped < extent)).all(axis=-1)
    strides = np.cumprod((1, *lattice.extent[:-1]))
    return np.where(inside, wrapped @ strides * len(lattice.basis) + sublattice, -1)


def _shells(lattice: Lattice) -> Iterator[Shell]:
    """The bonds of each order on the infinite lattice: first those that the unit cell states, then by distance."""
    if lattice.stated is None:
        return by_distance(lattice)
    after = iter(()) if lattice.distances_from is None else islice(by_distance(lattice), lattice.distances_from, None)
    return chain(lattice.stated, after)


def by_distance(lattice: Lattice) -> Iterator[Shell]:
    """An infinite iterator over the shells of neighbours on the infinite lattice, nearest first."""
    # long and skew vectors would need a large box of candidates, so we use short vectors of the same lattice
    short_DD = shortened(lattice.vectors)
    vectors_DD = short_DD @ lattice.vectors
    # n = x inv(A) bounds the integer coordinates of a vector of given length by the columns of inv(A)
    slope = np.linalg.norm(np.linalg.inv(vectors_DD), axis=0)
    spread = max(np.linalg.norm(lattice.basis - b, axis=1).max() for b in lattice.basis)
    radius, done = 2.2, 0
    while True:
        box = reaching(np.floor((radius + spread) * slope + TOLERANCE).astype(np.int64))
        ends = (box @ vectors_DD)[:, None, :] + lattice.basis[None, :, :]
        length = np.linalg.norm(ends[None, :, :, :] - lattice.basis[:, None, None, :], axis=-1)
        near = np.nonzero((length > TOLERANCE) & (length <= radius))
        by_length = np.argsort(length[near], kind="stable")
        start, cell, end = (index[by_length] for index in near)
        steps = np.nonzero(np.diff(length[near][by_length]) > TOLERANCE)[0] + 1
        # rounding may cut the last shell at the radius itself: leave it to the next, larger radius
        for low, high in list(pairwise((0, *steps)))[done:]:
            yield Shell(start[low:high], end[low:high], box[cell[low:high]] @ short_DD)
            done += 1
        radius *= 1.5


def shell_of(lattice: Lattice, order: int) -> Shell:
    """The bonds of ``order`` on the infinite lattice. ValueError if the unit cell states no such order."""
    found = next(islice(_shells(lattice), order - 1, None), None)
    if found is None:
        assert lattice.stated is not None
        raise ValueError(f"neighbour order {order}: the unit cell states the bonds of orders 1-{len(lattice.stated)}")
    return found


def _bonds(lattice: Lattice, shell: Shell) -> NDArray[np.int32]:
    return np.unique(_joined(lattice, shell), axis=0).astype(np.int32)


def _joined(lattice: Lattice, shell: Shell) -> NDArray[np.int64]:
    """The pairs (n, 2) of a shell, i < j, each twice for every image of j that is in the shell of i."""
    n_basis = len(lattice.basis)
    here = cells(lattice)[::n_basis]  # (cells, D)
    first = np.arange(len(here))[:, None] * n_basis + shell.start[None, :]
    second = sites_at(lattice, here[:, None, :] + shell.cell[None, :, :], shell.end[None, :])
    real = (second >= 0) & (second != first)  # not past an open side, not an image of the site itself
    return np.sort(np.stack([first[real], second[real]], axis=1), axis=1)


def neighbours(lattice: Lattice, order: int) -> NDArray[np.int32]:
    """The bonds (n_bonds, 2) of neighbours of ``order``, i < j in each, sorted, each pair once.

    Orders count the distances on the infinite lattice, 1 is the nearest; on kagome and pyrochlore order 3 includes both
    the pairs across a hexagon and those along a line. If the unit cell states bonds, as for checkerboard, its orders
    come first. Sites i and j are joined at an order if *some* translation by periodic sides brings j to that distance
    from i; if several do, they are joined once; a site's own image is dropped. So on a side of extent 2 the two sites
    are joined once, not twice; `bond_weights` gives the factor 2 if requested. On small tori a pair can appear at
    several orders: on a ring of 3 orders 1 and 2 are the same three bonds; on a ring of 4 order 2 has two bonds, order
    3 repeats order 1, and order 4 has none; on the 4x4 square torus orders 1 to 5 share no pair, and order 6 repeats
    order 1.

    ValueError if the finite lattice has no bond of that order, or if the shells of measured positions are not clear
    (`shells`).
    """
    if order < 1:
        raise ValueError(f"neighbour order {order}: orders count from 1, the nearest neighbours")
    if lattice.layers > 1:
        one = one_layer(lattice)
        return in_all_layers(neighbours(one, order), one.n_sites, lattice.layers)
    if lattice.edges is not None:
        if order not in lattice.edges:
            raise ValueError(f"neighbour order {order}: the edges have orders {_ranges(sorted(lattice.edges))}")
        return lattice.edges[order]
    if lattice.tolerance is not None:
        return shells.shell(lattice.positions, order, lattice.tolerance)[0]
    bonds = _bonds(lattice, shell_of(lattice, order))
    if not len(bonds):
        valid = _orders(lattice)
        size = size_in_words(lattice)
        images = f" (above {valid[-1]} images only repeat these pairs)" if any(lattice.pbc) else ""
        raise ValueError(
            f"neighbour order {order}: no bonds on {lattice.name} {size}, which has orders {_ranges(valid)}, "
            f"the largest {valid[-1]}{images}"
        )
    return bonds


def joined_pairs(lattice: Lattice) -> NDArray[np.int32]:
    """The pairs (n, 2) of nearest neighbours; all pairs of sites if these do not connect all sites.

    With several layers, pairs within each.
    """
    if lattice.layers > 1:
        one = one_layer(lattice)
        return in_all_layers(joined_pairs(one), one.n_sites, lattice.layers)
    pairs = neighbours(lattice, 1)
    if connected(lattice.n_sites, pairs):
        return pairs
    return np.array(np.triu_indices(lattice.n_sites, 1), dtype=np.int32).T


def bond_weights(lattice: Lattice, order: int) -> NDArray[np.float64] | None:
    """The weight of each bond of `neighbours`, (n_bonds,), a factor of its coupling; None if all are 1.

    With ``double_bonds`` it is the number of ways in which the sites are joined: 2 along a periodic side of extent 2,
    where a sum over sites and directions contains the bond twice, and likewise on a ring of 4 at order 2.
    """
    if lattice.layers > 1:
        of_one = bond_weights(one_layer(lattice), order)
        return None if of_one is None else np.tile(of_one, lattice.layers)
    if lattice.weights is not None:
        return lattice.weights[order]
    if not lattice.double_bonds:
        return None
    counts = np.unique(_joined(lattice, shell_of(lattice, order)), axis=0, return_counts=True)[1] // 2
    return None if (counts == 1).all() else counts.astype(np.float64)


def pair_couplings(lattice: Lattice, by_order: Sequence[float]) -> dict[tuple[int, int], float]:
    """The total coupling of each pair of sites: over all neighbour orders, with the weights of bonds.

    On small tori two sites can be neighbours of several orders; a sum may be 0.
    """
    total: dict[tuple[int, int], float] = defaultdict(float)
    for order, coupling in enumerate(by_order, 1):
        if not coupling:  # this order may not exist on this lattice
            continue
        bonds, weights = neighbours(lattice, order), bond_weights(lattice, order)
        factors = np.ones(len(bonds)) if weights is None else weights
        for (i, j), factor in zip(bonds.tolist(), factors.tolist(), strict=True):
            total[i, j] += coupling * factor
    return dict(total)


def bond_lengths(lattice: Lattice, order: int) -> tuple[float, float] | None:
    """The least and the largest distance of neighbours of ``order``; None for a lattice from edges."""
    if lattice.edges is not None:
        return None
    if lattice.tolerance is not None:
        return shells.shell(one_layer(lattice).positions, order, lattice.tolerance)[1]
    found = shell_of(lattice, order)
    apart = lattice.basis[found.end] + found.cell @ lattice.vectors - lattice.basis[found.start]
    lengths = np.linalg.norm(apart, axis=1)
    return float(lengths.min()), float(lengths.max())


def _orders(lattice: Lattice) -> list[int]:
    """The orders that have bonds, up to the one at which every pair of sites has been joined at least once."""
    joined = np.zeros((lattice.n_sites, lattice.n_sites), dtype=bool)
    left = lattice.n_sites * (lattice.n_sites - 1) // 2
    orders = []
    for order, shell in enumerate(_shells(lattice), start=1):
        bonds = _bonds(lattice, shell)
        if len(bonds):
            orders.append(order)
        left -= int((~joined[bonds[:, 0], bonds[:, 1]]).sum())
        joined[bonds[:, 0], bonds[:, 1]] = True
        if left == 0:
            break
    return orders


def _ranges(orders: Sequence[int]) -> str:
    """[1, 2, 3, 5] as '1-3, 5'."""
    runs: list[list[int]] = []
    for order in orders:
        if runs and order == runs[-1][-1] + 1:
            runs[-1].append(order)
        else:
            runs.append([order])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def bipartition(lattice: Lattice) -> NDArray[np.int8] | None:
    """The sublattice (N,) of each site, +1 or -1, such that nearest neighbours differ; None if that is impossible.

    The first site of every connected part is +1, and so is a site that has no neighbour.
    """
    adjacent: list[list[int]] = [[] for _ in range(lattice.n_sites)]
    for i, j in neighbours(lattice, 1).tolist():
        adjacent[i].append(j)
        adjacent[j].append(i)
    colour = [0] * lattice.n_sites
    for first in range(lattice.n_sites):
        if colour[first]:
            continue
        colour[first], stack = 1, [first]
        while stack:
            i = stack.pop()
            for j in adjacent[i]:
                if not colour[j]:
                    colour[j] = -colour[i]
                    stack.append(j)
                elif colour[j] == colour[i]:
                    return None
    return np.array(colour, dtype=np.int8)
