"""Pauli strings: what users may write, what it expands to, and what it conserves, against dense matrices."""

from functools import reduce

import numpy as np
import pytest

from nqs_hpc.config.compose import checked, from_plain
from nqs_hpc.config.identity import to_plain
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.operators.pauli_strings import PauliString, conserves_magnetisation, expand, read
from nqs_hpc.operators.xyz import xyz_strings
from nqs_hpc.system.lattice import FACTORIES, edges_lattice

RING = FACTORIES["chain"]((4,), (True,))
PAULI = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def dense(strings, n=4):
    """The matrix of a sum, by Kronecker products with site 0 first."""
    total = np.zeros((2**n, 2**n), dtype=complex)
    for coefficient, operators, sites in strings:
        letters = dict(zip(sites, operators, strict=True))
        total += coefficient * reduce(np.kron, [PAULI[letters.get(i, "I")] for i in range(n)])
    return total


def test_expand():
    assert expand([{"coefficient": 2, "operators": "YX", "sites": [3, 1]}], RING) == (PauliString(2.0, "XY", (1, 3)),)
    strings = expand(
        [
            {"coefficient": -1.0, "operators": "ZZ", "neighbours": 1},
            {"coefficient": "1e-3", "operators": "X", "sites": "all"},
        ],
        RING,
    )
    fields = [PauliString(0.001, "X", (i,)) for i in range(4)]
    bonds = [PauliString(-1.0, "ZZ", bond) for bond in [(0, 1), (0, 3), (1, 2), (2, 3)]]
    assert strings == (*fields, *bonds)


def test_equal_strings_merge_and_vanishing_ones_go():
    terms = [(0.1, "ZX", [2, 0]), (0.2, "XZ", [0, 2]), (0.1, "Y", [1]), (0.2, "Y", [1]), (-0.3, "Y", [1])]
    entries = [{"coefficient": c, "operators": p, "sites": s} for c, p, s in terms]
    ((coefficient, operators, sites),) = expand(entries, RING)
    assert (operators, sites) == ("XZ", (0, 2)) and abs(coefficient - 0.3) < 1e-15
    with pytest.raises(ValueError, match="add up to nothing"):
        expand(entries[2:], RING)


def test_files(tmp_path):
    (tmp_path / "h.txt").write_text("# H\n-1.0 Z0 Z1\n\n 5e-1 X3  # field\n+2 Y2 X0 Z1\n")
    (tmp_path / "h.yml").write_text(
        "- {coefficient: 0.5, operators: X, sites: [3]}\n"
        "- {coefficient: -1, operators: ZZ, sites: [0, 1]}\n"
        "- {coefficient: 2e0, operators: XZY, sites: [0, 1, 2]}\n"
    )
    expected = (PauliString(0.5, "X", (3,)), PauliString(-1.0, "ZZ", (0, 1)), PauliString(2.0, "XZY", (0, 1, 2)))
    assert expand(read(tmp_path / "h.txt"), RING) == expand(read(str(tmp_path / "h.yml")), RING) == expected


