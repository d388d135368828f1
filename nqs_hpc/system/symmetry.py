"""Space-group symmetries of a finite lattice, as permutations of its sites.

A permutation says where sites go: it maps site i to ``perm[i]``. It acts on configurations by moving the values along,
``s'[perm[i]] = s[i]``, that is ``s' = s[np.argsort(perm)]``; ``s[perm]`` is the action of the inverse. First g then h
is the permutation ``h[g]``. Sets of permutations are groups, the same on every rank, with the identity first.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.lattice import TOLERANCE, Lattice, cells, neighbours, sites_at
from nqs_hpc.system.layers import of_all_layers, one_layer
from nqs_hpc.system.vectors import shortened


def translations(lattice: Lattice) -> NDArray[np.int32]:
    """All translations along the periodic directions, (T, N) int32 with T the product of their extents.

    They are numbered like cells, the first periodic direction fastest: row ``tx + Lx ty`` moves by tx a_1 + ty a_2. A
    lattice without periodic directions has only the identity. ValueError for a lattice from edges.
    """
    _check(lattice)
    if lattice.layers > 1:
        return of_all_layers(translations(one_layer(lattice)), lattice.layers)
    steps = [range(length) if side else range(1) for length, side in zip(lattice.extent, lattice.pbc, strict=True)]
    shifts = np.array(list(product(*reversed(steps))))[:, ::-1]
    sublattice = np.arange(lattice.n_sites) % len(lattice.basis)
    moved = sites_at(lattice, cells(lattice)[None, :, :] + shifts[:, None, :], sublattice[None, :])
    return moved.astype(np.int32)


def point_group(lattice: Lattice) -> NDArray[np.int32]:
    """Rotations and reflections about one centre that map the finite lattice onto itself, (G, N) int32.

    The centre with the most elements is taken: site 0 if that is enough, else the centre of a hexagon or a cell, or the
    middle of the cluster along open directions; for the links of a lattice a vertex, so that vertices are mapped to
    vertices. Elements are distinct as permutations and sorted: on tori of extent 2 different rotations can be the same
    permutation, and count once. Each maps the bonds of every order onto themselves. ValueError for a lattice from
    edges.
    """
    perms, _ = point_operations(lattice)
    return np.unique(perms, axis=0)  # sorted, and the identity is the smallest permutation


def point_operations(lattice: Lattice) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The operations behind `point_group`: (K, N) int32 permutations, not all distinct, and (K, D, D) orthogonal
    matrices R of the maps r -> (r - centre) R + centre of row vectors.
    """
    _check(lattice)
    if lattice.layers > 1:
        perms, matrices_KDD = point_operations(one_layer(lattice))
        return of_all_layers(perms, lattice.layers), matrices_KDD
    matrices = _isometries(lattice)
    best: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    most = 0
    stated = [neighbours(lattice, n) for n in range(1, 1 + len(lattice.stated or ()))]
    for centre in _centres(lattice):
        found = [(perm, m) for m in matrices if (perm := _permutation(lattice, m, centre)) is not None]
        if stated:  # bonds that are not simply all those of one length
            found = [(perm, m) for perm, m in found if all(is_symmetry(perm, bonds) for bonds in stated)]
        distinct = len(np.unique([perm for perm, _ in found], axis=0))
        if distinct > most:
            best, most = found, distinct
        if most == len(matrices):
            break
    perms, integers = (np.array(part) for part in zip(*best, strict=True))
    return perms.astype(np.int32), np.linalg.inv(lattice.vectors)[None] @ integers @ lattice.vectors[None]


def is_symmetry(perm: NDArray[np.integer], edges: NDArray[np.integer]) -> bool:
    """Whether ``perm`` (N,) is a permutation that maps the bonds ``edges`` (n_bonds, 2) onto themselves."""
    if not np.array_equal(np.sort(perm), np.arange(len(perm))):
        return False
    moved = {(min(i, j), max(i, j)) for i, j in perm[edges].tolist()}
    return moved == {(min(i, j), max(i, j)) for i, j in edges.tolist()}


