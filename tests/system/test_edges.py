"""Lattices from a user's file: what is read, and what is refused in one line that names the place."""

import numpy as np
import pytest

from nqs_hpc.config.compose import checked, from_plain
from nqs_hpc.config.identity import physics, to_plain
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.system.distances import distance
from nqs_hpc.system.edges import read_bonds
from nqs_hpc.system.lattice import edges_lattice, neighbours, read_edges


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


RING = [(i, (i + 1) % 8) for i in range(8)]
ROWS = [" ".join(str(j + 1) for j in sorted(((i - 1) % 8, (i + 1) % 8))) for i in range(8)]
FOREIGN = {
    "%%MatrixMarket matrix coordinate pattern symmetric\n8 8 8\n2 1\n": "Matrix Market",
    "% sym unweighted\n1 2\n": "KONECT",
    "<?xml version='1.0'?>\n<graphml>\n": "GraphML",
    '<LATTICES>\n<GRAPH vertices="8">\n': "ALPS",
    "graph [\n  node [\n": "GML",
    "strict graph {\n0 -- 1;\n}\n": "DOT",
    "*Vertices 8\n*Edges\n1 2\n": "Pajek",
    "c a comment\np edge 8 8\ne 1 2\n": "DIMACS",
    "p edge 8 8\ne 1 2\n": "DIMACS",
    "source,target\n0,1\n": "commas",
    "0,1\n1,2\n": "commas",
    "0;1\n": "commas",
    "source target\n0 1\n": "header of a table",
    '{"nodes": [], "links": []}\n': "JSON",
    "[[1.0, 0, 1], [1.0, 1, 2]]\n": "lists of Python",
    "# by NetworkX\n0 1 {'weight': 2}\n": "NetworkX",
    "=====\nNInterAll 8\n": "HPhi",
    ">>graph6<<G?\n": "graph6",
    "8\n0 1\n1 2\n": "number of sites",
    "0 1 7\n1 2\n7\n": "adjacency list",
    "8 8\n" + "\n".join(ROWS) + "\n": "METIS",
    "9 12\n" + "".join(f"{i} {j}\n" for i in range(9) for j in (i + 1, i + 3) if j < 9 and (j - i == 3 or j % 3)): (
        "numbers of sites and bonds"
    ),
    "4 3\n0 1\n1 2\n2 3\n": "(a bond: not on the first line)",
    "8 8\n" + "".join(f"{i + 1} {j + 1} 1\n" for i, j in RING): "numbers of sites and bonds",
}


@pytest.mark.parametrize("text", FOREIGN)
def test_files_of_other_programs_are_refused_by_name(text, tmp_path):
    """A METIS file of degree 2 and a header of counts are pairs of numbers: read, they would be another graph."""
    path = tmp_path / "bonds.txt"
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        read_edges(path)
    said = str(error.value)
    assert FOREIGN[text] in said and "valid is 'i j'" in said and "\n" not in said


def test_utf_16_is_said(tmp_path):
    path = tmp_path / "bonds.txt"
    path.write_bytes("0 1\n1 2\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"line 1: .*not plain text in UTF-8"):
        read_edges(path)


def test_what_networkx_writes_without_data_is_read(tmp_path):
    path = tmp_path / "bonds.txt"
    path.write_text("0 1 {}\n1 2 {}\n")
    assert read_edges(path)[1].tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize("text", ["3 4\n0 1\n1 2\n2 3\n0 2\n", "3 2\n4 3\n2 1\n1 0\n", "0 1\n0 2\n"])
def test_a_first_bond_is_no_header(text, tmp_path):
    path = tmp_path / "bonds.txt"
    path.write_text(text)
    assert sum(map(len, read_edges(path).values())) == text.count("\n")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("0 1 1\n1 2\n", 2, "'i j weight'"),
        ("0 1 0\n", 1, "no weight"),
        ("0 1 nan\n", 1, "no weight"),
        ("0 1 1e999\n", 1, "no weight"),
        ("0 1 J\n", 1, "no weight"),
        ("0 1 1_0\n", 1, "no weight"),
        ("C 0 " + "1" * 10**6 + "\n", 1, "'i j weight'"),
        ("0 1 2\n1 0 3\n", 2, "repeats line 1; every pair is given once, in one direction"),
        ("1.0 0 1\n", 1, "'i j weight'"),
    ],
)
def test_a_line_that_has_no_weight(text, line, message, tmp_path):
    path = tmp_path / "bonds.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"line {line}: ") as error:
        read_bonds(path, weighted=True)
    assert message in str(error.value)


