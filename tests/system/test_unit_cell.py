"""Unit cells from files against the built-in lattices, and what is refused."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from nqs_hpc.config.compose import compose, from_plain
from nqs_hpc.config.identity import to_plain
from nqs_hpc.system.cell_files import read_unit_cell
from nqs_hpc.system.families import FACTORIES, made, tilted
from nqs_hpc.system.lattice import neighbours
from nqs_hpc.system.symmetry import point_group, translations
from nqs_hpc.system.unit_cell import factory_of, number

HONEYCOMB = """
vectors: [[sqrt(3), 0], [sqrt(3)/2, 3/2]]
basis: [[0, 0], [1/3, 1/3]]
fractional: true
"""
CROSSED = {
    "vectors": [[1, 1], [-1, 1]],
    "basis": [[0, 0], [1, 0]],
    "bonds": [
        {"from": 0, "to": 1},
        {"from": 0, "to": 1, "cell": [-1, 1]},
        {"from": 1, "to": 0, "cell": [0, -1]},
        {"from": 1, "to": 0, "cell": [1, 0]},
        {"from": 0, "to": 0, "cell": [1, 0], "order": 2},
        {"from": 1, "to": 1, "cell": [0, -1], "order": 2},
    ],
}
ALPS = """<?xml version="1.0" encoding="UTF-8"?>
<LATTICES>
  <LATTICE name="square" dimension="2">
    <PARAMETER name="a" default="1"/><BASIS><VECTOR>a 0</VECTOR><VECTOR>0 a</VECTOR></BASIS>
  </LATTICE>
  <LATTICE name="triangular" dimension="2">
    <PARAMETER name="a" default="2"/><PARAMETER name="b" default="a/2"/>
    <BASIS><VECTOR>a 0</VECTOR><VECTOR>b b*sqrt(3)</VECTOR></BASIS>
  </LATTICE>
  <UNITCELL name="J1J2" dimension="2"><VERTEX/>
    <EDGE type="3"><SOURCE vertex="1" offset="0 0"/><TARGET vertex="1" offset="0 1"/></EDGE>
    <EDGE type="3"><SOURCE vertex="1" offset="0 0"/><TARGET vertex="1" offset="1 0"/></EDGE>
    <EDGE type="5"><SOURCE vertex="1" offset="0 0"/><TARGET vertex="1" offset="1 1"/></EDGE>
    <EDGE type="5"><SOURCE vertex="1" offset="0 1"/><TARGET vertex="1" offset="1 0"/></EDGE>
  </UNITCELL>
  <UNITCELL name="three" dimension="2" vertices="3">
    <VERTEX><COORDINATE>0 0</COORDINATE></VERTEX><VERTEX><COORDINATE>0.5 0</COORDINATE></VERTEX>
    <VERTEX><COORDINATE>0 1/2</COORDINATE></VERTEX>
    <EDGE><SOURCE vertex="1"/><TARGET vertex="2"/></EDGE><EDGE><SOURCE vertex="1"/><TARGET vertex="3"/></EDGE>
    <EDGE><SOURCE vertex="2"/><TARGET vertex="3"/></EDGE>
    <EDGE><SOURCE vertex="2"/><TARGET vertex="1" offset="1 0"/></EDGE>
    <EDGE><SOURCE vertex="3"/><TARGET vertex="1" offset="0 1"/></EDGE>
    <EDGE><SOURCE vertex="2" offset="0 1"/><TARGET vertex="3" offset="1 0"/></EDGE>
  </UNITCELL>
  <LATTICEGRAPH name="square J1-J2">
    <FINITELATTICE><LATTICE ref="square"/><EXTENT size="L"/><BOUNDARY type="periodic"/></FINITELATTICE>
    <UNITCELL ref="J1J2"/>
  </LATTICEGRAPH>
  <LATTICEGRAPH name="kagome"><FINITELATTICE><LATTICE ref="triangular"/></FINITELATTICE><UNITCELL ref="three"/>
  </LATTICEGRAPH>
