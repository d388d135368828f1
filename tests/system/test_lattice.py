"""Lattices against closed forms, and against brute force over explicit images of sites placed by hand."""

import subprocess
import sys
from itertools import product
from math import sqrt

import numpy as np
import pytest

from nqs_hpc.system.distances import distance
from nqs_hpc.system.lattice import DIMENSIONS, FACTORIES, bipartition, edges_lattice, neighbours

# Squared distances on the infinite lattices: sums of squares, and Loeschian numbers x^2 + x y + y^2.
LOESCHIAN = [1, 3, 4, 7, 9, 12, 13]
SQUARED = {
    "chain": [1, 4, 9, 16, 25, 36, 49],
    "square": [1, 2, 4, 5, 8, 9, 10],
    "cubic": [1, 2, 3, 4, 5, 6, 8],
    "triangular": LOESCHIAN,
    "honeycomb": LOESCHIAN,
    "kagome": LOESCHIAN,
    "ladder": [1, 2, 4, 5, 8, 9, 10],
    "lieb": [1, 2, 4, 5, 8, 9, 10],
    "pyrochlore": [1, 3, 4, 5, 7, 8, 9],
}
COORDINATION = {
    "chain": [2, 2, 2, 2, 2, 2],
    "square": [4, 4, 4, 8, 4, 4],
    "cubic": [6, 12, 8, 6, 24, 24],
    "triangular": [6, 6, 6, 12, 6, 6],
    "honeycomb": [3, 6, 3, 6, 6, 6],
    "kagome": [4, 4, 6, 8, 4, 6],
    "pyrochlore": [6, 12, 12, 12, 24, 6],
}
H, R = sqrt(3) / 2, sqrt(2)
CELLS = {
    "chain": ([(1,)], [(0,)]),
    "square": ([(1, 0), (0, 1)], [(0, 0)]),
    "cubic": ([(1, 0, 0), (0, 1, 0), (0, 0, 1)], [(0, 0, 0)]),
    "triangular": ([(1, 0), (0.5, H)], [(0, 0)]),
    "honeycomb": ([(2 * H, 0), (H, 1.5)], [(0, 0), (H, 0.5)]),
    "kagome": ([(2, 0), (1, 2 * H)], [(0, 0), (1, 0), (0.5, H)]),
    "ladder": ([(1, 0), (0, 1)], [(0, 0)]),
    "lieb": ([(2, 0), (0, 2)], [(0, 0), (1, 0), (0, 1)]),
    "pyrochlore": (
        [(0, R, R), (R, 0, R), (R, R, 0)],
        [(0, 0, 0), (0, R / 2, R / 2), (R / 2, 0, R / 2), (R / 2, R / 2, 0)],
    ),
}
T, F = True, False
SMALL = [
    ("chain", (2,), (T,)),
    ("chain", (5,), (T,)),
    ("chain", (6,), (F,)),
    ("square", (2, 2), (T, T)),
    ("square", (4, 4), (T, T)),
    ("square", (2, 5), (T, T)),
    ("square", (3, 4), (T, F)),
    ("square", (1, 4), (F, T)),
    ("square", (3, 3), (F, F)),
    ("cubic", (2, 3, 2), (T, F, T)),
    ("cubic", (3, 1, 2), (T, F, F)),
    ("triangular", (2, 2), (T, T)),
    ("triangular", (2, 5), (T, T)),
    ("triangular", (3, 4), (F, T)),
    ("honeycomb", (2, 3), (T, T)),
    ("honeycomb", (3, 2), (F, T)),
    ("honeycomb", (1, 1), (F, F)),
    ("kagome", (2, 2), (T, T)),
    ("kagome", (2, 3), (T, F)),
    ("kagome", (1, 1), (F, F)),
    ("ladder", (4, 2), (T, F)),
    ("lieb", (2, 2), (T, T)),
    ("lieb", (2, 3), (T, F)),
    ("pyrochlore", (2, 2, 2), (T, T, T)),
    ("pyrochlore", (2, 1, 1), (T, F, F)),
    ("pyrochlore", (1, 1, 1), (F, F, F)),
]


def _ids(case):
    return f"{case[0]}-{'x'.join(map(str, case[1]))}-{''.join('op'[p] for p in case[2])}"