BAD_LINES = {
    "1.0 Z0 Q1": "line 2: 'Q1'",
    "1.0 Z": "line 2: 'Z'",
    "1.0 z0": "line 2: 'z0'",
    "Z0 Z1": "line 2: the coefficient is missing before 'Z0'",
    "1.0j Z0": "line 2: coefficient '1.0j'",
    "nan Z0": "line 2: coefficient 'nan'",
    "1.0": "line 2: no operators",
    "1.0 Z1 X1": "line 2: sites [1, 1] name one site twice",
    "1.0 Z0 Z4": "line 2: site 4 is not one of the 4 sites 0 to 3",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_lines(line, tmp_path):
    file = tmp_path / "h.txt"
    file.write_text(f"1.0 Z0\n{line}\n")
    with pytest.raises(ValueError) as caught:
        expand(read(file), RING)
    assert str(caught.value).startswith(f"{file}, {BAD_LINES[line]}") and "\n" not in str(caught.value)


BAD_TERMS = [
    (3, "3 is not a mapping"),
    ({"coefficient": 1, "operators": "Z"}, "either sites or neighbours"),
    ({"coefficient": 1, "operators": "ZZ", "sites": [0, 1], "neighbours": 1}, "either sites or neighbours"),
    ({"coefficient": 1, "operators": "Z", "site": [0]}, "unknown key 'site'"),
    ({"operators": "Z", "sites": [0]}, "coefficient is missing"),
    ({"coefficient": True, "operators": "Z", "sites": [0]}, "coefficient True"),
    ({"coefficient": [1], "operators": "Z", "sites": [0]}, "coefficient [1]"),
    ({"coefficient": 1, "operators": "ZA", "sites": [0, 1]}, "operators 'ZA'"),
    ({"coefficient": 1, "operators": "", "sites": []}, "operators ''"),
    ({"coefficient": 1, "operators": "ZZ", "sites": [0]}, "2 operators 'ZZ' for 1 sites"),
    ({"coefficient": 1, "operators": "Z", "sites": [-1]}, "sites [-1]"),
    ({"coefficient": 1, "operators": "Z", "sites": [True]}, "sites [True]"),
    ({"coefficient": 1, "operators": "Z", "sites": "every"}, "sites 'every'"),
    ({"coefficient": 1, "operators": "ZZ", "sites": "all"}, "one letter"),
    ({"coefficient": 1, "operators": "XY", "neighbours": 1}, "XX, YY or ZZ, or any two with direction: all"),
    ({"coefficient": 1, "operators": "XY", "sites": [0, 1], "direction": "all"}, "with neighbours: ORDER"),
    ({"coefficient": 1, "operators": "XI", "neighbours": 1, "direction": "all"}, "two of X, Y, Z"),
    ({"coefficient": 1, "operators": "XY", "neighbours": 1, "direction": 0}, "direction 0"),
    ({"coefficient": 1, "operators": "XY", "neighbours": 1, "direction": 2}, "valid is all, or 1 to 1"),
    ({"coefficient": 1, "operators": "XY", "neighbours": 4, "direction": "all"}, "neighbour order 4"),
    ({"coefficient": 1, "operators": "ZZ", "neighbours": 0}, "neighbours 0"),
    ({"coefficient": 1, "operators": "ZZ", "neighbours": 4}, "neighbour order 4"),
]


@pytest.mark.parametrize(("term", "message"), BAD_TERMS)
def test_bad_terms(term, message):
    with pytest.raises(ValueError) as caught:
        expand([{"coefficient": 1, "operators": "X", "sites": "all"}, term], RING)
    assert str(caught.value).startswith("term 2: ") and message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "# nothing\n", "holds no terms"),
        ("a.yaml", "a: 1\n", "not a list"),
        ("a.yaml", "- {a: [\n", "not YAML"),
        ("a.yaml", "[]\n", "holds no terms"),
        ("a.yaml", "- 1\n", "term 1: 1 is not a mapping"),
    ],
)
def test_bad_files(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError) as caught:
        read(tmp_path / name)
    assert message in str(caught.value) and str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"missing\.txt cannot be read \(No such file"):
        read(tmp_path / "missing.txt")


@pytest.mark.parametrize("direction", ["all", 1, 2])
def test_bonds_with_a_sense_are_those_of_moriyas_vector(direction):
    """D . (S_i x S_j) of `xyz`, S = sigma / 2, on all nearest neighbours or on those along one direction."""
    lattice, D = FACTORIES["square"]((3, 2), (True, False)), (0.3, -0.2, 0.7)
    nowhere = (0.0, 0.0, 0.0)
    vectors = {"all": (D,), 1: (D, nowhere), 2: (nowhere, D)}[direction]
    cross = zip(("YZ", "ZY", "ZX", "XZ", "XY", "YX"), np.repeat(D, 2) * ([1, -1] * 3), strict=True)
    terms = [{"coefficient": c / 4, "operators": p, "neighbours": 1, "direction": direction} for p, c in cross]
    found = expand(terms, lattice)
    assert len(found) == 6 * {"all": 9, 1: 6, 2: 3}[direction]
    wanted = dense(xyz_strings(lattice, ((0.0,),) * 3, D=vectors), 6)
    np.testing.assert_allclose(dense(found, 6), wanted, rtol=0, atol=1e-14)


