"""Patches: that they cover the lattice, and which pairs of them lie alike."""

import numpy as np
import pytest

from nqs_hpc.system.lattice import FACTORIES, edges_lattice
from nqs_hpc.system.patches import patches


def test_sites_of_a_square():
    found = patches(FACTORIES["square"]((4, 4), (True, True)), (2, 4))
    assert found.sites.tolist() == [[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]]
    assert found.relative.tolist() == [[0, 1], [1, 0]] and found.n_relative == 2


@pytest.mark.parametrize(
    ("pbc", "n_relative"), [((True, True), 12), ((True, False), 4 * 5), ((False, True), 7 * 3), ((False, False), 7 * 5)]
)
def test_relative_positions(pbc, n_relative):
    """Equal for two pairs where the displacements are, cyclic along closed sides, and for no others."""
    found = patches(FACTORIES["square"]((8, 6), pbc), 2)
    assert found.n_relative == n_relative == len(np.unique(found.relative))
    places = np.array([(x, y) for y in range(3) for x in range(4)])
    shift = places[:, None] - places[None]
    shift = np.where(pbc, shift % (4, 3), shift).reshape(-1, 2)
    pairs = {(tuple(by), number) for by, number in zip(shift.tolist(), found.relative.ravel().tolist(), strict=True)}
    assert len(pairs) == n_relative == len({by for by, _ in pairs})


@pytest.mark.parametrize(
    ("lattice", "patch", "said"),
    [
        (FACTORIES["square"]((4, 6), (True, True)), 3, r"divisors of the extent, \[4, 6\]"),
        (FACTORIES["square"]((4, 6), (True, True)), (2,), "one number, or 2"),
        (edges_lattice(None, {1: [[0, 1], [1, 2]]}), 1, "lattice=edges has none"),
    ],
)
def test_what_does_not_fit(lattice, patch, said):
    with pytest.raises(ValueError, match=said):
        patches(lattice, patch)
