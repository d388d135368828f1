"""Ladders, crossed squares and tilted clusters against bonds written by hand, closed forms and published energies."""

from itertools import combinations

import numpy as np
import pytest

from nqs_hpc.system.characters import momentum, momentum_of, space_group
from nqs_hpc.system.distances import distance
from nqs_hpc.system.families import DIMENSIONS, made, size_in_words, told
from nqs_hpc.system.lattice import bipartition, bond_lengths, bond_weights, neighbours
from nqs_hpc.system.symmetry import is_symmetry, point_group, translations
from tests.exact_spins import lowest

T, F = True, False


def of_bonds(lattice, *couplings):
    total = {}
    for order, coupling in enumerate(couplings, 1):
        if not coupling:
            continue
        for pair in map(tuple, neighbours(lattice, order).tolist()):
            total[pair] = total.get(pair, 0.0) + coupling
    return total


def cluster(name, sides):
    return made(name, None, (True,) * DIMENSIONS[name], sides)


def test_a_ladder_with_long_rungs_has_legs_and_rungs_apart():
    lattice = made("ladder", (5, 3), (T, F), rung=1.25)
    legs = {tuple(sorted((x + 5 * y, (x + 1) % 5 + 5 * y))) for x in range(5) for y in range(3)}
    rungs = {(x + 5 * y, x + 5 * (y + 1)) for x in range(5) for y in range(2)}
    assert set(map(tuple, neighbours(lattice, 1).tolist())) == legs
    assert set(map(tuple, neighbours(lattice, 2).tolist())) == rungs
    assert bond_lengths(lattice, 2) == pytest.approx((1.25, 1.25))
    short = made("ladder", (5, 3), (T, F), rung=0.75)
    assert set(map(tuple, neighbours(short, 1).tolist())) == rungs
    one = made("ladder", (5, 3), (T, F))
    assert set(map(tuple, neighbours(one, 1).tolist())) == legs | rungs


def test_rungs_alone_are_singlets():
    assert lowest(8, of_bonds(made("ladder", (4, 2), (T, F), rung=1.5), 0.0, 1.0)) == pytest.approx(-4 * 0.75)


def test_squares_of_checkerboard_are_crossed_in_every_other_place():
    lattice = made("checkerboard", (4, 4), (T, T))
    adjacent = [set() for _ in range(32)]
    crosses = of_bonds(lattice, 0.0, 1.0)
    for order in (1, 2):
        for i, j in neighbours(lattice, order).tolist():
            adjacent[i].add(j)
            adjacent[j].add(i)
    assert [len(near) for near in adjacent] == [6] * 32
    # corner-sharing tetrahedra: every crossed square is a complete graph of four, every site is in two of them
    tetrahedra = {
        (*sorted((i, j, *pair)),)
        for i, j in crosses
        for pair in combinations(sorted(adjacent[i] & adjacent[j]), 2)
        if pair in crosses
    }
    assert len(tetrahedra) == 16 and (np.bincount(np.ravel(list(tetrahedra))) == 2).all()
    assert all(j in adjacent[i] for found in tetrahedra for i, j in combinations(found, 2))
    # the empty squares' diagonals are as long and another order, and from there on distances go on
    assert not set(crosses) & set(of_bonds(lattice, 0.0, 0.0, 1.0))
    assert [bond_lengths(lattice, n)[0] ** 2 for n in range(1, 7)] == pytest.approx([1, 2, 2, 4, 5, 8])
    assert len(neighbours(lattice, 3)) == len(neighbours(lattice, 2)) == 32


def test_checkerboard_without_crosses_is_the_square_lattice():
    lattice = cluster("checkerboard", [[2, -2], [2, 2]])  # 4 x 4 sites
    # H. J. Schulz, T. A. L. Ziman, D. Poilblanc, J. Phys. I France 6, 675 (1996): -0.701780 a site
    assert lowest(16, of_bonds(lattice, 1.0)) / 16 == pytest.approx(-0.701780, abs=1e-6)


def test_one_tetrahedron():
    lattice = made("pyrochlore", (1, 1, 1), (F, F, F))
    assert lowest(4, of_bonds(lattice, 1.0)) == pytest.approx(-1.5)  # of S_tot^2 / 2 - 4 S_i^2 / 2 at S_tot = 0
    # two of them along a_1, joined by one bond
    two = made("pyrochlore", (2, 1, 1), (F, F, F))
    by_hand = {pair: 1.0 for first in (0, 4) for pair in combinations(range(first, first + 4), 2)} | {(1, 4): 1.0}
    assert of_bonds(two, 1.0) == by_hand


