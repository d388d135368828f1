"""Bonds as NetworkX wrote them, and graphs of ALPS: read, written, and the same again."""

from pathlib import Path

import numpy as np
import pytest

from nqs_hpc.cli.export import export
from nqs_hpc.config.compose import checked
from nqs_hpc.system.alps_graph import graph, written
from nqs_hpc.system.edges import read_bonds
from nqs_hpc.system.lattice import neighbours

DATA = Path(__file__).parents[1] / "data" / "formats"
RING = ((0, 1, 1), (0, 3, 1), (1, 2, 1), (2, 3, 1))
GRID = ((0, 1, 1), (0, 3, 1), (1, 2, 1), (1, 4, 1), (2, 5, 1), (3, 4, 1), (4, 5, 1))


@pytest.mark.parametrize("name", ["networkx_data.edgelist", "networkx_weighted.edgelist"])
def test_weighted_lists_of_networkx(name):
    found = read_bonds(DATA / name, weighted=True)
    assert found.edges == RING and found.weights == (1.0, 2.0, -0.5, 0.25)


def test_a_list_without_weights():
    assert read_bonds(DATA / "networkx_grid.edgelist").edges == GRID


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0 1 {'weight': 2}\n", "looks like an edge list of NetworkX with data"),  # as an order
        ("0 1 {'mass': 2.0}\n", "looks like an edge list of NetworkX with data"),
        ("0 1 {'weight': 2.0, 'mass': 1}\n", "looks like an edge list of NetworkX with data"),
        ("0 1 {'weight': nan}\n", "has no weight"),
        ("0 1 {'weight': 'J'}\n", "has no weight"),
    ],
)
def test_other_data_are_refused(text, line, tmp_path):
    (tmp_path / "bonds").write_text(text)
    with pytest.raises(ValueError) as caught:
        read_bonds(tmp_path / "bonds", weighted="weight': 2}" not in text)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_graph_of_alps():
    """Two dimers, of type 0, and the bonds between them, of type 1."""
    found = read_bonds(DATA / "alps_graph.xml").edges
    assert found == ((0, 1, 1), (2, 3, 1), (0, 2, 2), (0, 3, 2), (1, 2, 2), (1, 3, 2))
    config = checked(["lattice=edges", f"lattice.file={DATA / 'alps_graph.xml'}", "hamiltonian=heisenberg",
                      "hamiltonian.J=[1,0.3]"], 1)  # fmt: skip
    assert config.lattice.make().n_sites == 4
    assert graph(written("a&b", 4, found)) == list(found)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("<LATTICES><GRAPH></LATTICES>", "it is not XML"),
        ("<LATTICES><GRAPH/><GRAPH/></LATTICES>", "2 GRAPHs in it"),
        ('<GRAPH vertices="2"><EDGE source="1" target="3"/></GRAPH>', "EDGE from 1 to 3; vertices are 1 to 2"),
        ('<GRAPH vertices="2"><EDGE source="0" target="1"/></GRAPH>', "EDGE from 0 to 1"),
        ('<GRAPH vertices="2"><EDGE source="1" target="2" type="J"/></GRAPH>', "type 'J'"),
        ('<GRAPH vertices="2"><EDGE source="1" target="1"/></GRAPH>', "edge 1: '1 1' joins a site to itself"),
        ('<!DOCTYPE x [<!ENTITY y "z">]><GRAPH/>', "document type or an entity"),
    ],
)
def test_a_broken_graph_ends_in_one_line(text, line, tmp_path):
    (tmp_path / "g.xml").write_text(text)
    with pytest.raises(ValueError) as caught:
        read_bonds(tmp_path / "g.xml")
    assert line in str(caught.value) and "g.xml" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="its edges have types"):
        read_bonds(DATA / "alps_graph.xml", weighted=True)


@pytest.mark.parametrize("option", ["--edges", "--alps-graph"])
def test_an_exported_lattice_is_the_same_again(option, tmp_path):
    path = tmp_path / "bonds"
    model = ["hamiltonian=heisenberg", "hamiltonian.J=[1,0.5]"]
    square = ["lattice=square", "lattice.extent=[4,3]", "lattice.pbc=[false,true]"]
    assert export([*square, *model, option, str(path)]) == 0
    one, two = (
        checked([*words, *model], 1).lattice.make() for words in (square, ["lattice=edges", f"lattice.file={path}"])
    )
    for order in (1, 2):
        assert np.array_equal(neighbours(one, order), neighbours(two, order))


def test_exported_weights_and_the_sense_of_bonds(tmp_path, capsys):
    weighted = ["lattice=edges", f"lattice.file={DATA / 'networkx_data.edgelist'}", "lattice.third_column=weight"]
    assert export([*weighted, "--edges", str(tmp_path / "again")]) == 0
    assert read_bonds(tmp_path / "again", weighted=True) == read_bonds(DATA / "networkx_data.edgelist", weighted=True)
    assert export([*weighted, "--alps-graph", str(tmp_path / "g.xml")]) == 2
    assert "its bonds have weights" in capsys.readouterr().err
    (tmp_path / "turned").write_text("1 0\n1 2\n")
    given = ["lattice=edges", f"lattice.file={tmp_path / 'turned'}", "hamiltonian=xyz", "hamiltonian.D=[0,0,1]"]
    assert export([*given, "--edges", str(tmp_path / "turned again")]) == 0
    assert read_bonds(tmp_path / "turned again") == read_bonds(tmp_path / "turned")
