"""The built-in lattices from their unit cells: cells in rows, or a torus of any shape.

Nearest neighbours are 1 apart on all of them, except on ladders with shorter rungs. Neighbour orders count distances,
except on the checkerboard lattice, a square lattice in which every other square is crossed: order 1 are the sides of
the squares, order 2 the diagonals of the crossed squares, order 3 the equally long diagonals of the empty squares, and
from order 4 on orders count distances again. With equal couplings of orders 1 and 2 it is the planar pyrochlore:
corner- sharing tetrahedra (J.-B. Fouet et al., Phys. Rev. B 67, 054411 (2003), doi:10.1103/PhysRevB.67.054411).

A tilted cluster consists of cells in rows along other primitive vectors (`vectors.torus`), its ``axes``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nqs_hpc.system.sites import TILTED, Lattice, Shell
from nqs_hpc.system.vectors import torus

LEAST_RUNG, MOST_RUNG = 0.5, 2.0  # in this range legs and rungs are orders 1 and 2

UNIT_CELL = "unit_cell"  # in names of lattices

Factory = Callable[[Sequence[int], Sequence[bool]], Lattice]


def regular(
    name: str,
    vectors: ArrayLike,
    basis: ArrayLike,
    stated: tuple[Shell, ...] | None = None,
    distances_from: int | None = None,
) -> Factory:
    """Lattices with one unit cell, ``vectors`` (D, D) and ``basis`` (n_basis, D); other fields as in `Lattice`."""
    a_DD, basis_bD = np.array(vectors, dtype=np.float64), np.array(basis, dtype=np.float64)
    dim = len(a_DD)

    def lattice(extent: Sequence[int], pbc: Sequence[bool]) -> Lattice:
        """The lattice of ``extent`` unit cells, periodic where ``pbc``, both (D,); ValueError if no such lattice
        exists."""
        size = tuple(int(length) for length in extent)
        closed = tuple(bool(side) for side in pbc)
        for key, given in (("extent", size), ("pbc", closed)):
            if len(given) != dim:
                raise ValueError(f"lattice.{key}={list(given)}: {name} needs {dim} values, one per direction")
        if min(size) < 1:
            raise ValueError(f"lattice.extent={list(size)}: every extent must be at least 1")
        for length, side in zip(size, closed, strict=True):
            if length == 1 and side:
                raise ValueError(f"lattice.extent={list(size)}: a periodic direction needs an extent of at least 2")
        if int(np.prod(size)) * len(basis_bD) < 2:
            raise ValueError(f"lattice.extent={list(size)}: {name} needs at least 2 sites")
        found = Lattice(name, 0, size, closed, basis_bD, a_DD, basis_bD)
        return placed(found._replace(stated=stated, distances_from=distances_from))

    return lattice


def tilted(family: Lattice, cluster: Sequence[Sequence[int]]) -> Lattice:
    """The torus whose sides are the rows of ``cluster`` (D, D), in primitive vectors of the lattice of ``family``.
    ValueError if it has fewer than 2 sites, or its sides are not independent.
    """
    sides = np.array(cluster, dtype=np.int64)
    extent, axes = torus(sides, family.vectors)
    if int(np.prod(extent)) * len(family.basis) < 2:
        raise ValueError("it has fewer than 2 sites")
    back = np.rint(np.linalg.inv(axes)).astype(np.int64)
    stated = family.stated and tuple(shell._replace(cell=shell.cell @ back) for shell in family.stated)
    return placed(
        family._replace(
            name=TILTED + family.name,
            extent=extent,
            pbc=(True,) * len(extent),
            vectors=axes @ family.vectors,
            stated=stated,
            axes=axes,
        )
    )


def made(
    name: str,
    extent: Sequence[int] | None,
    pbc: Sequence[bool],
    cluster: Sequence[Sequence[int]] | None = None,
    rung: float | None = None,
) -> Lattice:
    """The built-in lattice with the keys of ``lattice``: ``extent`` cells, or the tilted ``cluster``."""
    factory = FACTORIES[name] if rung is None else ladder(rung)
    if cluster is None:
        assert extent is not None
        return factory(extent, pbc)
    return tilted(factory((2,) * DIMENSIONS[name], (True,) * DIMENSIONS[name]), cluster)


def told(keys: Mapping[str, Any], most_sites: int) -> Lattice | None:
    """The built-in lattice with the keys of ``lattice`` in a file of a run; None if they are not valid, or there are
    more than ``most_sites`` sites.
    """
    name, extent, pbc, cluster = (keys.get(key) for key in ("name", "extent", "pbc", "cluster"))
    rung = keys.get("rung")
    if not isinstance(name, str) or name not in FACTORIES or not isinstance(pbc, list):
        return None
    if rung is not None and (not isinstance(rung, float) or not LEAST_RUNG < rung < MOST_RUNG):
        return None
    rows = [extent] if cluster is None else cluster
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
        return None
    if any(type(x) is not int or abs(x) > most_sites for row in rows for x in row):
        return None
    try:
        n = np.prod(np.array(extent, dtype=float)) if cluster is None else abs(np.linalg.det(np.array(cluster, float)))
        if not 0 < n <= most_sites + 0.5:
            return None
        found = made(name, extent, [bool(side) for side in pbc], cluster, rung)
    except ValueError:  # lists of wrong lengths
        return None
    return found if found.n_sites <= most_sites else None


def is_in_cells(lattice: Lattice) -> bool:
    """Whether the sites are complete unit cells in rows, along the axes if tilted; for built-in and users' cells."""
    return lattice.name.removeprefix(TILTED) in (*FACTORIES, UNIT_CELL)


