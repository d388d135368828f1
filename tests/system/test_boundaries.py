"""Phases of hops across periodic sides, against free particles in a flux."""

import numpy as np
import pytest

from nqs_hpc.system.boundaries import check_phases, crossings, hops, phase_of
from nqs_hpc.system.families import made
from nqs_hpc.system.lattice import FACTORIES, neighbours, pair_couplings


def levels(lattice, by_order, phases):
    h = np.zeros((lattice.n_sites, lattice.n_sites), complex)
    for (i, j), amplitude in hops(lattice, by_order, phases).items():
        h[j, i] += amplitude
        h[i, j] += np.conj(amplitude)
    return np.linalg.eigvalsh(h)


def bloch(extent, vectors, amplitudes, phases):
    """sum_d t_d cos(k . d) at the momenta that the phases allow, of displacements d in cells and their negatives."""
    grids = [(2 * np.pi * np.arange(n) + np.pi * phase) / n for n, phase in zip(extent, phases, strict=True)]
    k = np.stack([axis.ravel() for axis in np.meshgrid(*grids, indexing="ij")], axis=1)
    return np.sort(sum(2 * t * np.cos(k @ d) for d, t in zip(vectors, amplitudes, strict=True)))


@pytest.mark.parametrize("phases", [(0.3, 0.0), (1.0, 0.5), (-0.7, 0.21)])
def test_levels_of_free_particles(phases):
    square = FACTORIES["square"]((5, 4), (True, True))
    vectors = [(1, 0), (0, 1), (1, 1), (1, -1)]
    wanted = bloch((5, 4), np.array(vectors), (1.0, 1.0, -0.3, -0.3), phases)
    assert np.abs(levels(square, (1.0, -0.3), phases) - wanted).max() < 1e-12
    triangular = FACTORIES["triangular"]((4, 3), (True, True))
    wanted = bloch((4, 3), np.array([(1, 0), (0, 1), (1, -1)]), (1.0, 1.0, 1.0), phases)
    assert np.abs(levels(triangular, (1.0,), phases) - wanted).max() < 1e-12


@pytest.mark.parametrize("sides", [[[3, 1], [-1, 3]], [[4, 2], [-2, 4]], [[3, 3], [-3, 3]]])
def test_levels_on_a_tilted_cluster(sides):
    # along its axes the cluster is cells in rows, so momenta are those of its extent, and hops are to be written there
    lattice = made("square", None, (True, True), sides)
    vectors = np.array([(1, 0), (0, 1), (1, 1), (1, -1)]) @ np.linalg.inv(lattice.axes)
    wanted = bloch(lattice.extent, vectors, (1.0, 1.0, -0.3, -0.3), (0.3, 0.5))
    assert np.abs(levels(lattice, (1.0, -0.3), (0.3, 0.5)) - wanted).max() < 1e-12


def test_crossed_squares_have_their_own_ways():
    # the diagonals of crossed and of empty squares are as long: on two cells a side they join the same sites
    lattice = FACTORIES["checkerboard"]((2, 2), (True, True))._replace(double_bonds=True)
    k = [(np.pi * (m + 0.3) / 1, np.pi * (n + 0.6) / 1) for m in range(2) for n in range(2)]
    wanted = []
    for k1, k2 in k:  # per cell, in the axes of the diagonals
        to_b = 1 + np.exp(1j * (k2 - k1)) + np.exp(1j * k2) + np.exp(-1j * k1)
        h = np.array([[0.7 * 2 * np.cos(k1), to_b], [np.conj(to_b), 0.7 * 2 * np.cos(k2)]])
        wanted += np.linalg.eigvalsh(h).tolist()
    found = levels(lattice, (1.0, 0.7), (0.6, 1.2))
    assert np.abs(found - np.sort(wanted)).max() < 1e-12


def test_the_sense_of_the_phase():
    """Out of the far side with exp(i phi): from the last site to the first."""
    found = hops(FACTORIES["chain"]((4,), (True,)), (2.0,), (0.5,))
    assert found == {(0, 1): 2.0, (1, 2): 2.0, (2, 3): 2.0, (0, 3): -2j}  # from 0 to 3 is the way back


def test_two_ways_between_two_sites():
    """On a side of 2 both ways count with double_bonds, else neither can be chosen."""
    two = FACTORIES["chain"]((2,), (True,))
    with pytest.raises(ValueError, match="double_bonds=true, which counts both"):
        hops(two, (1.0,), (0.5,))
    wanted = bloch((2,), np.array([[1]]), (1.0,), (0.4,))
    assert np.abs(levels(two._replace(double_bonds=True), (1.0,), (0.4,)) - wanted).max() < 1e-14
    assert hops(two, (1.0,), ()) == {(0, 1): 1.0}


@pytest.mark.parametrize("name", ["chain", "square", "triangular", "honeycomb", "kagome"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_every_bond_has_its_ways(name, order):
    dim = {"chain": 1}.get(name, 2)
    lattice = FACTORIES[name]((4, 3)[:dim], (True, False)[:dim])
    try:
        bonds = neighbours(lattice, order)
    except ValueError:
        return
    found = crossings(lattice, order)
    assert list(found) == list(map(tuple, bonds.tolist())) and all(found.values())
    doubled = lattice._replace(double_bonds=True)
    assert {pair: len(ways) for pair, ways in crossings(doubled, order).items()} == pair_couplings(
        doubled, [0.0] * (order - 1) + [1.0]
    )


def test_quarters_are_exact():
    assert [phase_of(x) for x in (0, 0.5, 1, -1, 1.5, 2, 3)] == [1, 1j, -1, -1, -1j, 1, -1]
    assert abs(phase_of(1 / 3) - (0.5 + np.sqrt(0.75) * 1j)) < 1e-15


@pytest.mark.parametrize(
    ("pbc", "phases", "says"),
    [
        ((True, True), (1.0,), "one for each of the 2 directions"),
        ((True, False), (0.0, 1.0), "direction 1, which is open"),
        ((False, False), (1.0, 0.0), "no side of the lattice is periodic"),
    ],
)
def test_phases_that_do_not_fit(pbc, phases, says):
    lattice = FACTORIES["square"]((4, 4), pbc)
    with pytest.raises(ValueError, match=says):
        check_phases(lattice, phases)
    check_phases(lattice, [0.0] * 5)
