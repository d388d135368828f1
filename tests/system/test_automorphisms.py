"""Symmetries that are searched for against all permutations of a few sites, and groups whose order is known."""

from itertools import permutations

import numpy as np
import pytest

from nqs_hpc.config.all_sectors import Symmetries, all_sectors
from nqs_hpc.system.automorphisms import automorphisms, symmetries
from nqs_hpc.system.characters import point_irreps
from nqs_hpc.system.families import FACTORIES
from nqs_hpc.system.groups import product_table
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import edges_lattice, neighbours
from nqs_hpc.system.layers import layered
from nqs_hpc.system.points import points_lattice

PETERSEN = (
    [(i, (i + 1) % 5) for i in range(5)] + [(i, i + 5) for i in range(5)] + [(5 + i, 5 + (i + 2) % 5) for i in range(5)]
)
T = True


def graph_of(name, extent, pbc, orders=(1,)):
    lattice = FACTORIES[name](extent, pbc)
    return edges_lattice(lattice.n_sites, {n: neighbours(lattice, n) for n in orders})


@pytest.mark.parametrize("seed", range(12))
def test_all_permutations_of_six_sites(seed):
    # labels of few kinds, some with a symmetry put in, so that groups of many orders come up
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2 + seed % 2, (6, 6))
    labels = np.triu(labels, 1) + np.triu(labels, 1).T
    if seed % 3:
        perm = np.roll(np.arange(6), seed % 3)
        orbit = [labels]
        for _ in range(5):
            orbit.append(orbit[-1][perm][:, perm])
        labels = np.max(orbit, axis=0)
    expected = [p for p in permutations(range(6)) if np.array_equal(labels[np.ix_(p, p)], labels)]
    if len(expected) > 512:
        with pytest.raises(ValueError, match="more than 512 symmetries"):
            automorphisms(labels)
    else:
        assert automorphisms(labels).tolist() == [list(p) for p in expected]


@pytest.mark.parametrize(
    "graph, order",
    [
        (graph_of("chain", (40,), (T,)), 80),
        (graph_of("chain", (7,), (False,)), 2),
        (graph_of("square", (4, 4), (T, T)), 384),  # the edges of a cube in four dimensions
        (graph_of("square", (4, 4), (T, T), (1, 2)), 128),  # no more than translations and point operations
        (graph_of("square", (5, 5), (T, T)), 200),
        (graph_of("triangular", (4, 4), (T, T)), 192),  # strongly regular: colours alone tell nothing
        (graph_of("cubic", (2, 2, 2), (False,) * 3), 48),
        (edges_lattice(10, {1: PETERSEN}), 120),
        (edges_lattice(4, {1: [(0, 1), (1, 2), (2, 3), (0, 3)]}), 8),
        (edges_lattice(4, {1: [(0, 1), (2, 3)], 2: [(1, 2), (0, 3)]}), 4),  # orders are told apart
        (edges_lattice(4, {1: [(0, 1), (1, 2), (2, 3), (0, 3)]}, {1: [1.0, 2.0, 1.0, 1.0]}), 2),  # and weights
        (edges_lattice(6, {1: [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)]}), 72),  # two triangles
    ],
)
def test_known_orders(graph, order):
    perms = symmetries(graph)
    assert perms.shape == (order, graph.n_sites) and perms.dtype == np.int32
    assert perms[0].tolist() == list(range(graph.n_sites))
    product_table(perms)  # raises where they are not a group
    for n, bonds in graph.edges.items():
        weights = np.ones(len(bonds)) if graph.weights is None else graph.weights[n]
        matrix = np.zeros((graph.n_sites,) * 2)
        matrix[bonds[:, 0], bonds[:, 1]] = matrix[bonds[:, 1], bonds[:, 0]] = weights
        assert all(np.array_equal(matrix[p][:, p], matrix) for p in perms)


def test_positions():
    angles = 2 * np.pi * np.arange(6) / 6
    hexagon = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert len(symmetries(points_lattice(hexagon.tolist()))) == 12
    rough = np.round(hexagon, 3).tolist()
    assert len(symmetries(points_lattice(rough, 0.005))) == 12 > len(symmetries(points_lattice(rough)))
    assert len(symmetries(points_lattice([[0, 0], [1, 0], [0, 1], [1, 1]]))) == 8
    assert len(symmetries(points_lattice([[0, 0], [2, 0], [0, 1], [2, 1]]))) == 4
    corners = [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    assert len(symmetries(points_lattice(corners))) == 48
    assert len(symmetries(points_lattice([[0.0], [1.0], [2.5]]))) == 1
    assert len(symmetries(points_lattice(np.random.default_rng(0).uniform(size=(20, 2)).tolist()))) == 1


def test_what_is_too_much():
    star = edges_lattice(8, {1: [(0, i) for i in range(1, 8)]})
    with pytest.raises(ValueError, match="more than 512 symmetries"):
        symmetries(star)
    with pytest.raises(ValueError, match="at most 512 sites"):
        symmetries(graph_of("chain", (513,), (T,)))


def test_both_spins_move_alike():
    ring = graph_of("chain", (4,), (T,))
    both = symmetries(layered(ring, 2))
    assert both.shape == (8, 8) and (both[:, 4:] == both[:, :4] + 4).all()


def test_sectors_of_the_petersen_graph():
    # its group is that of all permutations of five things: dimensions 1, 1, 4, 4, 5, 5, 6
    graph = edges_lattice(10, {1: PETERSEN})
    perms, irreps = point_irreps(graph)
    assert [round(c[0].real) for c in irreps.values()] == [1, 1, 4, 4, 5, 5, 6]
    found = all_sectors(graph, spin_half(10, 0), Symmetries("point_group", True, perms, True))
    assert sum(sector.n_states for sector in found) == 252
