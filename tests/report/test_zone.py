"""Brillouin zones of known shape, and that their parts fill them."""

import numpy as np
import pytest

from nqs_hpc.report.zone import distinct, folded, is_cell, outline, tiles, within
from nqs_hpc.system.lattice import FACTORIES


def area(corners):
    x, y = corners.T
    return 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def vectors(name, extent):
    """Reciprocal vectors of a lattice of ours, and the wave vectors of a torus, from 0 along them."""
    cell = 2 * np.pi * np.linalg.inv(FACTORIES[name](extent, [True] * len(extent)).vectors).T
    shares = np.stack(np.meshgrid(*(np.arange(length) / length for length in extent), indexing="ij"), axis=-1)
    return shares.reshape(-1, len(extent)) @ cell, cell


def test_zones_of_square_and_triangular_lattice():
    assert sorted(map(tuple, np.round(outline(2 * np.pi * np.eye(2)) / np.pi, 9))) == [
        (-1, -1),
        (-1, 1),
        (1, -1),
        (1, 1),
    ]
    corners = outline(vectors("triangular", (3, 3))[1])
    np.testing.assert_allclose(np.linalg.norm(corners, axis=1), 4 * np.pi / 3)  # the points K
    assert len(corners) == 6


@pytest.mark.parametrize(("name", "extent"), [("square", (4, 4)), ("square", (2, 6)), ("triangular", (3, 6))])
def test_tiles_cover_the_zone_in_equal_parts(name, extent):
    """Each wave vector of a torus has the same share of the zone, |det of the cell| / Q."""
    q, cell = vectors(name, extent)
    found = np.zeros(len(q))
    for number, corners in tiles(folded(q, cell), cell):
        found[number] += area(corners)
        inside = 2 * corners @ within_vectors(cell).T <= np.sum(within_vectors(cell) ** 2, axis=1) * (1 + 1e-5)
        assert inside.all()
    np.testing.assert_allclose(found, abs(np.linalg.det(cell)) / len(q), rtol=1e-6)


def within_vectors(cell):
    steps = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j])
    return steps @ cell


def test_folding_keeps_plane_waves_and_shortens():
    rng = np.random.default_rng(2)
    _, cell = vectors("triangular", (4, 4))
    q = 20 * rng.standard_normal((50, 2))
    sites = FACTORIES["triangular"]((5, 5), (False, False)).positions
    near = folded(q, cell)
    np.testing.assert_allclose(np.exp(1j * near @ sites.T), np.exp(1j * q @ sites.T), atol=1e-9)
    for g in within_vectors(cell):
        assert (np.linalg.norm(near, axis=1) <= np.linalg.norm(near + g, axis=1) + 1e-9).all()


def test_points_on_the_outline_are_there_on_every_side():
    q, cell = vectors("square", (4, 4))
    assert len(within(folded(q, cell), cell)) == 25  # 9 inside, 16 around
    assert distinct(folded(q, cell), cell) and not distinct(folded(np.concatenate([q, q + cell[0]]), cell), cell)


@pytest.mark.parametrize(
    "cell",
    [np.zeros((2, 2)), np.ones((2, 2)), np.full((2, 2), np.nan), np.ones((2, 3)), np.diag([1.0, 1e9]), np.ones(2)],
)
def test_what_spans_no_cell(cell):
    assert not is_cell(cell)