def test_the_sense_of_a_file_is_of_the_hamiltonian(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "triangle.txt").write_text("0 1\n2 1\n2 0\n", encoding="utf-8")
    lattice = edges_lattice(None, {1: [(0, 1), (2, 1), (2, 0)]})
    term = {"coefficient": 0.5, "operators": "XY", "neighbours": 1, "direction": "all"}
    wanted = [PauliString(0.5, "XY", (0, 1)), PauliString(0.5, "YX", (0, 2)), PauliString(0.5, "YX", (1, 2))]
    assert expand([term], lattice, knows_sense=True) == tuple(wanted)
    words = ["lattice=edges", "lattice.file=triangle.txt", "hamiltonian=pauli", "ansatz.dtype=complex"]
    of = "[{coefficient: 0.5, operators: XY, neighbours: 1, direction: all}]"
    config = checked([*words, f"hamiltonian.terms={of}"], 1)
    assert config.hamiltonian.terms == tuple(wanted)
    assert from_plain(to_plain(config)).hamiltonian == config.hamiltonian
    with pytest.raises(InputError, match=r"direction with lattice=edges is of hamiltonian.terms alone"):
        checked([*words[:2], f"observables.flow={{name: pauli, terms: {of}}}"], 1)


def _swap(i, j, scale):
    """Letters that together conserve the magnetisation: XX + YY, and XY - YX with the sign of a current."""
    return [PauliString(scale, "XX", (i, j)), PauliString(scale, "YY", (i, j))]


def _random_sums():
    rng = np.random.default_rng(3)
    for _ in range(60):
        strings = []
        for _ in range(rng.integers(1, 4)):
            i, j, k = (int(site) for site in rng.permutation(4)[:3])
            scale = float(rng.normal())
            kind = rng.integers(0, 5)
            if kind == 0:
                strings += _swap(i, j, scale)
            elif kind == 1:
                strings += [PauliString(scale, "XY", (i, j)), PauliString(-scale, "YX", (i, j))]
            elif kind == 2:
                strings += [
                    PauliString(one.coefficient, one.operators + "Z", (*one.sites, k)) for one in _swap(i, j, scale)
                ]
            elif kind == 3:
                strings.append(PauliString(scale, "ZZ", (i, j)))
            else:
                strings.append(PauliString(scale, "".join(rng.choice(list("XYZ"), size=2)), (i, j)))
        yield expand([{"coefficient": c, "operators": p, "sites": s} for c, p, s in strings], RING)


def test_conserves_magnetisation_against_dense_matrices():
    total_z = dense([PauliString(1.0, "Z", (i,)) for i in range(4)])
    found = []
    for strings in _random_sums():
        matrix = dense(strings)
        truth = np.abs(matrix @ total_z - total_z @ matrix).max() < 1e-12
        assert conserves_magnetisation(strings) == truth, strings
        found.append(truth)
    assert 10 < sum(found) < 50  # both answers occur


def test_current_and_pair_terms():
    assert conserves_magnetisation([PauliString(1.0, "XY", (0, 1)), PauliString(-1.0, "YX", (0, 1))])
    assert not conserves_magnetisation([PauliString(1.0, "XY", (0, 1)), PauliString(1.0, "YX", (0, 1))])
    assert not conserves_magnetisation([PauliString(1.0, "XX", (0, 1)), PauliString(0.999, "YY", (0, 1))])


