"""Sums of Pauli strings that OpenFermion, Qiskit and QuSpin wrote, against the matrices that these made of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from nqs_hpc.cli.export import export
from nqs_hpc.config.compose import checked
from nqs_hpc.config.identity import physics
from nqs_hpc.formats import openfermion, qiskit, quspin
from nqs_hpc.operators.pauli_strings import expand, read
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.types import PauliString
from tests.systems import PAULI

DATA = Path(__file__).parents[1] / "data" / "formats"
MATRICES = {name: np.array(rows) @ [1, 1j] for name, rows in json.loads((DATA / "matrices.json").read_text()).items()}


def matrix(strings, n, first_is_fastest):
    total = np.zeros((2**n, 2**n), complex)
    for coefficient, operators, sites in strings:
        letters = dict(zip(sites, operators, strict=True))
        product = np.eye(1)
        for site in range(n):
            own = PAULI[letters.get(site, "I")]
            product = np.kron(own, product) if first_is_fastest else np.kron(product, own)
        total += coefficient * product
    return total


def chain(n):
    return FACTORIES["chain"]((n,), (True,))


FILES = [
    # the file, its format, sites, whose matrix, and whether its first site is the fastest index of that
    ("qubit_operator.txt", "auto", 4, "openfermion", False),
    ("sparse_pauli_op.txt", "qiskit", 4, "qiskit", True),
    ("sparse_pauli_op_sparse.txt", "qiskit", 4, "qiskit", True),
    ("quspin.json", "quspin", 3, "quspin pauli=1", False),
    ("quspin.json", "quspin_spin", 3, "quspin pauli=0", False),
    ("quspin.json", "quspin_minus1", 3, "quspin pauli=-1", False),
]


@pytest.mark.parametrize(("name", "form", "n", "whose", "fastest"), FILES)
def test_the_matrix_is_that_of_the_other_program(name, form, n, whose, fastest):
    strings = expand(read(DATA / name, form), chain(n))
    assert np.abs(matrix(strings, n, fastest) - MATRICES[whose]).max() < 1e-15


WRITERS = {
    "auto": lambda strings, n: openfermion.qubits(strings),
    "qiskit": qiskit.written,
    "quspin": lambda strings, n: quspin.written(strings, pauli=1),
    "quspin_spin": lambda strings, n: quspin.written(strings, pauli=0),
    "quspin_minus1": lambda strings, n: quspin.written(strings, pauli=-1),
}
SUM = (
    PauliString(-1.5, "", ()),
    PauliString(0.1, "X", (0,)),
    PauliString(-1e-20, "Z", (3,)),
    PauliString(1 / 3, "ZX", (0, 2)),
    PauliString(0.25, "XYZ", (0, 1, 3)),
)


@pytest.mark.parametrize("form", WRITERS)
def test_what_is_written_comes_back(form, tmp_path):
    (tmp_path / "h.txt").write_text(WRITERS[form](SUM, 4))
    assert expand(read(tmp_path / "h.txt", form), chain(4)) == SUM


def test_coefficients_as_they_are_printed_and_dumped(tmp_path):
    numbers = ["1", "-1.5", ".5", "1e-3", "(2+0j)", "(-2-0j)", "np.complex128(3+0j)", "np.float64(0.5)", "[1.5, 0]"]
    text = "[" + ", ".join(f'["{"IX"[k % 2]}Z", {number}]' for k, number in enumerate(numbers)) + "]"
    found = qiskit.read(text, "h")
    assert [one.coefficient for one in found] == [1, -1.5, 0.5, 1e-3, 2, -2, 3, 0.5, 1.5]
    assert found[1].operators == "ZX" and found[1].sites == (0, 1)


@pytest.mark.parametrize(
    ("form", "text", "line"),
    [
        ("qiskit", "QubitOperator:\n1.0 [Z0]", "is not a list"),
        ("qiskit", "[]", "holds no terms"),
        ("qiskit", "[('ZZ', 1.0), ('XX', None)]", "term 2: \"('XX', None)]\"; valid is ('IIZZ', -1.0)"),
        ("qiskit", "[('ZZ', __import__('os'))]", "term 1: "),
        ("qiskit", "[('ZZ', 1.0) ('XX', 1.0)]", "no comma behind term 1"),
        ("qiskit", "[('Zq', 1.0)]", "'Zq' has other letters than I, X, Y, Z"),
        ("qiskit", "[('ZZ', 1e999)]", "is not a finite real number"),
        ("qiskit", "[('ZZ', (0+1j))]", "coefficient 1j is not a finite real number"),
        ("qiskit", "[('ZZ', --1)]", "has no coefficient that is a number"),
        ("qiskit", "[('ZZ', [0, 0], 1.0)]", "name one site twice"),
        ("qiskit", "[('ZZ', [0], 1.0)]", "2 operators 'ZZ' for 1 sites"),
        ("qiskit", "[('ZZZ', 1.0)]", "'ZZZ' has 3 letters, and there are 4 sites"),
        ("qiskit", "[('ZZ', [0, 9], 1.0)]", "site 9 is not one of the 4 sites"),
        ("quspin", "[['zz'", "is not JSON"),
        ("quspin", "{}", "is not a list of QuSpin"),
        ("quspin", '[["zz"]]', "entry 1: ['zz']; valid is"),
        ("quspin", '[["zn", [[1.0, 0, 1]]]]', "'zn' has the letter 'n'"),
        ("quspin", '[["z|z", [[1.0, 0, 1]]]]', "has the letter '|'"),
        ("quspin", '[["zz", [[1.0, 0]]]]', "[1.0, 0] is not a coupling and 2 sites"),
        ("quspin", '[["zz", [[1.0, 0, 1.5]]]]', "sites that are not whole numbers"),
        ("quspin", '[["zz", [[true, 0, 1]]]]', "the coupling True is not a number"),
        ("quspin", '[["zz", [[NaN, 0, 1]]]]', "the coupling nan is not a number"),
        ("quspin", '[["+-", [[1.0, 0, 1]]]]', "the sum is not Hermitian: its coefficient of "),
        ("quspin", '[["z", [[[1.0, 0.5], 0]]]]', "its coefficient of Z0 is (1+0.5j)"),
        ("quspin", '[["zz", [[1.0, 0, 4]]]]', "site 4 is not one of the 4 sites"),
        ("quspin", '[["++++++++++++++", [[1.0, 0]]]]', "at most 12 of + and -"),
        ("auto", '[["zz", [[1.0, 0, 4]]]]', "looks like a list of Qiskit or QuSpin"),
        ("auto", "FermionOperator:\n1.0 [0^ 0]", "line 1"),
    ],
)
def test_what_is_none_ends_in_one_line(form, text, line, tmp_path):
    path = tmp_path / "h.txt"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        expand(read(path, form), chain(4))
    said = str(caught.value)
    assert line in said and "h.txt" in said and "\n" not in said


def test_products_on_one_site_and_complex_couplings():
    """x y = i z, and s+ s- + s- s+ = 4 with QuSpin's pauli=1."""
    found = quspin.read('[["xy", [[[0, -1], 2, 2]]], ["+-", [[0.5, 0, 0]]], ["-+", [[0.5, 0, 0]]]]', "h", pauli=1)
    assert {(one.operators, one.sites): one.coefficient for one in found} == {("Z", (2,)): 1.0, ("", ()): 2.0}


