"""Groups of sites that flip together, and whether pairs join all sites."""

import numpy as np
import pytest

from nqs_hpc.system.graph import connected
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.links import links
from nqs_hpc.system.plaquettes import flipped_groups


def square(extent, pbc):
    return FACTORIES["square"](extent, pbc)


@pytest.mark.parametrize(
    ("extent", "pbc", "n_groups"),
    [((3, 4), (True, True), 12), ((3, 4), (False, True), 8), ((3, 4), (False, False), 6), ((2, 3), (True, True), 3)],
)
def test_squares_have_sides_of_one(extent, pbc, n_groups):
    """Four different sites whose mean distances to the corners of a unit square vanish; each square once."""
    lattice = square(extent, pbc)
    groups = flipped_groups(lattice)
    assert len(groups) == len(set(groups)) == n_groups
    for group in groups:
        corner = lattice.positions[list(group)]
        apart = corner[:, None] - corner[None]
        sides = np.array(extent)
        apart = np.where(np.array(pbc), (apart + sides / 2) % sides - sides / 2, apart)
        lengths = np.sort(np.linalg.norm(apart, axis=-1), axis=1)
        assert np.allclose(lengths, [[0, 1, 1, 2**0.5]])


def test_of_links_it_is_the_stars():
    groups = flipped_groups(links(square((3, 3), (False, False))))
    assert sorted(map(len, groups)) == [2] * 4 + [3] * 4 + [4]


def test_lattices_without():
    with pytest.raises(ValueError, match="lattice=chain"):
        flipped_groups(FACTORIES["chain"]((4,), (True,)))
    with pytest.raises(ValueError, match="no plaquette"):
        flipped_groups(square((1, 4), (False, True)))


def test_connected():
    ring = np.stack([np.arange(50), np.roll(np.arange(50), -1)], axis=1)
    assert connected(50, np.random.default_rng(0).permutation(ring))
    assert connected(50, ring[:-1]) and not connected(50, ring[:-2]) and not connected(51, ring)
    assert connected(1, np.zeros((0, 2), int)) and not connected(2, np.zeros((0, 2), int))