def _check(lattice: Lattice) -> None:
    if lattice.edges is not None:
        raise ValueError("lattice=edges: a lattice from edges carries no geometry, so no translations or point group")


def _isometries(lattice: Lattice) -> list[NDArray[np.int64]]:
    """Integer matrices M of the orthogonal maps a_i -> sum_j M_ij a_j that keep the lattice and its periodic sides."""
    short_DD = shortened(lattice.vectors)  # skew vectors would need a large box of images
    back_DD = np.rint(np.linalg.inv(short_DD)).astype(np.int64)
    vectors_DD = short_DD @ lattice.vectors
    gram = vectors_DD @ vectors_DD.T
    longest = np.sqrt(gram.diagonal().max())
    reach = int(longest * np.linalg.norm(np.linalg.inv(vectors_DD), axis=0).max() + TOLERANCE)
    box = np.array(list(product(range(-reach, reach + 1), repeat=len(gram))))
    norms = np.einsum("ni,ij,nj->n", box, gram, box)
    images = [box[np.abs(norms - norm) < TOLERANCE] for norm in gram.diagonal()]
    extent, pbc = lattice.extent, lattice.pbc
    matrices = []
    for rows in product(*images):
        of_short = np.array(rows)
        if np.abs(of_short @ gram @ of_short.T - gram).max() > TOLERANCE:
            continue
        matrix = back_DD @ of_short @ short_DD
        # side i, L_i a_i, must arrive at a whole number of the sides of the torus
        if all(
            extent[i] * matrix[i, j] % extent[j] == 0 if pbc[j] else matrix[i, j] == 0
            for i, j in np.ndindex(matrix.shape)
            if pbc[i]
        ):
            matrices.append(matrix)
    return matrices


def _centres(lattice: Lattice) -> list[NDArray[np.float64]]:
    """Possible centres of a group in fractional coordinates (D,), site 0 first, a vertex for links.

    Each two-fold rotation is centred in the middle between two sites, and the largest groups contain one. Along open
    directions the centre is that of the cluster, perpendicular to the periodic directions.
    """
    sides = lattice.vectors[np.array(lattice.pbc)]
    along = np.linalg.pinv(sides) @ sides if len(sides) else np.zeros((sides.shape[1],) * 2)
    middle = lattice.positions.mean(axis=0)
    n_basis = len(lattice.basis)
    halves = [np.array(half) / 2 @ lattice.vectors for half in product((0, 1), repeat=len(lattice.vectors))]
    first = [np.zeros(len(lattice.vectors))] if lattice.name == "links" else []
    points = first + [
        (lattice.basis[a] + lattice.basis[b]) / 2 + h for a, b in np.ndindex(n_basis, n_basis) for h in halves
    ]
    points += [lattice.basis.mean(axis=0)]  # the centre of pyrochlore's tetrahedra, which is not between two sites
    distinct: dict[tuple[float, ...], NDArray[np.float64]] = {}
    for point in points:
        centre = (middle + (point - middle) @ along) @ np.linalg.inv(lattice.vectors)
        distinct.setdefault(tuple(np.round(centre, 6).tolist()), centre)
    return list(distinct.values())


def _permutation(lattice: Lattice, matrix: NDArray[np.int64], centre: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """The images of the sites under r -> (r - centre) M + centre; None if one of them leaves the lattice."""
    offsets = lattice.basis @ np.linalg.inv(lattice.vectors)
    sites = cells(lattice) + np.tile(offsets, (lattice.n_sites // len(offsets), 1))
    moved = (sites - centre[None, :]) @ matrix + centre[None, :]
    perm = np.full(lattice.n_sites, -1)
    for sublattice, offset in enumerate(offsets):
        corner = moved - offset[None, :]
        cell = np.rint(corner).astype(np.int64)
        hit = np.abs(corner - cell).max(axis=1) < TOLERANCE
        perm[hit] = sites_at(lattice, cell[hit], sublattice)
    return None if (perm < 0).any() else perm