def images(name, extent, pbc):
    """Sites in the numbering promised, and the squared distance of i from every image of j: (N, N, images)."""
    vectors, basis = map(np.array, CELLS[name])
    cells = [cell[::-1] for cell in product(*(range(length) for length in reversed(extent)))]
    sites = np.array([np.array(cell) @ vectors + b for cell in cells for b in basis])
    shifts = product(*(range(-9, 10) if side else (0,) for side in pbc))
    sides = np.array([(np.array(shift) * np.array(extent)) @ vectors for shift in shifts])
    return sites, ((sites[None, :, None] + sides[None, None] - sites[:, None, None]) ** 2).sum(axis=-1)


def shell_pairs(squared, r2):
    found = (np.abs(squared - r2) < 1e-3).any(axis=-1)
    return [(i, j) for i, j in product(range(len(found)), repeat=2) if i < j and found[i, j]]


@pytest.mark.parametrize("case", SMALL, ids=_ids)
def test_positions_neighbours_and_distances_are_those_of_explicit_images(case):
    name, extent, pbc = case
    lattice = FACTORIES[name](extent, pbc)
    sites, squared = images(*case)
    assert (lattice.name, lattice.n_sites, lattice.extent, lattice.pbc) == (name, len(sites), extent, pbc)
    np.testing.assert_allclose(lattice.positions, sites, atol=1e-12)
    for order, r2 in enumerate(SQUARED[name], start=1):
        expected = shell_pairs(squared, r2)
        if expected:
            bonds = neighbours(lattice, order)
            assert bonds.dtype == np.int32 and [tuple(bond) for bond in bonds.tolist()] == expected
        else:
            with pytest.raises(ValueError, match=f"neighbour order {order}: no bonds on {name}"):
                neighbours(lattice, order)
    i, j = np.indices((len(sites),) * 2)
    np.testing.assert_allclose(distance(lattice, i, j), np.sqrt(squared.min(axis=-1)), atol=1e-12)


@pytest.mark.parametrize("name", COORDINATION)
def test_coordination_numbers(name):
    lattice = FACTORIES[name]((9,) * DIMENSIONS[name], (True,) * DIMENSIONS[name])
    for order, z in enumerate(COORDINATION[name], start=1):
        bonds = neighbours(lattice, order)
        assert (np.bincount(bonds.ravel(), minlength=lattice.n_sites) == z).all(), (order, z)
        assert len(bonds) == lattice.n_sites * z // 2


@pytest.mark.parametrize("x, y", [(2, 3), (4, 4), (5, 1), (7, 6)])
def test_bonds_of_open_and_half_open_squares(x, y):
    lattice = FACTORIES["square"]((x, y), (False, False))
    assert len(neighbours(lattice, 1)) == x * (y - 1) + y * (x - 1)
    if y > 2:
        assert len(neighbours(lattice, 2)) == 2 * (x - 1) * (y - 1)
        assert len(neighbours(lattice, 3)) == x * (y - 2) + y * (x - 2)
        assert len(neighbours(FACTORIES["square"]((x, y), (False, True)), 1)) == x * y + y * (x - 1)


def test_far_orders_by_the_closed_form_of_the_open_chain():
    chain = FACTORIES["chain"]((60,), (False,))
    for order in (1, 17, 59):
        assert neighbours(chain, order).tolist() == [[i, i + order] for i in range(60 - order)]


def test_pairs_that_several_translations_join():
    def bonds(extent, order):
        name = "chain" if len(extent) == 1 else "square"
        return neighbours(FACTORIES[name](extent, (True,) * len(extent)), order).tolist()

    assert bonds((2,), 1) == [[0, 1]]
    assert bonds((3,), 1) == bonds((3,), 2) == [[0, 1], [0, 2], [1, 2]]
    assert bonds((4,), 2) == [[0, 2], [1, 3]]
    assert bonds((4,), 3) == bonds((4,), 1)
    assert bonds((2, 2), 1) == [[0, 1], [0, 2], [1, 3], [2, 3]]
    assert bonds((2, 2), 2) == [[0, 3], [1, 2]]
    five = [bond for order in range(1, 6) for bond in bonds((4, 4), order)]
    assert len({tuple(bond) for bond in five}) == len(five) == 16 * 15 // 2
    assert bonds((4, 4), 6) == bonds((4, 4), 1)


