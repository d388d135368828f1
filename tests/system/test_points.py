"""Lattices from a user's positions: what is read, what is refused, and that distances are those of the file."""

import numpy as np
import pytest

from nqs_hpc.system.distances import distance, pairs_within
from nqs_hpc.system.lattice import FACTORIES, neighbours
from nqs_hpc.system.points import MAX_POINTS, points_lattice, read_points
from nqs_hpc.system.symmetry import point_group


def test_a_file_becomes_a_lattice(tmp_path):
    path = tmp_path / "atoms.txt"
    path.write_bytes(b"\xef\xbb\xbf# micrometres\r\n-100.0 7\r\n\r\n-97\t7 # to the right\n-100 11.0\n")
    lattice = points_lattice(read_points(path))
    assert (lattice.name, lattice.n_sites, lattice.pbc) == ("points", 3, (False, False))
    np.testing.assert_allclose(distance(lattice, [0, 0, 1], [1, 2, 2]), [3, 4, 5])
    assert [neighbours(lattice, order).tolist() for order in (1, 2, 3)] == [[[0, 1]], [[0, 2]], [[1, 2]]]
    with pytest.raises(ValueError, match="orders 1-3"):
        neighbours(lattice, 4)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 40.0])
def test_a_square_of_points_is_the_square(scale):
    square = FACTORIES["square"]((3, 4), (False, False))
    points = points_lattice((scale * (square.positions - 50)).tolist())
    for order in range(1, 6):
        np.testing.assert_array_equal(neighbours(points, order), neighbours(square, order))
    assert len(point_group(points)) == len(point_group(square)) == 4


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_neighbours_of_scattered_points_are_all_pairs_by_distance(dim):
    r = np.random.default_rng(dim).normal(size=(7, dim))
    lattice = points_lattice(r.tolist())
    pairs = np.array(np.triu_indices(7, 1)).T
    apart = np.linalg.norm(r[pairs[:, 0]] - r[pairs[:, 1]], axis=1)
    found = np.concatenate([neighbours(lattice, order) for order in range(1, len(pairs) + 1)])
    np.testing.assert_array_equal(found, pairs[np.argsort(apart)])
    within, lengths = pairs_within(lattice, 1.5)
    np.testing.assert_array_equal(within, pairs[apart <= 1.5])
    np.testing.assert_allclose(lengths, apart[apart <= 1.5])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0\n1\n", "line 2: '1'"),
        ("0 0\n\n1 nan\n", "line 3: '1 nan'"),
        ("0 0\n1 inf\n", "line 2"),
        ("0 0 0 0\n", "line 1"),
        ("0 0\none 1\n", "'one 1'"),
        ("# nothing\n", "0 sites"),
        ("0 0\n", "1 sites"),
        ("0 0\n1 1\n2 0\n1 1.0\n", "sites 1 and 3, counted from 0, are in one place"),
        ("0 0\n2e6 0\n", "within 1e+06"),
        ("9\nflake\nC 0.0 0.0 0.0\n", "line 2: 'flake'"),
        ("0 0\n1_0 0\n", "line 2: '1_0 0'"),
        ("C 0.0 0.0 0.0\nC 1.0 0.0 0.0\n", "looks like an XYZ file"),
        ("x,y\n0,0\n", "looks like values separated by commas"),
        ("x y\n0 0\n", "looks like the header of a table"),
        ("[[0, 0], [1, 0]]\n", "looks like JSON, or lists of Python"),
        ("0\x000 0\n", "not plain text"),
        ("1e-320 0\n0 0\n", "are in one place"),
        (
            "0 0\n3.1e-10 0\n1.55e-10 2.68e-10\n",
            "the nearest sites are 3.1e-10 apart; valid is a unit",
        ),
        ("\n".join(map(str, range(MAX_POINTS + 1))), f"2 to {MAX_POINTS}"),
    ],
)
def test_what_is_refused(tmp_path, text, said):
    path = tmp_path / "atoms.txt"
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        read_points(path)
    line = str(error.value)
    assert line.startswith(f"lattice.file={path}") and said in line and "\n" not in line


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read_points(tmp_path / "nowhere.txt")
