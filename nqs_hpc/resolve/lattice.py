"""Lattices: extents and boundaries by direction, files read, and the lattices made from them."""

from __future__ import annotations

import dataclasses
import math

from nqs_hpc import schema
from nqs_hpc.checks import bad
from nqs_hpc.resolve.line import one_line
from nqs_hpc.system import lattice as lattices
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.points import points_lattice, read_points

MAX_SITES = 2**16  # 256 x 256: a slip of the finger, not a lattice, is above it, and would not fit into memory


def resolve_lattice(given: schema.Lattice) -> schema.Lattice:
    """One entry a direction, files read; raises InputError."""
    if isinstance(given, schema.PointsLattice) and given.positions:  # of a run, as below
        try:
            positions = tuple(tuple(float(x) for x in point) for point in given.positions)
            return dataclasses.replace(given, n_sites=points_lattice(positions).n_sites, positions=positions)
        except (TypeError, ValueError) as error:
            raise bad(
                "lattice.positions", given.positions, f"what a run has read from lattice.file ({error})"
            ) from None
    if isinstance(given, schema.PointsLattice):
        points = one_line("lattice.file", given.file, lambda: read_points(given.file))
        return dataclasses.replace(given, n_sites=len(points), positions=tuple(points))
    if isinstance(given, schema.EdgesLattice) and given.edges:  # of a run: the file may be another one by now
        try:
            edges = tuple((int(i), int(j), int(order)) for i, j, order in given.edges)
            kept = dataclasses.replace(given, edges=edges)
            make_lattice(kept)
        except (TypeError, ValueError) as error:
            raise bad("lattice.edges", given.edges, f"what a run has read from lattice.file ({error})") from None
        return kept
    if isinstance(given, schema.EdgesLattice):
        bonds = one_line("lattice.file", given.file, lambda: lattices.read_edges(given.file))
        n_sites = 1 + max(int(pairs.max()) for pairs in bonds.values())
        if n_sites > MAX_SITES:
            raise bad("lattice.file", given.file, f"at most {MAX_SITES} sites, and this names site {n_sites - 1}")
        edges = tuple((i, j, order) for order, pairs in sorted(bonds.items()) for i, j in pairs.tolist())
        return dataclasses.replace(given, n_sites=n_sites, edges=edges)

    dimensions = lattices.DIMENSIONS[given.name]
    key, value = ("lattice.length", given.length) if given.extent is None else ("lattice.extent", given.extent)
    if value is None:
        raise bad("lattice.length", None, "a whole number, at least 1, where lattice.extent is not given")
    extent = value if isinstance(value, tuple) else (value,) * dimensions
    per_direction = f"one entry for each direction; lattice={given.name} has {dimensions}"
    if len(extent) != dimensions:
        raise bad(key, value, per_direction)
    pbc = given.pbc if isinstance(given.pbc, tuple) else (given.pbc,) * dimensions
    if len(pbc) != dimensions:
        raise bad("lattice.pbc", given.pbc, f"true, false, or {per_direction}")
    if math.prod(extent) > MAX_SITES:
        raise bad(key, value, f"at most {MAX_SITES} unit cells in all")
    full = dataclasses.replace(given, length=None, extent=tuple(extent), pbc=tuple(pbc))
    one_line(key, value, lambda: make_lattice(full))
    return full


def make_lattice(lattice: schema.Lattice) -> Lattice:
    """The lattice of a resolved configuration, as it is given: of the toric code that of the vertices."""
    if isinstance(lattice, schema.PointsLattice):
        return points_lattice(lattice.positions)
    if isinstance(lattice, schema.EdgesLattice):
        orders = sorted({order for _, _, order in lattice.edges})
        return lattices.edges_lattice(
            lattice.n_sites, {n: [(i, j) for i, j, order in lattice.edges if order == n] for n in orders}
        )
    return lattices.FACTORIES[lattice.name](lattice.extent, lattice.pbc)