@pytest.mark.parametrize("name, extent", [("pyrochlore", (3, 3, 3)), ("checkerboard", (4, 4)), ("kagome", (3, 3))])
def test_flat_bands_of_corner_sharing_cliques(name, extent):
    # Each site is in two cliques, so A + 2 = B^T B with B the incidence of cliques and sites: -2 is the lowest level of
    # hopping, on as many states as there are more sites than cliques, and one more as the cliques have two colours.
    lattice = made(name, extent, (True,) * len(extent))
    adjacency = np.zeros((lattice.n_sites,) * 2)
    for i, j in of_bonds(lattice, 1.0, 1.0) if name == "checkerboard" else of_bonds(lattice, 1.0):
        adjacency[i, j] = adjacency[j, i] = 1
    levels = np.linalg.eigvalsh(adjacency)
    cliques = int(np.prod(extent)) * (1 if name == "checkerboard" else 2)
    assert levels[0] == pytest.approx(-2)
    assert int((np.abs(levels + 2) < 1e-9).sum()) == lattice.n_sites - cliques + 1


def test_the_spin_of_the_lieb_lattice():
    # E. H. Lieb, Phys. Rev. Lett. 62, 1201 (1989): 2S is the difference of the sublattices, here 8 - 4
    lattice = made("lieb", (2, 2), (T, T))
    assert np.bincount(bipartition(lattice) + 1).tolist() == [8, 0, 4]
    assert np.bincount(neighbours(made("lieb", (3, 3), (T, T)), 1).ravel()).tolist() == [4, 2, 2] * 9
    bonds = of_bonds(lattice, 1.0)
    levels = [lowest(12, bonds, up) for up in (6, 8, 9)]
    assert levels[0] == pytest.approx(levels[1]) and levels[2] > levels[1] + 0.1  # up to 8 of 12 spins up


CLUSTERS = [  # family, sides, order of the point group about one centre
    ("square", [[3, 1], [-1, 3]], 4),
    ("square", [[3, 3], [-3, 3]], 8),
    ("square", [[4, 2], [-2, 4]], 4),
    ("square", [[5, 1], [-1, 5]], 4),
    ("square", [[4, 4], [-4, 4]], 8),
    ("square", [[5, -1], [2, 3]], 2),
    ("triangular", [[2, 1], [-1, 3]], 6),
    ("triangular", [[2, 2], [-2, 4]], 12),
    ("triangular", [[3, 1], [-1, 4]], 6),
    ("cubic", [[1, 1, 1], [2, -1, 0], [0, 1, -2]], None),
]


@pytest.mark.parametrize("name, sides, order", CLUSTERS)
def test_tilted_clusters_are_the_lattice_modulo_their_sides(name, sides, order):
    lattice = cluster(name, sides)
    n = round(abs(np.linalg.det(sides)))
    assert lattice.n_sites == n == np.prod(lattice.extent)
    vectors = np.linalg.solve(lattice.axes.astype(float), lattice.vectors)  # of the family
    cell = np.rint(lattice.positions @ np.linalg.inv(vectors)).astype(int)

    def place(cells):  # what is left of a cell when whole sides are taken away
        inside = cells @ np.linalg.inv(np.array(sides, float))
        inside = np.round(inside - np.floor(inside + 1e-9), 6) % 1
        return [tuple(x) for x in np.round(inside * n).astype(int) % n]

    number = {found: i for i, found in enumerate(place(cell))}
    assert len(number) == n  # every cell of the torus once
    steps = {"square": [(1, 0), (0, 1)], "triangular": [(1, 0), (0, 1), (-1, 1)], "cubic": np.eye(3, dtype=int)}[name]
    expected = {
        tuple(sorted((i, number[there])))
        for step in steps
        for i, there in enumerate(place(cell + np.array(step)))
        if number[there] != i
    }
    assert set(map(tuple, neighbours(lattice, 1).tolist())) == expected

    # by images far and wide, that is all distances
    i, j = np.indices((n, n))
    ways = np.stack(np.meshgrid(*[np.arange(-6, 7)] * len(sides), indexing="ij"), -1).reshape(-1, len(sides))
    images = ways @ np.array(sides) @ vectors
    apart = lattice.positions[j][:, :, None] - lattice.positions[i][:, :, None] + images
    np.testing.assert_allclose(distance(lattice, i, j), np.linalg.norm(apart, axis=-1).min(axis=-1), atol=1e-9)

    moves, points = translations(lattice), point_group(lattice)
    assert len({tuple(move) for move in moves.tolist()}) == n and (np.sort(moves[:, 0]) == np.arange(n)).all()
    for group in (moves, points):
        rows = {tuple(perm) for perm in group.tolist()}
        assert {tuple(h[g]) for g in group for h in group} == rows
        assert all(is_symmetry(perm, neighbours(lattice, k)) for perm in group for k in (1, 2))
    assert order is None or len(points) == order
    for k in np.ndindex(lattice.extent):
        assert momentum_of(lattice, momentum(lattice, k)) == k