def size_in_words(lattice: Lattice) -> str:
    """Cells by direction, 4x4; for a tilted cluster with its axes, 10x1 along [1, 0] and [3, 1]."""
    size = "x".join(map(str, lattice.extent))
    return size if lattice.axes is None else f"{size} along {' and '.join(map(str, lattice.axes.tolist()))}"


def placed(lattice: Lattice) -> Lattice:
    """With its sites, in the order of cells."""
    cells = np.arange(int(np.prod(lattice.extent)))
    corners = np.stack(np.unravel_index(cells, lattice.extent, order="F"), axis=1) @ lattice.vectors
    positions = (corners[:, None, :] + lattice.basis[None, :, :]).reshape(-1, len(lattice.vectors))
    return lattice._replace(n_sites=len(positions), positions=positions)


def shells_of(bonds: Sequence[tuple[int, int, Sequence[int]]]) -> Shell:
    """Bonds (from, to, cell of the latter) of one order, listed from both ends."""
    both = [*bonds, *((end, start, [-x for x in cell]) for start, end, cell in bonds)]
    start, end, cell = (np.array(part, dtype=np.int64) for part in zip(*both, strict=True))
    return Shell(start, end, cell)


def ladder(rung: float) -> Factory:
    """Legs along x with nearest neighbours 1 apart, ``rung`` from one leg to the next; extent (rungs, legs)."""
    return regular("ladder", [[1.0, 0.0], [0.0, rung]], np.zeros((1, 2)))


_ROOT2, _ROOT3 = np.sqrt(2.0), np.sqrt(3.0)
_HEXAGONAL = np.array([[1.0, 0.0], [0.5, _ROOT3 / 2]])
_FCC = _ROOT2 * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
# on the axes (1, 1) and (-1, 1): the site at (0, 0) is the lower left corner of a crossed square
_CHECKERBOARD = (
    shells_of([(0, 1, (0, 0)), (0, 1, (-1, 1)), (0, 1, (0, 1)), (0, 1, (-1, 0))]),
    shells_of([(0, 0, (1, 0)), (1, 1, (0, 1))]),
    shells_of([(0, 0, (0, 1)), (1, 1, (1, 0))]),
)

FACTORIES: dict[str, Factory] = {
    "chain": regular("chain", np.eye(1), np.zeros((1, 1))),
    "ladder": ladder(1.0),
    "square": regular("square", np.eye(2), np.zeros((1, 2))),
    "cubic": regular("cubic", np.eye(3), np.zeros((1, 3))),
    "triangular": regular("triangular", _HEXAGONAL, np.zeros((1, 2))),
    "honeycomb": regular("honeycomb", _ROOT3 * _HEXAGONAL, [[0.0, 0.0], [_ROOT3 / 2, 0.5]]),
    "kagome": regular("kagome", 2 * _HEXAGONAL, [[0.0, 0.0], [1.0, 0.0], [0.5, _ROOT3 / 2]]),
    "lieb": regular("lieb", 2 * np.eye(2), [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
    "checkerboard": regular("checkerboard", [[1.0, 1.0], [-1.0, 1.0]], [[0.0, 0.0], [1.0, 0.0]], _CHECKERBOARD, 2),
    "pyrochlore": regular("pyrochlore", _FCC, [[0.0, 0.0, 0.0], *(_FCC / 2)]),
}
DIMENSIONS: dict[str, int] = {
    "chain": 1,
    "ladder": 2,
    "square": 2,
    "cubic": 3,
    "triangular": 2,
    "honeycomb": 2,
    "kagome": 2,
    "lieb": 2,
    "checkerboard": 2,
    "pyrochlore": 3,
}
