"""Wave vectors fit the torus, and Fourier transforms repeat themselves after the cell."""

import numpy as np
import pytest

from nqs_hpc.system.lattice import DIMENSIONS, FACTORIES, edges_lattice
from nqs_hpc.system.wave_vectors import wave_vectors

ZONES = {"kagome": 2, "honeycomb": 3, "lieb": 2, "checkerboard": 2, "pyrochlore": 2}


@pytest.mark.parametrize("name", FACTORIES)
def test_they_fit_and_repeat(name):
    dim = DIMENSIONS[name]
    lattice = FACTORIES[name]((4, 3, 2)[:dim], (True,) * dim)
    q, cell = wave_vectors(lattice)
    zones = ZONES.get(name, 1)
    assert len(q) == np.prod(lattice.extent) * zones**dim
    sides = np.array(lattice.extent)[:, None] * lattice.vectors
    turns = q @ sides.T / (2 * np.pi)
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-12)
    apart = (lattice.positions[:, None] - lattice.positions[None]).reshape(-1, dim)
    turns = cell @ apart.T / (2 * np.pi)
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-12)
    # all different, modulo the cell
    inside = np.rint((q @ np.linalg.inv(cell)) * np.array(lattice.extent) * zones).astype(int)
    assert len(np.unique(inside, axis=0)) == len(q)
    # the corner of the square lattice's zone, and that of the triangular lattice's (a 6x6 torus has both)
    if name == "square":
        assert any(np.allclose(one, (np.pi, 0)) for one in q)


def test_the_corner_of_the_hexagonal_zone():
    q, _ = wave_vectors(FACTORIES["triangular"]((3, 3), (True, True)))
    assert np.isclose(np.linalg.norm(q, axis=1), 4 * np.pi / 3).sum() >= 1


def test_none_without_a_torus():
    assert wave_vectors(FACTORIES["square"]((4, 3), (True, False))) is None
    assert wave_vectors(edges_lattice(None, {1: [(0, 1), (1, 2)]})) is None