def test_the_space_group_of_ten_sites():
    lattice = cluster("square", [[3, 1], [-1, 3]])
    assert lattice.extent == (10, 1) and size_in_words(lattice) == "10x1 along [1, 0] and [3, 1]"
    perms, irreps = space_group(lattice, None)
    assert len(perms) == 40 and len(irreps) == 4  # a square's rotations, no mirrors
    # momentum [5, 0] is (pi, pi): the staggered sign is its character
    characters = momentum(lattice, [5, 0])
    colours = bipartition(lattice)
    np.testing.assert_allclose(characters.real, colours[translations(lattice)[:, 0]] * colours[0])


@pytest.mark.parametrize(
    "name, sides, energy",
    [
        ("square", [[2, 2], [-2, 2]], -6.0),  # complete between the sublattices: S_A = S_B = 2
        ("square", [[3, 1], [-1, 3]], -7.300068072),
        ("triangular", [[2, 1], [-1, 3]], -2.25),  # all seven sites are joined: S_tot = 1/2
        ("triangular", [[2, 2], [-2, 4]], -7.3239616),
    ],
)
def test_energies_of_tilted_clusters(name, sides, energy):
    lattice = cluster(name, sides)
    assert lowest(lattice.n_sites, of_bonds(lattice, 1.0)) == pytest.approx(energy, abs=1e-7)


def test_ten_sites_by_hand():
    # each site of the square cluster of ten is joined to four of the five others, all but the one two steps from it
    bonds = {(min(i, j), max(i, j)): 1.0 for i in range(10) for j in ((i + 1) % 10, (i + 3) % 10)}
    assert lowest(10, bonds) == pytest.approx(-7.300068072, abs=1e-8)


def test_small_tori_join_sites_once():
    lattice = cluster("square", [[1, 1], [-1, 1]])._replace(double_bonds=True)
    assert neighbours(lattice, 1).tolist() == [[0, 1]] and bond_weights(lattice, 1).tolist() == [4.0]


@pytest.mark.parametrize(
    "name, sides, n_sites, z, order",
    [
        ("kagome", [[2, 2], [-2, 4]], 36, 4, 12),
        ("honeycomb", [[2, 1], [-1, 3]], 14, 3, 6),  # a torus of Heawood's graph, chiral: turns by sixths alone
        ("pyrochlore", [[-1, 1, 1], [1, -1, 1], [1, 1, -1]], 16, 6, 24),  # one cubic cell
        ("checkerboard", [[3, -3], [3, 3]], 36, 4, 8),  # 6 x 6 sites
        ("lieb", [[2, 1], [-1, 2]], 15, None, 4),
    ],
)
def test_clusters_of_several_sites_a_cell(name, sides, n_sites, z, order):
    lattice = cluster(name, sides)
    bonds = neighbours(lattice, 1)
    assert lattice.n_sites == n_sites and (z is None or (np.bincount(bonds.ravel()) == z).all())
    moves, points = translations(lattice), point_group(lattice)
    assert len(points) == order
    everything = [t[p] for t in moves for p in points]
    assert all(
        is_symmetry(perm, neighbours(lattice, k)) for perm in everything[:: 1 + len(everything) // 64] for k in (1, 2)
    )


def test_a_lattice_from_what_a_run_has_written():
    tilted = {"name": "square", "extent": None, "pbc": [True, True], "cluster": [[3, 1], [-1, 3]]}
    assert told(tilted, 64).axes.tolist() == [[1, 0], [3, 1]]
    ladder = {"name": "ladder", "extent": [4, 2], "pbc": [True, False], "rung": 1.5}
    assert bond_lengths(told(ladder, 64), 2) == pytest.approx((1.5, 1.5))
    assert told({"name": "kagome", "extent": [2, 2], "pbc": [True, False]}, 64).n_sites == 12
    for wrong in (
        {"name": "edges"},
        {"name": ["square"]},
        {"pbc": None},
        {"pbc": [True], "cluster": None, "extent": [3, 3]},
        {"cluster": [[3, 1]]},
        {"cluster": [[3, 1], [6, 2]]},
        {"cluster": [[3, 1], [-1]]},
        {"cluster": [[10**9, 1], [0, 10**9]]},
        {"cluster": [["3", 1], [0, 1]]},
        {"cluster": 3},
        {"cluster": None, "extent": [0, 4]},
        {"cluster": None, "extent": [64, 64]},
        {"cluster": None, "extent": [4]},
        {"cluster": None, "extent": 4},
        {"cluster": None, "extent": [True, 4]},
        {"cluster": [[3, 1], "ab"]},
        {"cluster": 3, "extent": [4, 4]},
        {"cluster": [[1, 1, 0], [0, 1, 1], [1, 0, 1]]},
        {"rung": "2"},
        {"rung": 0.0},
    ):
        assert told(tilted | wrong, 64) is None, wrong
