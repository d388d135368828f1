"""Bonds that count by a weight, or as often as a torus joins two sites, against sums written out by hand."""

import numpy as np
import pytest

from nqs_hpc.config.compose import checked, from_plain, hamiltonian
from nqs_hpc.config.identity import physics, run_name, to_plain
from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.system.lattice import FACTORIES, bond_weights, neighbours
from tests.systems import dense, dense_bosons


def matrix_of(words, total=None):
    config = checked(words, 1)
    lattice = config.make_sites()
    operator = config.hamiltonian.operator(lattice)
    return sparse_matrix(operator, config.hamiltonian.space(lattice.n_sites, total)).toarray()


def torus_bonds(extent, vectors):
    """Every bond of a square or triangular torus as a sum over sites and directions names it, repeats included."""
    sites = [(x, y) for y in range(extent[1]) for x in range(extent[0])]
    number = {site: k for k, site in enumerate(sites)}
    moved = [((x, y), ((x + a) % extent[0], (y + b) % extent[1])) for x, y in sites for a, b in vectors]
    return [(number[here], number[there]) for here, there in moved]


def spins(n, bonds, letters, coefficient):
    return [(c * coefficient, {i: a, j: a}) for i, j, c in bonds for a in letters]


SQUARE = [(1, 0), (0, 1)]
TORI = [
    ("square", (2, 2), SQUARE),
    ("square", (2, 3), SQUARE),
    ("triangular", (2, 2), [(1, 0), (0, 1), (-1, 1)]),
    ("triangular", (2, 3), [(1, 0), (0, 1), (-1, 1)]),
]


@pytest.mark.parametrize(("name", "extent", "vectors"), TORI)
def test_double_bonds_are_a_sum_over_sites_and_directions(name, extent, vectors):
    bonds = [(i, j, 1.0) for i, j in torus_bonds(extent, vectors)]
    n = extent[0] * extent[1]
    words = [f"lattice={name}", f"lattice.extent={list(extent)}", "lattice.double_bonds=true"]
    field = [(-0.7, {i: "X"}) for i in range(n)]
    want = dense(n, [*spins(n, bonds, "Z", -1.0), *field]).real
    np.testing.assert_allclose(matrix_of([*words, "hamiltonian.h=0.7"]), want, atol=1e-12)
    heisenberg = dense(n, spins(n, bonds, "XYZ", 0.25)).real
    got = matrix_of([*words, "hamiltonian=heisenberg", "hamiltonian.marshall=false"])
    np.testing.assert_allclose(got, heisenberg, atol=1e-12)
    bond, of_site = "{coefficient: -1, operators: ZZ, neighbours: 1}", "{coefficient: -0.7, operators: X, sites: all}"
    terms = f"hamiltonian.terms=[{bond}, {of_site}]"
    np.testing.assert_allclose(matrix_of([*words, "hamiltonian=pauli", terms]), want, atol=1e-12)


def test_double_bonds_of_bosons():
    bonds = torus_bonds((2, 2), SQUARE)
    words = ["lattice=square", "lattice.length=2", "lattice.double_bonds=true", "hamiltonian=bose_hubbard"]
    got = matrix_of([*words, "hamiltonian.n_max=2", "hamiltonian.U=3", "hamiltonian.J=0.8", "hamiltonian.mu=0.1"])
    np.testing.assert_allclose(got, dense_bosons(4, bonds, 2, J=0.8, U=3, mu=0.1), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "extent", "order", "counts"),
    [
        ("chain", (2,), 1, [2]),
        ("chain", (4,), 1, None),
        ("chain", (4,), 2, [2, 2]),
        ("square", (2, 4), 1, "sides"),
        ("triangular", (2, 2), 1, [2] * 6),
        ("cubic", (2, 2, 2), 1, [2] * 12),
        ("honeycomb", (2, 2), 1, None),
        ("kagome", (2, 2), 1, None),
    ],
)
def test_how_often_bonds_count(name, extent, order, counts):
    lattice = FACTORIES[name](extent, (True,) * len(extent))
    assert bond_weights(lattice, order) is None
    weights = bond_weights(lattice._replace(double_bonds=True), order)
    pairs = neighbours(lattice, order)
    if counts is None:
        assert weights is None
    elif counts == "sides":  # site = x + 2 y, so the two of a short side are next to each other
        assert weights.tolist() == [2 if (i % 2 == 0 and j == i + 1) else 1 for i, j in pairs.tolist()]
    else:
        assert weights.tolist() == counts
    one_open = FACTORIES[name](extent, (False,) * len(extent))._replace(double_bonds=True)
    assert bond_weights(one_open, 1) is None


def test_single_bonds_are_the_default_and_no_physics():
    config = checked(["lattice=square", "lattice.extent=[2,3]"], 1)
    assert "double_bonds" not in physics(config)["lattice"]
    doubled = checked(["lattice=square", "lattice.extent=[2,3]", "lattice.double_bonds=true"], 1)
    assert physics(doubled)["lattice"]["double_bonds"] is True and run_name(doubled) != run_name(config)
    old = to_plain(config)
    del old["lattice"]["double_bonds"]  # config.yaml of a version before the key
    assert run_name(from_plain(old)) == run_name(config)