def edges(path, *words):
    return checked(["lattice=edges", f"lattice.file={path}", *words], 1)


def test_sites_counted_from_one(tmp_path):
    """A ring of 8 from 1 is not a ring of 9 numbers: refused, and read where it is said to count from 1."""
    path = tmp_path / "ring.txt"
    path.write_text("".join(f"{i + 1} {j + 1}\n" for i, j in RING))
    with pytest.raises(InputError, match=r"none for site 0 .*lattice\.first_site=1 where sites count from 1"):
        edges(path)
    config = edges(path, "lattice.first_site=1")
    from_0 = tmp_path / "from_0.txt"
    from_0.write_text("".join(f"{i} {j}\n" for i, j in RING))
    assert config.lattice.n_sites == 8 and physics(config) == physics(edges(from_0))
    with pytest.raises(InputError, match=r"line 1: .*names site 0, and lattice\.first_site=1"):
        edges(from_0, "lattice.first_site=1")
    free = edges(path, "lattice.n_sites=9")  # a free spin, where it is meant
    assert free.hamiltonian.lines(free.lattice.make()) == [
        "lattice: 9 sites, 8 bonds of order 1",
        "lattice: no bond joins site 0, counted from 0",
    ]


def test_labels_are_no_numbers_of_sites(tmp_path):
    path = tmp_path / "bonds.txt"
    path.write_text("10 20\n20 30\n")
    with pytest.raises(InputError, match=r"none for sites 0, 1, 2, 3, 4, 5 and 22 more .*lattice\.n_sites=31"):
        edges(path)
    with pytest.raises(InputError, match=r"^lattice\.n_sites=4 .*null or 31"):
        edges(path, "lattice.n_sites=4")


def test_orders_that_the_hamiltonian_has_not_are_asked_for(tmp_path):
    path = tmp_path / "bonds.txt"
    path.write_text("".join(f"{i} {j} {1 + i % 2}\n" for i, j in RING))
    for words in ([], ["hamiltonian=heisenberg"], ["hamiltonian=bose_hubbard"]):
        with pytest.raises(InputError, match=r"^lattice\.third_column=auto .*bonds of order 2, which hamiltonian="):
            edges(path, *words)
    for couplings in ("[1,0.5]", "[1,0]"):
        config = edges(path, "hamiltonian=heisenberg", f"hamiltonian.J={couplings}")
        assert config.lattice.third_column == "order"
    as_orders = edges(path, "lattice.third_column=order")
    assert as_orders.hamiltonian.lines(as_orders.lattice.make()) == [
        "lattice: 8 sites, 4 bonds of order 1",
        "lattice: bonds of the file that hamiltonian=ising does not use: 4 of order 2",
    ]
    as_weights = edges(path, "lattice.third_column=weight")
    assert as_weights.hamiltonian.lines(as_weights.lattice.make()) == [
        "lattice: 8 sites, 8 bonds of order 1 (weights 1 to 2, sum 12)"
    ]
    run = from_plain(to_plain(as_orders) | {"lattice": to_plain(as_orders)["lattice"] | {"third_column": "auto"}})
    assert physics(run) == physics(as_orders)  # of a run the bonds are taken as they are
