"""The links of a square lattice, against counting by hand and by walking the vertices."""

from itertools import product

import numpy as np
import pytest

from nqs_hpc.system.distances import distance
from nqs_hpc.system.lattice import FACTORIES, neighbours
from nqs_hpc.system.links import links, plaquettes, stars
from nqs_hpc.system.symmetry import is_symmetry, point_group, translations

SHAPES = [((3, 3), (False, False)), ((3, 4), (True, True)), ((2, 3), (True, True)), ((4, 3), (True, False))]
SHAPES += [((3, 5), (False, True)), ((2, 2), (False, False)), ((2, 2), (True, True))]


def square_links(extent, pbc):
    return links(FACTORIES["square"](extent, pbc))


def walked(extent, pbc):
    """The middles, stars and faces of the links in half bonds, vertex by vertex."""
    (Lx, Ly), size = extent, np.array(extent) * 2

    def at(x, y):
        inside = all(closed or 0 <= r <= length - 2 for r, length, closed in zip((x, y), size, pbc, strict=True))
        return tuple(int(r % length) for r, length in zip((x, y), size, strict=True)) if inside else None

    around = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    vertices = [(2 * x, 2 * y) for x, y in product(range(Lx), range(Ly))]
    centres = [(x + 1, y + 1) for x, y in vertices if at(x + 1, y + 1)]
    found = [[{at(x + dx, y + dy) for dx, dy in around} - {None} for x, y in places] for places in (vertices, centres)]
    return set().union(*found[0]), *found


@pytest.mark.parametrize(("extent", "pbc"), SHAPES)
def test_stars_and_plaquettes(extent, pbc):
    lattice = square_links(extent, pbc)
    middles, crosses, faces = walked(extent, pbc)
    name = [tuple(np.rint(2 * r).astype(int).tolist()) for r in lattice.positions]
    assert set(name) == middles and len(set(name)) == lattice.n_sites
    for found, wanted in ((stars(lattice), crosses), (plaquettes(lattice), faces)):
        assert sorted(sorted(name[i] for i in sites) for sites in found) == sorted(map(sorted, wanted))


def test_numbers_of_links_by_the_formulas():
    for extent in ((2, 2), (3, 3), (4, 6)):
        Lx, Ly = extent
        opened, torus = square_links(extent, (False, False)), square_links(extent, (True, True))
        assert (opened.n_sites, torus.n_sites) == (2 * Lx * Ly - Lx - Ly, 2 * Lx * Ly)
        assert (len(stars(opened)), len(plaquettes(opened))) == (Lx * Ly, (Lx - 1) * (Ly - 1))
        assert sorted(map(len, stars(opened)))[:4] == [2] * 4 and max(map(len, stars(opened))) == (
            4 if Lx > 2 else 3
        ) - (Lx == 2 == Ly)
        assert len(stars(torus)) == len(plaquettes(torus)) == Lx * Ly
        assert stars(torus)[0][:1] == (0,) and set(stars(torus)[0]) >= {0, 1}  # 2 v to the right, 2 v + 1 upwards


@pytest.mark.parametrize(("extent", "pbc"), SHAPES)
def test_a_lattice_as_any_other(extent, pbc):
    """Neighbours are those at half a diagonal, and what maps the lattice onto itself maps stars onto stars."""
    lattice = square_links(extent, pbc)
    i, j = neighbours(lattice, 1).T
    np.testing.assert_allclose(distance(lattice, i, j), np.sqrt(0.5))
    crosses = {frozenset(star) for star in stars(lattice)}
    moves = translations(lattice)
    assert len(moves) == np.prod([n if closed else 1 for n, closed in zip(extent, pbc, strict=True)])
    for perm in [*moves, *point_group(lattice)]:
        assert is_symmetry(perm, neighbours(lattice, 1))
    for perm in moves:
        assert {frozenset(perm[list(star)].tolist()) for star in crosses} == crosses


@pytest.mark.parametrize(
    ("lattice", "said"),
    [
        (FACTORIES["kagome"]((2, 2), (True, True)), "lattice=kagome"),
        (FACTORIES["square"]((1, 4), (False, False)), "lattice.extent=[1, 4] has no plaquette"),
    ],
)
def test_what_has_no_links(lattice, said):
    with pytest.raises(ValueError) as error:
        links(lattice)
    assert said in str(error.value)


@pytest.mark.parametrize("extent, order", [((3, 3), 8), ((4, 4), 8), ((4, 3), 4)])
@pytest.mark.parametrize("closed", [True, False])
def test_the_point_group_takes_stars_to_stars(extent, order, closed):
    """About a link the turns by 90 degrees would take them to plaquettes, and the group would be as large."""
    lattice = square_links(extent, (closed, closed))
    group = point_group(lattice)
    assert len(group) == order
    for around in (stars(lattice), plaquettes(lattice)):
        wanted = {frozenset(sites) for sites in around}
        for perm in group:
            assert {frozenset(perm[list(sites)].tolist()) for sites in around} == wanted