@pytest.fixture(scope="module")
def weighted(tmp_path_factory):
    """Five sites in a ring with a chord, couplings of both signs, counted from 1."""
    path = tmp_path_factory.mktemp("weights") / "w.txt"
    bonds = [(0, 1, 0.5), (2, 1, -1.25), (2, 3, 2.0), (3, 4, 1.0), (4, 0, 0.3), (1, 3, -0.7)]
    path.write_text("".join(f"{i + 1}\t{j + 1}\t{w}\n" for i, j, w in bonds))
    words = ["lattice=edges", f"lattice.file={path}", "lattice.third_column=weight", "lattice.first_site=1"]
    return words, bonds


def test_weights_are_factors_of_couplings(weighted):
    words, bonds = weighted
    field = [(-0.7, {i: "X"}) for i in range(5)] + [(-0.2, {i: "Z"}) for i in range(5)]
    want = dense(5, [*spins(5, bonds, "Z", -1.5), *field]).real
    got = matrix_of([*words, "hamiltonian.J=1.5", "hamiltonian.h=0.7", "hamiltonian.g=0.2"])
    np.testing.assert_allclose(got, want, atol=1e-12)
    got = matrix_of([*words, "hamiltonian=heisenberg", "hamiltonian.J=2", "hamiltonian.delta=0.5"])
    want = dense(5, [*spins(5, bonds, "XY", 0.5), *spins(5, bonds, "Z", 0.25)]).real
    np.testing.assert_allclose(got, want, atol=1e-12)
    terms = "hamiltonian.terms=[{coefficient: 2, operators: XX, neighbours: 1}]"
    np.testing.assert_allclose(
        matrix_of([*words, "hamiltonian=pauli", terms]), dense(5, spins(5, bonds, "X", 2.0)).real, atol=1e-12
    )
    got = matrix_of([*words, "hamiltonian=bose_hubbard", "hamiltonian.n_max=1", "hamiltonian.J=0.8"])
    hops = sum(dense_bosons(5, [(i, j)], 1, J=0.8 * w, U=0, mu=0) for i, j, w in bonds)
    np.testing.assert_allclose(got, hops, atol=1e-12)


def test_weights_are_physics_and_outlive_their_file(weighted, tmp_path):
    words, bonds = weighted
    config = checked(words, 1)
    assert dict(zip(config.lattice.edges, config.lattice.weights, strict=True)) == {
        (min(i, j), max(i, j), 1): w for i, j, w in bonds
    }
    again = from_plain(to_plain(config) | {"lattice": to_plain(config)["lattice"] | {"file": "gone.txt"}})
    assert physics(again) == physics(config) and run_name(again) == run_name(config)
    np.testing.assert_array_equal(bond_weights(again.make_sites(), 1), bond_weights(config.make_sites(), 1))
    other = tmp_path / "w.txt"
    other.write_text("".join(f"{i + 1} {j + 1} {w + (i == 3)}\n" for i, j, w in bonds))
    assert run_name(checked([*words[:1], f"lattice.file={other}", *words[2:]], 1)) != run_name(config)
    assert checked([*words, "hamiltonian=heisenberg"], 1).hamiltonian.marshall is False  # J_ij of both signs


def test_marshall_follows_the_signs_of_all_couplings(tmp_path):
    path = tmp_path / "w.txt"
    words = ["lattice=edges", f"lattice.file={path}", "lattice.third_column=weight", "hamiltonian=heisenberg"]
    for sign, J, on in ((1, 1, True), (-1, 1, False), (-1, -1, True), (1, -1, False)):
        path.write_text("".join(f"{i} {(i + 1) % 4} {sign * (i + 1)}\n" for i in range(4)))
        assert checked([*words, f"hamiltonian.J={J}"], 1).hamiltonian.marshall is on


def test_a_mapping_in_a_notebook_takes_the_weights(weighted):
    words, bonds = weighted
    lattice = checked(words, 1).make_sites()
    operator = hamiltonian({"name": "ising", "h": 0.0}, lattice).operator(lattice)
    s = np.array([1, -1, 1, 1, -1], dtype=np.int8)
    assert float(operator.diagonal(s)) == pytest.approx(-sum(w * s[i] * s[j] for i, j, w in bonds))


def test_a_constant_moves_the_energy_and_what_it_is_measured_from():
    """E, the reference and the energy at infinite temperature move alike, so that the V-score stays."""
    words = ["lattice.length=4", "hamiltonian=pauli"]
    found = []
    lines = "'-1 Z0 Z1','-0.5 X0','-1 Z2 Z3','1 X1 X2'"
    for one in ("", ",'-1.5 I0'", ",{coefficient: -1.5, operators: I}", ",'(-1.5+0j) [] +'", ",'-1.5 IIII'"):
        config = checked([*words, f"hamiltonian.terms=[{lines}{one}]"], 1)
        lattice = config.make_sites()
        operator = config.hamiltonian.operator(lattice)
        energy = lowest_states(operator, config.hamiltonian.space(4, None))[0][0]
        found.append((energy, operator.e_infinity))
        assert from_plain(to_plain(config)).hamiltonian.operator(lattice).e_infinity == operator.e_infinity
    plain = found[0]
    terms = [(-1.0, {0: "Z", 1: "Z"}), (-0.5, {0: "X"}), (-1.0, {2: "Z", 3: "Z"}), (1.0, {1: "X", 2: "X"})]
    assert plain == pytest.approx((np.linalg.eigvalsh(dense(4, terms))[0], 0.0), abs=1e-12)
    for shifted in found[1:]:
        assert shifted == pytest.approx((plain[0] - 1.5, -1.5), abs=1e-12)
