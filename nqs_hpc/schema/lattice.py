"""Lattices: what a configuration says of each."""

from __future__ import annotations

from dataclasses import dataclass

from nqs_hpc.inputs import checks
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
    double_bonds: bool = key(
        checks.boolean,
        "count a bond once for each way around a periodic side: twice on a side of 2, where false counts it once",
        physics="given",
    )


@choice("lattice", "edges")
@dataclass(frozen=True)
class EdgesLattice:
    """Resolved: ``third_column`` is order or weight, and bonds count sites from 0."""

    name: str
    file: str = key(
        checks.path,
        "text file of bonds, one a line: two sites from 0, and a neighbour order where not 1",
        physics=False,
    )
    third_column: str = key(
        checks.choice("auto", "order", "weight"),
        "order: of neighbours; weight: a factor of the bond's coupling; auto: order, if H has a coupling for each",
        physics=False,
    )
    first_site: int = key(checks.choice_of(0, 1), "number of the first site in the file", physics=False)
    n_sites: int = key(
        checks.optional(checks.integer(least=2)), "number of sites, where some have no bond; null: each must have one"
    )
    edges: tuple[tuple[int, int, int], ...] = derived()  # site, site, neighbour order
    weights: tuple[float, ...] = derived(physics="given")  # of the edges; none where their third column is an order


@choice("lattice", "points")
@dataclass(frozen=True)
class PointsLattice:
    """Resolved: ``tolerance`` is null where the bonds are the same by any."""

    name: str
    file: str = key(checks.path, "text file of positions, one site a line: 'x', 'x y' or 'x y z'", physics=False)
    tolerance: float | None = key(
        checks.optional(checks.number(above=0, below=0.5)),
        "relative difference up to which two distances are the same, of one neighbour order; null: 0.005",
        physics="given",
    )
    n_sites: int = derived()
    positions: tuple[tuple[float, ...], ...] = derived()


Lattice = RegularLattice | EdgesLattice | PointsLattice
