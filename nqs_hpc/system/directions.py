"""Bonds by their direction, for couplings that depend on it: compass models, spin-orbit coupling.

A bond has a direction but no sense: of d and -d we take the one whose last nonzero coordinate is positive, and the bond
goes from i to j if j lies along d from i. Directions are sorted by their last coordinate, then by the previous one, and
by the first in descending order: for nearest neighbours

    chain, square, cubic      along the axes, x, y, z
    triangular, kagome        at 0, 60 and 120 degrees to the first axis
    honeycomb                 at 30, 150 and 90 degrees
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.boundaries import crossings
from nqs_hpc.system.lattice import TOLERANCE, Lattice, bond_weights, neighbours, shell_of


class Directed(NamedTuple):
    """The bonds along one direction."""

    direction: NDArray[np.float64]  # (D,), of length 1
    bonds: NDArray[np.int32]  # (n, 2), from i to j; a pair joined in both senses appears in both
    counts: NDArray[np.float64]  # (n,) 1, or with ``double_bonds`` the number of ways from i to j along the direction


def directions(lattice: Lattice, order: int) -> NDArray[np.float64]:
    """The directions (n, D) of neighbours of ``order`` on the infinite lattice; ValueError if there are none.

    For measured positions, directions that differ by less than twice the tolerance of distances are equal.
    """
    if lattice.edges is not None:
        raise ValueError("its bonds have directions on a lattice with positions, and lattice=edges has none")
    if lattice.tolerance is not None:  # there is only one cell
        i, j = neighbours(lattice, order).T
        apart = lattice.positions[j] - lattice.positions[i]
    else:
        shell = shell_of(lattice, order)
        apart = lattice.basis[shell.end] + shell.cell @ lattice.vectors - lattice.basis[shell.start]
    near = _width(lattice)
    found: list[NDArray[np.float64]] = []
    for one in apart / np.linalg.norm(apart, axis=1, keepdims=True):
        one = one * _sense(one, near)
        if all(np.linalg.norm(one - other) > near for other in found):
            found.append(one)
    return np.array(sorted(found, key=lambda one: (*np.round(one[:0:-1], 6).tolist(), -one[0])))


def bonds_by_direction(lattice: Lattice, order: int) -> list[Directed]:
    """The bonds of `neighbours` along each of `directions`; on a small lattice some may be empty. ValueError as there.

    On a small torus one pair of sites can be joined along several directions, and along one in both senses.
    """
    axes, near, sides = directions(lattice, order), _width(lattice), np.array(lattice.extent)
    counts: list[dict[tuple[int, int], int]] = [{} for _ in axes]
    for (i, j), ways in _ways(lattice, order).items():
        for way in ways:
            step = lattice.positions[j] + (np.array(way) * sides) @ lattice.vectors - lattice.positions[i]
            step = step / np.linalg.norm(step)
            sense = _sense(step, near)
            axis = int(np.argmin(np.linalg.norm(axes - sense * step, axis=1)))
            bond = (i, j) if sense > 0 else (j, i)
            counts[axis][bond] = 1 + counts[axis].get(bond, 0)
    found = []
    for axis, of_axis in zip(axes, counts, strict=True):
        bonds = np.array(sorted(of_axis), dtype=np.int32).reshape(-1, 2)
        times = [float(of_axis[i, j]) if lattice.double_bonds else 1.0 for i, j in bonds.tolist()]
        found.append(Directed(axis, bonds, np.array(times)))
    return found


def _ways(lattice: Lattice, order: int) -> dict[tuple[int, int], list[tuple[int, ...]]]:
    """As `crossings`; positions with a tolerance have no sides to cross."""
    if lattice.tolerance is None:
        return crossings(lattice, order)
    stays = (0,) * len(lattice.pbc)
    return {(i, j): [stays] for i, j in neighbours(lattice, order).tolist()}


def with_sense(lattice: Lattice, order: int) -> list[Directed]:
    """The bonds of ``order`` with their sense, along each direction. For lattice=edges they are one group, with the
    order of sites in the file and the weights as ``counts``.

    ValueError if a pair of sites is joined in several ways, unless ``double_bonds`` counts all of them.
    """
    if lattice.edges is not None:
        bonds, turned = neighbours(lattice, order), (lattice.turned or {}).get(order)
        if turned is not None:
            bonds = np.where(turned[:, None], bonds[:, ::-1], bonds)
        weights = bond_weights(lattice, order)
        return [Directed(np.zeros(0), bonds, np.ones(len(bonds)) if weights is None else weights)]
    found = bonds_by_direction(lattice, order)
    ways = Counter((min(bond), max(bond)) for along in found for bond in along.bonds.tolist())
    twice = [pair for pair, n in ways.items() if n > 1]
    if twice and not lattice.double_bonds:
        raise ValueError(
            f"sites {twice[0][0]} and {twice[0][1]} are joined both inside and across a side of the lattice; valid are "
            "larger extents, or lattice.double_bonds=true, which counts both"
        )
    return found


def joined_along(lattice: Lattice, along: Directed) -> dict[tuple[int, int], float]:
    """The count of each pair i < j that is joined along a direction, in either sense: 1, or with ``double_bonds`` the
    number of ways.
    """
    found: dict[tuple[int, int], float] = {}
    for (i, j), count in zip(along.bonds.tolist(), along.counts.tolist(), strict=True):
        pair = (min(i, j), max(i, j))
        found[pair] = count + (found.get(pair, 0.0) if lattice.double_bonds else 0.0)
    return found


def _width(lattice: Lattice) -> float:
    return TOLERANCE if lattice.tolerance is None else 2 * lattice.tolerance


def _sense(step: NDArray[np.float64], near: float) -> int:
    last = step[np.flatnonzero(np.abs(step) > near)[-1]]
    return 1 if last > 0 else -1