</LATTICES>
"""


LIBRARY = Path(__file__).parents[1] / "data" / "alps_lattices.xml"


def read(tmp_path, text, name=None, file="cell.yaml"):
    (tmp_path / file).write_text(text)
    return read_unit_cell(tmp_path / file, name)


def same(found, expected, orders):
    for order in orders:
        assert neighbours(found, order).tolist() == neighbours(expected, order).tolist()
    assert translations(found).tolist() == translations(expected).tolist()
    assert point_group(found).tolist() == point_group(expected).tolist()


@pytest.mark.parametrize("extent, pbc", [((3, 3), (True, True)), ((2, 3), (True, False))])
def test_honeycomb(tmp_path, extent, pbc):
    found = factory_of(*read(tmp_path, HONEYCOMB))(extent, pbc)
    same(found, FACTORIES["honeycomb"](extent, pbc), (1, 2, 3))
    np.testing.assert_allclose(found.positions, FACTORIES["honeycomb"](extent, pbc).positions, atol=1e-12)


def test_bonds_that_a_file_states(tmp_path):
    cell = read(tmp_path, json.dumps(CROSSED), file="cell.json")
    found = factory_of(*cell)((4, 4), (True, True))
    same(found, FACTORIES["checkerboard"]((4, 4), (True, True)), (1, 2))
    with pytest.raises(ValueError, match="neighbour order 3: the unit cell states the bonds of orders 1-2"):
        neighbours(found, 3)
    sides = [[2, -2], [2, 2]]
    same(tilted(found, sides), made("checkerboard", None, (True, True), sides), (1, 2))


def test_lattices_of_alps(tmp_path):
    square = factory_of(*read(tmp_path, ALPS, "square J1-J2", "lattices.xml"))((4, 3), (True, False))
    same(square, FACTORIES["square"]((4, 3), (True, False)), (1, 2))
    kagome = factory_of(*read(tmp_path, ALPS, "kagome", "lattices.xml"))((3, 3), (True, True))
    same(kagome, FACTORIES["kagome"]((3, 3), (True, True)), (1,))
    np.testing.assert_allclose(kagome.positions, FACTORIES["kagome"]((3, 3), (True, True)).positions, atol=1e-12)


@pytest.mark.parametrize("name, ours", [("Kagome lattice", "kagome"), ("honeycomb lattice", "honeycomb")])
def test_coordinates_of_alps_are_in_the_basis_vectors(name, ours):
    """Entries of its own library: only so are all bonds of one length, and those of our lattice of that name.

    Graphs are compared by the spectra of their adjacency, because the honeycomb lattice has other cells there.
    """
    found, expected = (
        make((3, 4), (True, True)) for make in (factory_of(*read_unit_cell(LIBRARY, name)), FACTORIES[ours])
    )
    bonds = np.concatenate([neighbours(found, order) for order in range(1, 1 + len(found.stated))])
    assert len(bonds) == len(neighbours(expected, 1))
    steps = [found.basis[shell.end] + shell.cell @ found.vectors - found.basis[shell.start] for shell in found.stated]
    lengths = np.linalg.norm(np.concatenate(steps), axis=1)
    np.testing.assert_allclose(lengths, 1 / 2 if ours == "kagome" else 1 / math.sqrt(3), rtol=1e-12)

    def levels(pairs):
        joined = np.zeros((found.n_sites,) * 2)
        joined[pairs[:, 0], pairs[:, 1]] = joined[pairs[:, 1], pairs[:, 0]] = 1
        return np.linalg.eigvalsh(joined)

    np.testing.assert_allclose(levels(bonds), levels(neighbours(expected, 1)), atol=1e-12)


def test_vertices_and_bonds_of_the_library_of_alps():
    square = factory_of(*read_unit_cell(LIBRARY, "frustrated square lattice"))((4, 3), (True, False))
    same(square, FACTORIES["square"]((4, 3), (True, False)), (1, 2))
    with pytest.raises(ValueError, match="vertices of UNITCELL coupled ladders have the same coordinates"):
        read_unit_cell(LIBRARY, "coupled ladders")


def test_a_run_keeps_what_it_has_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lattices.xml").write_text(ALPS)
    words = ["lattice=unit_cell", "lattice.file=lattices.xml", "lattice.unit=kagome", "lattice.length=2"]
    config = compose([*words, "hamiltonian=heisenberg"], 1)
    (tmp_path / "lattices.xml").unlink()
    again = from_plain(to_plain(config))
    assert again == config and again.lattice.make().n_sites == 12
    assert len(neighbours(again.lattice.make(), 1)) == 24


@pytest.mark.parametrize(
    "text, said",
    [
        ("[1, 2]", "a mapping of vectors"),
        ("vectors: [[1, 0], [0, 1]]", "a mapping of vectors"),
        ("{vectors: [[1]], basis: [[0]], bonds: []}", "no bonds: at all, for orders by distance"),
        ("{vectors: [[1]], basis: [[0]], bonds: }", "no bonds: at all, for orders by distance"),
        ("{vectors: [[1, 0], [2, 0]], basis: [[0, 0]]}", "independent"),
        ("{vectors: [[1, 0]], basis: [[0, 0]]}", "D rows of D numbers"),
        ("{vectors: [[1, 0], [0, .inf]], basis: [[0, 0]]}", "not a finite number"),
        ("{vectors: [[1, 0], [0, 1e999]], basis: [[0, 0]]}", "not a finite number"),
        ("{vectors: [[1, 0], [0, exp(1)]], basis: [[0, 0]]}", "'exp(1)' is not a number"),
        ("{vectors: [[1, 0], [0, 1]], basis: [[0, 0], [1, 0]]}", "the nearest sites are 0 apart"),
        ("{vectors: [[1, 0], [0, 1]], basis: [[0]]}", "rows of 2 numbers"),
        ("{vectors: [[1, 0], [0, 1]], basis: [[0, 0], [9, 0.5]]}", "at most 2 cells away"),
        ("{vectors: [[0.01, 0], [0, 0.01]], basis: [[0, 0]]}", "a unit of length"),
        ("{vectors: [[1.7321, 0], [0.866, 1.5]], basis: [[0, 0], [0.866, 0.5]]}", "may be meant to be the same"),
        ("{vectors: [[1]], basis: [[0]], bonds: [{from: 0, to: 0, cell: [0]}]}", "joins a site to itself"),
        ("{vectors: [[1]], basis: [[0]], bonds: [{from: 0, to: 0, cell: [1], order: 2}]}", "orders from 1"),
        ("{vectors: [[1]], basis: [[0]], bonds: [{from: 0, to: 1, cell: [1]}]}", "0 to 0"),
        ("{vectors: [[1]], basis: [[0]], bonds: [{from: 0, to: 0, cell: [1]}, {from: 0, to: 0, cell: [-1]}]}", "twice"),
        ("{vectors: [[1]], basis: [[0]], bonds: [{from: 0, to: 0, cell: [1.5]}]}", "whole numbers"),
    ],
)
def test_what_is_no_unit_cell(tmp_path, text, said):
    with pytest.raises(ValueError) as error:
        read(tmp_path, text)
    line = str(error.value)
    assert said in line and line.startswith("lattice.file=") and "\n" not in line


@pytest.mark.parametrize(
    "change, name, said",
    [
        (("<LATTICES>", '<!DOCTYPE x [<!ENTITY a "b">]><LATTICES>'), None, "a document type or an entity"),
        (("</LATTICES>", ""), None, "it is not XML"),
        (("", ""), None, "valid is one of square J1-J2, kagome, J1J2, three"),
        (("", ""), "cubic", "valid is one of"),
        (("", ""), "J1J2", "2 of the LATTICEs"),
        (('ref="square"', 'ref="oblique"'), "square J1-J2", "LATTICE oblique is not in it"),
        (("a 0", "c 0"), "square J1-J2", "'c' is not a number"),
        (('offset="1 1"', 'offset="1"'), "square J1-J2", "2 whole numbers"),
        (('vertices="3"', 'vertices="4"'), "kagome", "4 vertices, and 3 of them listed"),
        (("0.5 0<", "0 0<"), "kagome", "vertices of UNITCELL three have the same coordinates"),
        (("EDGE", "GRAPH"), "J1J2", "LATTICE"),
    ],
)
def test_what_is_no_lattice_of_alps(tmp_path, change, name, said):
    with pytest.raises(ValueError) as error:
        read(tmp_path, ALPS.replace(*change) if change[0] else ALPS, name, "lattices.xml")
    assert said in str(error.value) and "\n" not in str(error.value)


def test_numbers():
    assert number("sqrt(3)/2") == math.sqrt(3) / 2 and number("-a + 2*pi", {"a": 1.0}) == 2 * math.pi - 1
    for text in (
        "__import__('os')",
        "a",
        "2**9",
        "1/0",
        "sqrt(-1)",
        "[1]",
        "True",
        "'a'",
        "(" * 70,
        "1" * 81,
        True,
        None,
    ):
        with pytest.raises(ValueError, match="is not a"):
            number(text)
