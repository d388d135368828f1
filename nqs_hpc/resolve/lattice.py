"""Lattices: extents and boundaries by direction, files read, and the lattices made from them."""

from __future__ import annotations

import dataclasses
import math

from nqs_hpc import schema
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import edges as files
from nqs_hpc.system import lattice as lattices
from nqs_hpc.system import shells
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.points import points_lattice, read_points

MAX_SITES = 2**16  # 256 x 256: a slip of the finger, not a lattice, is above it, and would not fit into memory


def resolve_lattice(given: schema.Lattice) -> schema.Lattice:
    """One entry a direction, files read; raises InputError."""
    if isinstance(given, schema.PointsLattice) and given.positions:  # of a run, as below
        try:
            positions = tuple(tuple(float(x) for x in point) for point in given.positions)
            lattice = points_lattice(positions, given.tolerance)
            return dataclasses.replace(given, n_sites=lattice.n_sites, positions=positions)
        except (TypeError, ValueError) as error:
            raise bad(
                "lattice.positions", given.positions, f"what a run has read from lattice.file ({error})"
            ) from None
    if isinstance(given, schema.PointsLattice):
        points = one_line("lattice.file", given.file, lambda: read_points(given.file))
        tolerance = given.tolerance or shells.TOLERANCE
        return dataclasses.replace(given, tolerance=tolerance, n_sites=len(points), positions=tuple(points))
    if isinstance(given, schema.EdgesLattice) and given.edges:  # of a run: the file may be another one by now
        try:
            edges = tuple((int(i), int(j), int(order)) for i, j, order in given.edges)
            weights = tuple(float(weight) for weight in given.weights)
            third = "weight" if weights else "order"
            n_sites = 1 + max(max(edge[:2]) for edge in edges) if given.n_sites in (None, ()) else given.n_sites
            kept = dataclasses.replace(given, third_column=third, n_sites=n_sites, edges=edges, weights=weights)
            make_lattice(kept)
        except (TypeError, ValueError) as error:
            raise bad("lattice.edges", given.edges, f"what a run has read from lattice.file ({error})") from None
        return kept
    if isinstance(given, schema.EdgesLattice):
        return _read_edges(given)

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


def _read_edges(given: schema.EdgesLattice) -> schema.EdgesLattice:
    bonds = one_line(
        "lattice.file",
        given.file,
        lambda: files.read_bonds(given.file, weighted=given.third_column == "weight", first_site=given.first_site),
    )
    joined = {site for edge in bonds.edges for site in edge[:2]}
    n_sites = 1 + max(joined)
    if n_sites > MAX_SITES:
        raise bad("lattice.file", given.file, f"at most {MAX_SITES} sites, and this names site {n_sites - 1}")
    if given.n_sites not in (None, n_sites):
        named = f"null or {n_sites}: {given.file} names sites up to {n_sites - 1 + given.first_site}"
        raise bad("lattice.n_sites", given.n_sites, f"{named}, counted from {given.first_site}")
    if given.n_sites is None and len(joined) < n_sites:
        free = [site + given.first_site for site in range(n_sites) if site not in joined]
        what = f"a bond for every site, and there is none for {sites_in_words(free)}"
        from_1 = "lattice.first_site=1 where sites count from 1; " if free == [0] else ""
        valid = f"{what} (counted from {given.first_site}); {from_1}lattice.n_sites={n_sites} where that is meant"
        raise bad("lattice.file", given.file, valid)
    return dataclasses.replace(given, n_sites=n_sites, edges=bonds.edges, weights=bonds.weights or ())


def sites_in_words(sites: list[int]) -> str:
    """The first few of some sites."""
    few = ", ".join(map(str, sites[:6]))
    more = f" and {len(sites) - 6} more" if len(sites) > 6 else ""
    return f"site{'s' * (len(sites) > 1)} {few}{more}"


def make_lattice(lattice: schema.Lattice) -> Lattice:
    """The lattice of a resolved configuration, as it is given: of the toric code that of the vertices."""
    if isinstance(lattice, schema.PointsLattice):
        return points_lattice(lattice.positions, lattice.tolerance)
    if isinstance(lattice, schema.EdgesLattice):
        orders = sorted({order for _, _, order in lattice.edges})
        weights = None
        if lattice.weights:
            weighted = list(zip(lattice.edges, lattice.weights, strict=True))
            weights = {n: [weight for (_, _, order), weight in weighted if order == n] for n in orders}
        return lattices.edges_lattice(
            lattice.n_sites, {n: [(i, j) for i, j, order in lattice.edges if order == n] for n in orders}, weights
        )
    made = lattices.FACTORIES[lattice.name](lattice.extent, lattice.pbc)
    return made._replace(double_bonds=True) if lattice.double_bonds else made
