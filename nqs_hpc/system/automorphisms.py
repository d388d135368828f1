"""The permutations of sites that leave a labelled graph invariant: symmetries of a lattice without regular geometry.

Each pair of sites has a label: orders and weights for bonds, the shell of its distance for positions. Sites get
colours, which are refined until a colour determines which labels lead to which colours (B. Weisfeiler and A. Leman,
1968). If several sites share a colour, one of them is marked, and for each other one a permutation is searched that
maps one to the other. The permutations of all marked sites together generate the whole group, as in the search of B. D.
McKay and A. Piperno, J. Symb. Comput. 60, 94 (2014), doi:10.1016/j.jsc.2013.09.003. Colours are hashes, so they do not
depend on the order of sites, and each permutation is checked in the end.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system import shells
from nqs_hpc.system.lattice import TOLERANCE, Lattice
from nqs_hpc.system.layers import of_all_layers, one_layer

MOST = 512  # elements; characters are computed for at most as many (`characters.MAX_ELEMENTS`)
MAX_SITES = 512  # all pairs are compared many times
MOST_TRIES = 4096  # colourings; a graph that needs more counts as too hard

Colours = NDArray[np.uint64]


def is_searched(lattice: Lattice) -> bool:
    """Whether the point group of a lattice is found here: for bonds or positions without a unit cell."""
    return lattice.edges is not None or lattice.name == "points"


def symmetries(lattice: Lattice) -> NDArray[np.int32]:
    """(G, N) for a lattice that `is_searched`, the identity first, then sorted: permutations that keep the bonds of all
    orders with their weights, or, for positions, all distances up to the lattice's tolerance. ValueError if they are
    too many.
    """
    one = one_layer(lattice)
    if one.n_sites > MAX_SITES:
        raise ValueError(f"symmetries are found on at most {MAX_SITES} sites")
    labels_NN = _of_bonds(one) if one.edges is not None else _of_distances(one)
    perms = _cached(labels_NN.tobytes(), one.n_sites)
    return of_all_layers(perms, lattice.layers) if lattice.layers > 1 else perms.copy()


def automorphisms(labels_NN: NDArray[np.int64]) -> NDArray[np.int32]:
    """(G, N) the permutations p with labels[p[i], p[j]] = labels[i, j] for a symmetric matrix; sorted, the identity
    first. ValueError for more than ``MOST``.
    """
    hashed_NN = _mixed(_with_steps(labels_NN).astype(np.uint64))
    colours = _refined(np.diagonal(hashed_NN).copy(), hashed_NN)
    levels, order = [], 1
    search = _Search(labels_NN, hashed_NN)
    while (site := _ambiguous(colours)) is not None:
        marked = _marked(colours, site, hashed_NN)
        same = np.flatnonzero(colours == colours[site]).tolist()
        found = [search.carrying(marked, _marked(colours, other, hashed_NN)) for other in same]
        levels.append([perm for perm in found if perm is not None])
        order *= len(levels[-1])
        if order > MOST:
            raise ValueError(f"it has more than {MOST} symmetries; symmetrize.file takes a group of some of them")
        colours = marked
    elements = [np.arange(len(labels_NN))]
    for level in reversed(levels):
        elements = [perm[element] for perm in level for element in elements]
    return np.unique(np.array(elements), axis=0).astype(np.int32)


@lru_cache(maxsize=4)
def _cached(labels: bytes, n_sites: int) -> NDArray[np.int32]:
    return automorphisms(np.frombuffer(labels, dtype=np.int64).reshape(n_sites, n_sites))


class _Search:
    """Permutations that map one colouring to another, with a bound on their total cost."""

    def __init__(self, labels_NN: NDArray[np.int64], hashed_NN: Colours) -> None:
        self._labels_NN, self._hashed_NN, self._left = labels_NN, hashed_NN, MOST_TRIES

    def carrying(self, here: Colours, there: Colours) -> NDArray[np.int64] | None:
        self._left -= 1
        if self._left < 0:
            raise ValueError("its symmetries are too hard to find; symmetrize.file takes a group of them")
        if not np.array_equal(np.sort(here), np.sort(there)):
            return None
        site = _ambiguous(here)
        if site is None:
            perm = np.empty(len(here), dtype=np.int64)
            perm[np.argsort(here)] = np.argsort(there)
            return perm if np.array_equal(self._labels_NN[perm][:, perm], self._labels_NN) else None
        marked = _marked(here, site, self._hashed_NN)
        for other in np.flatnonzero(there == here[site]).tolist():
            found = self.carrying(marked, _marked(there, other, self._hashed_NN))
            if found is not None:
                return found
        return None


def _of_bonds(lattice: Lattice) -> NDArray[np.int64]:
    assert lattice.edges is not None
    kinds: list[list[tuple[int, float]]] = []
    number_NN = np.full((lattice.n_sites,) * 2, -1)
    for order, bonds in lattice.edges.items():
        weights = np.ones(len(bonds)) if lattice.weights is None else lattice.weights[order]
        for (i, j), weight in zip(bonds.tolist(), weights.tolist(), strict=True):
            if number_NN[i, j] < 0:
                number_NN[i, j] = number_NN[j, i] = len(kinds)
                kinds.append([])
            kinds[number_NN[i, j]].append((order, weight))
    labels = {kind: label for label, kind in enumerate(sorted({tuple(kind) for kind in kinds}), 1)}
    label_of = np.array([labels[tuple(kind)] for kind in kinds] + [0])
    return label_of[number_NN].astype(np.int64)  # pairs without a bond use the last entry


def _of_distances(lattice: Lattice) -> NDArray[np.int64]:
    pairs, lengths = shells.by_distance(lattice.positions)
    tolerance = TOLERANCE if lattice.tolerance is None else lattice.tolerance
    shell = np.cumsum(np.append(1, np.diff(lengths) > tolerance * lengths[:-1]))
    labels_NN = np.zeros((lattice.n_sites,) * 2, dtype=np.int64)
    labels_NN[pairs[:, 0], pairs[:, 1]] = labels_NN[pairs[:, 1], pairs[:, 0]] = shell
    return labels_NN


def _with_steps(labels_NN: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labels that also count the steps between sites: so the sites of a ring are distinguished at once, not bond by
    bond."""
    n = len(labels_NN)
    steps_NN = np.zeros((n, n), dtype=np.int64)
    near = [sum(1 << j for j in np.flatnonzero(row).tolist()) for row in labels_NN > 0]  # sets as bits
    for i in range(n):
        seen, front, step = 1 << i, [i], 0
        while front:
            step += 1
            reached = 0
            for j in front:
                reached |= near[j]
            reached &= ~seen
            seen |= reached
            front = []
            while reached:
                front.append((reached & -reached).bit_length() - 1)
                reached &= reached - 1
            steps_NN[i, front] = step
    return labels_NN * n + steps_NN


def _mixed(x: Colours) -> Colours:
    """A hash of each entry (splitmix64)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _refined(colours: Colours, hashed_NN: Colours) -> Colours:
    n_colours = len(np.unique(colours))
    while n_colours < len(colours):
        # sums modulo 2^64 do not depend on the order of sites
        new = _mixed(colours + _mixed(hashed_NN ^ colours[None, :]).sum(axis=1, dtype=np.uint64))
        n_new = len(np.unique(new))
        colours = new
        if n_new == n_colours:
            break
        n_colours = n_new
    return colours


def _marked(colours: Colours, site: int, hashed_NN: Colours) -> Colours:
    marked = colours.copy()
    marked[site] = _mixed(~marked[site : site + 1])[0]
    return _refined(marked, hashed_NN)


def _ambiguous(colours: Colours) -> int | None:
    """The first site of the smallest set of sites with the same colour; None if all colours differ."""
    kinds, first, counts = np.unique(colours, return_index=True, return_counts=True)
    several = np.flatnonzero(counts > 1)
    if not len(several):
        return None
    least = several[counts[several] == counts[several].min()]
    return int(first[least[np.argmin(kinds[least])]])  # the same colour for any order of sites
