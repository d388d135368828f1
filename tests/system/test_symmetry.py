"""Symmetries against the orders known for each lattice, the axioms of a group, bonds and distances."""

import numpy as np
import pytest

from nqs_hpc.system.distances import distance
from nqs_hpc.system.lattice import FACTORIES, edges_lattice, neighbours
from nqs_hpc.system.symmetry import is_symmetry, point_group, translations

T, F = True, False
POINT_GROUPS = [  # lattice, extent, periodic, order of the point group
    ("chain", (8,), (T,), 2),
    ("chain", (7,), (F,), 2),
    ("chain", (2,), (T,), 2),  # about the middle of the bond
    ("square", (4, 4), (T, T), 8),
    ("square", (3, 3), (T, T), 8),
    ("square", (4, 6), (T, T), 4),
    ("square", (4, 4), (F, F), 8),
    ("square", (3, 5), (F, F), 4),
    ("square", (4, 4), (T, F), 4),
    ("square", (1, 5), (F, F), 2),
    ("square", (2, 2), (T, F), 4),  # its nearest bonds are a plain square, but x and y differ at longer distances
    ("square", (2, 2), (T, T), 8),  # D4 about the plaquette; about a site the reflections do nothing
    ("cubic", (3, 3, 3), (T, T, T), 48),
    ("cubic", (2, 2, 2), (F, F, F), 48),
    ("cubic", (3, 3, 4), (T, T, T), 16),
    ("cubic", (3, 3, 3), (T, T, F), 16),
    ("triangular", (4, 4), (T, T), 12),
    ("triangular", (3, 3), (T, T), 12),
    ("triangular", (2, 2), (T, T), 6),  # a tetrahedron's bonds; the inversion does nothing
    ("triangular", (4, 6), (T, T), 2),
    ("triangular", (4, 8), (T, T), 4),  # the mirror takes a side along a_2 to one along a_2 and two along a_1
    ("triangular", (3, 3), (F, F), 4),  # a rhombus
    ("triangular", (4, 3), (T, F), 4),
    ("honeycomb", (3, 3), (T, T), 12),
    ("honeycomb", (4, 4), (T, T), 12),
    ("honeycomb", (3, 2), (F, F), 2),
    ("honeycomb", (2, 2), (F, F), 4),
    ("kagome", (3, 3), (T, T), 12),
    ("kagome", (2, 2), (T, T), 12),
    ("kagome", (2, 3), (T, T), 2),
    ("kagome", (1, 1), (F, F), 6),  # one triangle
    ("ladder", (6, 2), (T, F), 4),
    ("lieb", (3, 3), (T, T), 8),
    ("checkerboard", (4, 4), (T, T), 8),  # about a square
    ("checkerboard", (3, 3), (F, F), 2),  # a half turn would exchange the sublattices, whose crosses differ
    ("pyrochlore", (3, 3, 3), (T, T, T), 24),  # Td about a tetrahedron
    ("kagome", (3, 2), (T, F), 2),  # teeth on one edge only: the mirror alone
]


@pytest.mark.parametrize("name, extent, pbc, order", POINT_GROUPS)
def test_the_space_group(name, extent, pbc, order):
    lattice = FACTORIES[name](extent, pbc)
    points, moves = point_group(lattice), translations(lattice)
    assert points.shape == (order, lattice.n_sites) and points.dtype == np.int32
    assert moves.shape == (np.prod([n for n, p in zip(extent, pbc, strict=True) if p]), lattice.n_sites)
    assert moves.dtype == np.int32
    i, j = np.indices((lattice.n_sites,) * 2)
    apart = distance(lattice, i, j)
    bonds = neighbours(lattice, 1)
    for group in (points, moves):
        assert group[0].tolist() == list(range(lattice.n_sites))
        elements = {tuple(perm) for perm in group.tolist()}
        assert len(elements) == len(group)
        assert {tuple(h[g]) for g in group for h in group} == elements
        for perm in group:
            assert is_symmetry(perm, bonds)
            np.testing.assert_allclose(apart[perm][:, perm], apart, atol=1e-9)
    assert all((perm != np.arange(lattice.n_sites)).all() for perm in moves[1:])  # no translation leaves a site
    # Every point operation carries translations to translations, so that together they are a group too.
    shifts = {tuple(move) for move in moves.tolist()}
    assert all(tuple(g[move[np.argsort(g)]]) in shifts for g in points for move in moves)
    if min(extent) > 2:  # with a fixed centre, so not one of them is a translation
        assert {tuple(g) for g in points.tolist()} & shifts == {tuple(range(lattice.n_sites))}


@pytest.mark.parametrize("name, extent", [("square", (4, 4)), ("honeycomb", (3, 3)), ("kagome", (2, 2))])
def test_every_order_of_neighbours_is_kept(name, extent):
    lattice = FACTORIES[name](extent, (True, True))
    for order in (2, 3):
        bonds = neighbours(lattice, order)
        assert all(is_symmetry(g[t], bonds) for g in point_group(lattice) for t in translations(lattice))


def test_where_translations_carry_sites_and_configurations():
    lattice = FACTORIES["square"]((3, 4), (True, True))
    moves = translations(lattice)
    for tx, ty, x, y in np.ndindex(3, 4, 3, 4):
        assert moves[tx + 3 * ty][x + 3 * y] == (x + tx) % 3 + 3 * ((y + ty) % 4)
    s = np.zeros(12, dtype=np.int8)
    s[0] = 1
    moved = s[np.argsort(moves[1])]
    assert moved[1] == 1 and moved.sum() == 1
    carried = np.empty_like(s)
    carried[moves[1]] = s
    assert carried.tolist() == moved.tolist()


def test_open_directions_have_no_translations():
    assert translations(FACTORIES["square"]((3, 4), (False, False))).tolist() == [list(range(12))]
    moves = translations(FACTORIES["kagome"]((3, 2), (False, True)))
    assert moves.tolist() == [list(range(18)), [*range(9, 18), *range(9)]]


def test_a_site_is_the_centre_where_it_can_be():
    for name, extent in (("chain", (6,)), ("square", (4, 4)), ("triangular", (4, 4)), ("cubic", (3, 3, 3))):
        group = point_group(FACTORIES[name](extent, (True,) * len(extent)))
        assert (group[:, 0] == 0).all()
    for name in ("honeycomb", "kagome"):  # twelve elements only about a hexagon, where no site is
        group = point_group(FACTORIES[name]((3, 3), (True, True)))
        bonds = neighbours(FACTORIES[name]((3, 3), (True, True)), 1).tolist()
        orbits = [set(column) for column in group.T.tolist()]
        assert any(len(orbit) == 6 == sum({i, j} <= orbit for i, j in bonds) for orbit in orbits)
        assert not any((group[:, site] == site).all() for site in range(group.shape[1]))


def test_what_is_no_symmetry():
    ring = neighbours(FACTORIES["chain"]((4,), (True,)), 1)
    assert is_symmetry(np.array([1, 2, 3, 0]), ring)
    assert not is_symmetry(np.array([1, 0, 2, 3]), ring)
    assert not is_symmetry(np.array([0, 0, 2, 2]), ring)
    assert not is_symmetry(np.array([1, 2, 3, 0]), neighbours(FACTORIES["chain"]((4,), (False,)), 1))


def test_edges_have_no_geometry():
    lattice = edges_lattice(None, {1: [(0, 1), (1, 2)]})
    for group in (translations, point_group):
        with pytest.raises(ValueError, match=r"lattice=edges: .* no geometry"):
            group(lattice)