# --- as commands ---


@pytest.mark.parametrize("option", ["--openfermion", "--qiskit", "--quspin", "--quspin-spin"])
def test_an_exported_hamiltonian_is_the_same_again(option, tmp_path, capsys):
    path = tmp_path / "h.txt"
    assert export(["lattice.length=6", "hamiltonian=heisenberg", "hamiltonian.h=0.5", option, str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    form = {"--openfermion": "auto", "--quspin-spin": "quspin_spin"}.get(option, option[2:])
    strings = expand(read(path, form), chain(6))
    expected = [PauliString(0.25, ab, (i, (i + 1) % 6)) for i in range(6) for ab in ("XX", "YY", "ZZ")]
    expected += [PauliString(-0.25, "Z", (i,)) for i in range(6)]
    assert np.abs(matrix(strings, 6, True) - matrix(expected, 6, True)).max() < 1e-15
    words = ["lattice.length=6", "hamiltonian=pauli", f"hamiltonian.file={path}", f"hamiltonian.format={form}"]
    assert checked(words, 1).hamiltonian.terms == strings


def test_the_format_is_not_the_physics(tmp_path):
    path = tmp_path / "h.txt"
    path.write_text('[["ZZ", 1.0], ["XI", 0.5]]')
    config = checked(
        ["lattice.length=2", "hamiltonian=pauli", f"hamiltonian.file={path}", "hamiltonian.format=qiskit"], 1
    )
    lines = checked(["lattice.length=2", "hamiltonian=pauli", "hamiltonian.terms=['1.0 Z0 Z1', '0.5 X1']"], 1)
    assert physics(config) == physics(lines)


def test_what_is_no_sum_of_strings_is_refused(tmp_path, capsys):
    words = ["lattice.length=4", "hamiltonian=bose_hubbard", "--qiskit", str(tmp_path / "h")]
    assert export(words) == 2 and not (tmp_path / "h").exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert "hamiltonian=bose_hubbard cannot be written in Pauli strings" in line and line.startswith("--qiskit")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "export writes nothing without one of"),
        (["--qiskit"], "--qiskit needs a file behind it"),
        (["--quskit", "h"], "--quskit is not an option of export; valid: --parameters, "),
        (
            ["lattice.length=4", "--qiskit", "nowhere/h"],
            "nowhere/h is not valid; valid: a file in a folder that is there",
        ),
        (
            ["lattice.length=4", "--step", "3", "--qiskit", "h"],
            "--step 3 is not valid; valid: with the folder of a run",
        ),
        (["lattice.length=4", "--step", "x", "--qiskit", "h"], "--step x is not valid"),
        (["nowhere", "--qiskit", "h"], "nowhere does not exist; valid: the folder of a run"),
        (["lattice.length=4", "--parameters", "h.safetensors"], "valid: with the folder of a run"),
        (["lattice.lenth=4", "--qiskit", "h"], "lattice.lenth=4 is not valid"),
    ],
)
def test_bad_input_is_one_line(words, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert export(words) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said and not list(tmp_path.iterdir())