def test_an_order_without_bonds_names_those_that_have_some():
    def message(name, extent, pbc, order):
        with pytest.raises(ValueError) as error:
            neighbours(FACTORIES[name](extent, pbc), order)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "order 4: no bonds on chain 4, which has orders 1-2, the largest 2" in message("chain", (4,), (True,), 4)
    assert message("square", (1, 4), (False, False), 2).endswith("1x4, which has orders 1, 3, 6, the largest 6")
    assert message("square", (3, 3), (False, False), 40).endswith("which has orders 1-5, the largest 5")
    assert "orders count from 1" in message("chain", (4,), (True,), 0)


COLOURED = [
    ("chain", (6,), (T,), lambda x: x),
    ("chain", (5,), (F,), lambda x: x),
    ("square", (4, 4), (T, T), lambda x, y: x + y),
    ("square", (2, 3), (T, F), lambda x, y: x + y),
    ("cubic", (2, 4, 3), (T, T, F), lambda x, y, z: x + y + z),
]


@pytest.mark.parametrize("name, extent, pbc, parity", COLOURED)
def test_two_colours_of_hypercubic_lattices(name, extent, pbc, parity):
    lattice = FACTORIES[name](extent, pbc)
    expected = [(-1) ** int(parity(*r)) for r in np.rint(lattice.positions)]
    colour = bipartition(lattice)
    assert colour.dtype == np.int8 and colour.tolist() == expected


@pytest.mark.parametrize("extent, pbc", [((3, 3), (T, T)), ((2, 5), (F, T)), ((2, 2), (T, T))])
def test_two_colours_of_honeycomb_are_its_sublattices(extent, pbc):
    lattice = FACTORIES["honeycomb"](extent, pbc)
    assert bipartition(lattice).tolist() == [1, -1] * (lattice.n_sites // 2)


@pytest.mark.parametrize(
    "case",
    [
        ("chain", (5,), (T,)),
        ("square", (3, 4), (T, T)),
        ("square", (4, 5), (F, T)),
        ("cubic", (2, 2, 3), (T, T, T)),
        ("triangular", (4, 4), (T, T)),
        ("triangular", (2, 2), (F, F)),
        ("kagome", (1, 1), (F, F)),
    ],
    ids=_ids,
)
def test_odd_rings_have_no_two_colours(case):
    assert bipartition(FACTORIES[case[0]](*case[1:])) is None


def test_two_colours_of_every_part_of_a_graph():
    assert bipartition(edges_lattice(None, {1: [(5, 4), (1, 2), (5, 6)], 2: [(4, 6)]})).tolist() == [
        1,
        1,
        -1,
        1,
        1,
        -1,
        1,
    ]
    assert bipartition(edges_lattice(None, {1: [(0, 1), (3, 4), (4, 5), (5, 3)]})) is None


@pytest.mark.parametrize(
    "name, extent, pbc, message",
    [
        ("chain", (1,), (T,), r"lattice\.extent=\[1\].*periodic.*at least 2"),
        ("square", (4, 1), (F, T), r"lattice\.extent=\[4, 1\].*periodic"),
        ("square", (4, 0), (F, F), r"lattice\.extent=\[4, 0\].*at least 1"),
        ("square", (4, -2), (T, T), r"lattice\.extent=\[4, -2\].*at least 1"),
        ("chain", (1,), (F,), r"lattice\.extent=\[1\].*2 sites"),
        ("cubic", (4, 4), (T, T, T), r"lattice\.extent=\[4, 4\].*3 values"),
        ("kagome", (4, 4), (T,), r"lattice\.pbc=\[True\].*2 values"),
    ],
)
def test_sizes_that_no_lattice_has(name, extent, pbc, message):
    with pytest.raises(ValueError, match=message):
        FACTORIES[name](extent, pbc)


def test_the_tables_agree():
    assert list(FACTORIES) == list(DIMENSIONS)
    for name, dim in DIMENSIONS.items():
        assert FACTORIES[name]((2,) * dim, (False,) * dim).positions.shape[1] == dim


def test_input_is_checked_without_jax_or_scipy():
    code = "import sys, nqs_hpc.system.symmetry, nqs_hpc.system.hilbert; print({'jax', 'scipy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