ONE_SUM = {
    "letters and sites": "-1.0 Z0 Z1\n0.5 X2\n2 I\n",
    "identities written out": "-1.0 I3 Z0 Z1\n0.5 X2 I0\n2 I0\n",
    "a letter a site": "-1.0 ZZII\n0.5 IIXI\n2 IIII\n",
    "of OpenFermion": "(-1+0j) [Z0 Z1] +\n0.5 [X2] +\n2.0 []\n",
    "a byte-order mark": "\ufeff-1.0 Z0 Z1  # bond\r\n0.5 X2\r\n\r\n2 I\r\n",
}


@pytest.mark.parametrize("name", ONE_SUM)
def test_one_grammar_of_files_terms_and_observables(name, tmp_path):
    expected = (PauliString(2.0, "", ()), PauliString(0.5, "X", (2,)), PauliString(-1.0, "ZZ", (0, 1)))
    (tmp_path / "h.txt").write_bytes(ONE_SUM[name].encode())
    assert expand(read(tmp_path / "h.txt"), RING) == expected
    lines = [line for line in ONE_SUM[name].lstrip("\ufeff").splitlines() if line]
    assert expand(lines, RING) == expected  # as hamiltonian.terms and as the argument of expect
    (tmp_path / "h.yaml").write_text("\ufeff" + "".join(f'- "{line}"\n' for line in lines), encoding="utf-8")
    assert expand(read(tmp_path / "h.yaml"), RING) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-1.5", "no operators in '-1.5'; valid is .* or -1.5 I for a constant"),
        ("Z0 Z5", "the coefficient is missing before 'Z0'; valid is a coefficient and operators, like -1.0 Z0 Z1"),
        ("ZZII", "no operators in 'ZZII'; valid is a coefficient and operators"),
        ("-1.0 ZZ", "'ZZ' has 2 letters, and there are 4 sites; valid is .*like Z0 Z1"),
        ("-1.0 ZZIIZ", "'ZZIIZ' has 5 letters"),
        ("(0.5+1j) Z0", "coefficient '\\(0.5\\+1j\\)' is not a finite real number"),
        ("1_0 Z0", "coefficient '1_0'"),
        ("(nan+0j) Z0", "coefficient"),
        ("1.0 Z0 Z0", "name one site twice"),
        ("1.0 z0 z1", "'z0' is not a letter .*like Z0"),
        ("1.0 Z0, Z1", "'Z0,' is not"),
        ("1.0 Z0*Z1", "'Z0\\*Z1' is not"),
        ("1.0 * Z0 Z1", "'\\*' is not"),
        ("1.0 X_0", "'X_0' is not"),
        ("1.0 X(0)", "'X\\(0\\)' is not"),
        ("1.0 sigma^x_1", "'sigma\\^x_1' is not"),
        ("0.5*Z0", "no operators in '0.5\\*Z0'"),
        ('("ZZ", [0, 1], -1.0)', "coefficient"),
        ("-1.0 [0^ 1]", "'0\\^' is not"),
        ("-1.0 [Z0 Z1", "'\\[Z0' is not"),
        ("-1.0 I9", "site 9 is not one of the 4 sites"),
        ("1.0 Z" + "9" * 5000, "is not a letter"),
    ],
)
def test_other_notations_are_refused_with_the_form(line, message, tmp_path):
    (tmp_path / "h.txt").write_text(f"1.0 X0\n{line}\n")
    with pytest.raises(ValueError, match=f"h.txt, line 2: .*{message}") as caught:
        expand(read(tmp_path / "h.txt"), RING)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < len(str(tmp_path)) + 300
    with pytest.raises(ValueError, match=f"term 1: .*{message}"):
        expand([line], RING)


def test_a_sum_that_is_a_constant_is_no_hamiltonian():
    for terms in ("['1 I']", "['2 I0','1 IIII']"):
        with pytest.raises(InputError, match=r"^hamiltonian\.terms=.*add up to a constant"):
            checked(["lattice.length=4", "hamiltonian=pauli", f"hamiltonian.terms={terms}"], 1)
