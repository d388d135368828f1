"""Lattices from a user's file: what is read, and what is refused in one line that names the place."""

import numpy as np
import pytest

from nqs_hpc.system.lattice import distance, edges_lattice, neighbours, read_edges


def test_a_file_becomes_a_lattice(tmp_path):
    path = tmp_path / "bonds.txt"
    path.write_bytes(
        b"\xef\xbb\xbf# a bow tie\r\n2 1\r\n\r\n0 1 1 # the default\n0\t2\n  2 5\n5 6 1\n6 2\n0 6 2\n1 2 3"
    )
    lattice = edges_lattice(None, read_edges(path))
    assert (lattice.name, lattice.n_sites, lattice.extent, lattice.pbc) == ("edges", 7, (7,), (False,))
    assert neighbours(lattice, 1).tolist() == [[0, 1], [0, 2], [1, 2], [2, 5], [2, 6], [5, 6]]
    assert neighbours(lattice, 2).tolist() == [[0, 6]]
    assert neighbours(lattice, 3).tolist() == [[1, 2]]  # one pair may have several orders, as on small tori
    assert all(bonds.dtype == np.int32 for bonds in lattice.edges.values())
    assert edges_lattice(7, read_edges(path)).n_sites == 7
    with pytest.raises(ValueError, match=r"neighbour order 4: the edges have orders 1-3$"):
        neighbours(lattice, 4)
    with pytest.raises(ValueError, match="no geometry"):
        distance(lattice, 0, 1)


@pytest.mark.parametrize(
    "text, line, message",
    [
        ("0 1\n1 1\n", 2, "joins a site to itself"),
        ("0 1\n\n1 0\n", 3, "repeats line 1"),
        ("0 1 2\n0 1\n1 0 2", 3, "repeats line 1"),
        ("0 -1\n", 1, "counted from 0"),
        ("0 1.5\n", 1, "'0 1.5'"),
        ("site other\n0 1", 1, "'site other'"),
        ("0 1\n3\n", 2, "'i j' or 'i j order'"),
        ("0 1 1 1\n", 1, "'i j' or 'i j order'"),
        ("0 1 0\n", 1, "order 0"),
        ("0 1\n1 2 -1\n", 2, "order counted from 1"),
        ("0 1_0\n", 1, "valid"),
        ("0 \u0663\n", 1, "valid"),
        ("0 2147483648\n", 1, "above 2147483647"),
        ("0 " + "9" * 5000, 1, "above 2147483647"),
    ],
)
def test_a_line_that_is_no_bond(tmp_path, text, line, message):
    path = tmp_path / "bonds.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as error:
        read_edges(path)
    said = str(error.value)
    assert said.startswith(f"lattice.file={path}, line {line}: ") and message in said and "\n" not in said
    assert len(said) < len(str(path)) + 250


@pytest.mark.parametrize("text", ["", "# nothing\n\n", "0 1 2\n"])
def test_a_file_without_nearest_neighbours(tmp_path, text):
    path = tmp_path / "bonds.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bonds\.txt: .* none of order 1"):
        read_edges(path)


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path, tmp_path / "missing.txt"):
        with pytest.raises(ValueError, match=rf"^lattice\.file={path}: [^\n]*$"):
            read_edges(path)
    binary = tmp_path / "image.png"
    binary.write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff\xfe")
    with pytest.raises(ValueError, match="line 1: "):
        read_edges(binary)


@pytest.mark.parametrize(
    "n_sites, edges, message",
    [
        (9, {1: [(0, 1), (1, 2)]}, r"lattice\.n_sites=9: the edges name sites 0 to 2"),
        (2, {1: [(0, 1), (1, 2)]}, r"lattice\.n_sites=2"),
        (None, {1: [(0, 0)]}, "two different sites"),
        (None, {1: [(0, -1)]}, "two different sites"),
        (None, {1: [(0.5, 1)]}, "order 1: valid"),
        (None, {1: [(0, 1, 2, 3)]}, "order 1: valid"),
        (None, {1: []}, "order 1: valid"),
        (None, {0: [(0, 1)], 1: [(0, 1)]}, "order 0"),
        (None, {1: [(0, 1), (1, 0)]}, "given twice"),
        (None, {2: [(0, 1)]}, "none of order 1"),
    ],
)
def test_edges_that_make_no_lattice(n_sites, edges, message):
    with pytest.raises(ValueError, match=message):
        edges_lattice(n_sites, edges)
