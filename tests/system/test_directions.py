"""Bonds by direction, against directions and bonds drawn by hand."""

import numpy as np
import pytest

from nqs_hpc.system.directions import bonds_by_direction, directions, joined_along
from nqs_hpc.system.lattice import FACTORIES, bond_weights, edges_lattice, neighbours
from nqs_hpc.system.points import points_lattice

ANGLES = {  # to the first axis, in degrees, of nearest and of second neighbours
    "square": ([0, 90], [45, 135]),
    "triangular": ([0, 60, 120], [30, 150, 90]),
    "kagome": ([0, 60, 120], [30, 150, 90]),
    "honeycomb": ([30, 150, 90], [0, 60, 120]),
}


@pytest.mark.parametrize("name", ANGLES)
@pytest.mark.parametrize("order", [1, 2])
def test_directions_of_the_infinite_lattice(name, order):
    """Also where a finite one has no bond along some."""
    angles = np.radians(ANGLES[name][order - 1])
    lattice = FACTORIES[name]((2, 3), (False, False))
    np.testing.assert_allclose(
        directions(lattice, order), np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=1e-9
    )
    assert len(bonds_by_direction(FACTORIES[name]((3, 1), (False, False)), 1)) == len(ANGLES[name][0])


def test_axes_in_three_dimensions():
    np.testing.assert_allclose(directions(FACTORIES["cubic"]((2, 2, 2), (False,) * 3), 1), np.eye(3), atol=1e-12)


def test_bonds_of_a_hexagon():
    """Two cells of two sites, 0 and 1, 2 and 3, beside each other, and above them 4 and 5, 6 and 7."""
    x, y, z = bonds_by_direction(FACTORIES["honeycomb"]((2, 2), (False, False)), 1)
    assert x.bonds.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert y.bonds.tolist() == [[2, 1], [6, 5]]
    assert z.bonds.tolist() == [[1, 4], [3, 6]]


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize(("name", "extent"), [("square", (4, 2)), ("triangular", (2, 3)), ("kagome", (2, 2))])
@pytest.mark.parametrize("order", [1, 2])
def test_all_bonds_are_there(name, extent, double, order):
    lattice = FACTORIES[name](extent, (True, True))._replace(double_bonds=double)
    total = {tuple(pair): 0.0 for pair in neighbours(lattice, order).tolist()}
    for along in bonds_by_direction(lattice, order):
        for pair, count in joined_along(lattice, along).items():
            total[pair] += count
    weights = bond_weights(lattice, order)
    if double:
        assert list(total.values()) == (np.ones(len(total)) if weights is None else weights).tolist()
    else:
        assert all(count >= 1 for count in total.values())


def test_the_sense_of_bonds_across_a_side():
    """On a ring every bond leads to the right, also the one from the last site to the first."""
    (ring,) = bonds_by_direction(FACTORIES["chain"]((4,), (True,)), 1)
    assert ring.bonds.tolist() == [[0, 1], [1, 2], [2, 3], [3, 0]]
    (two,) = bonds_by_direction(FACTORIES["chain"]((2,), (True,)), 1)
    assert two.bonds.tolist() == [[0, 1], [1, 0]] and joined_along(FACTORIES["chain"]((2,), (True,)), two) == {
        (0, 1): 1
    }


def test_measured_positions_and_graphs():
    points = points_lattice([(0, 0), (1, 0.002), (0.001, 1), (1, 1.001)], tolerance=0.005)
    across, up = bonds_by_direction(points, 1)
    assert across.bonds.tolist() == [[0, 1], [2, 3]] and up.bonds.tolist() == [[0, 2], [1, 3]]
    with pytest.raises(ValueError, match="lattice=edges has none"):
        directions(edges_lattice(None, {1: [(0, 1)]}), 1)
