"""Lattices: what a configuration says of each."""

from __future__ import annotations

from dataclasses import dataclass

from nqs_hpc import checks
from nqs_hpc.schema.keys import choice, derived, key


@choice("lattice", "chain", "square", "cubic", "triangular", "honeycomb", "kagome")
@dataclass(frozen=True)
class RegularLattice:
    """Resolved: ``extent`` and ``pbc`` have one entry a dimension, ``length`` is None."""

    name: str
    length: int | None = key(checks.optional(checks.integer()), "unit cells in every direction", physics=False)
    extent: tuple[int, ...] = key(
        checks.optional(checks.list_of(checks.integer())), "unit cells by direction, instead of length"
    )
    pbc: tuple[bool, ...] = key(checks.one_or_list(checks.boolean), "periodic boundaries, or a list by direction")


@choice("lattice", "edges")
@dataclass(frozen=True)
class EdgesLattice:
    name: str
    file: str = key(
        checks.path,
        "text file of bonds, one a line: two sites from 0, and a neighbour order where not 1",
        physics=False,
    )
    n_sites: int = derived()
    edges: tuple[tuple[int, int, int], ...] = derived()  # site, site, neighbour order


@choice("lattice", "points")
@dataclass(frozen=True)
class PointsLattice:
    name: str
    file: str = key(checks.path, "text file of positions, one site a line: 'x', 'x y' or 'x y z'", physics=False)
    n_sites: int = derived()
    positions: tuple[tuple[float, ...], ...] = derived()


Lattice = RegularLattice | EdgesLattice | PointsLattice
