import jax
import numpy as np
import pytest

from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES, neighbours
from nqs_hpc.types import PauliString


def random_strings(n, count, seed):
    rng = np.random.default_rng(seed)
    strings = []
    for _ in range(count):
        sites = rng.permutation(n)[: rng.integers(0, n + 1)]
        letters = "".join(rng.choice(list("XYYZ"), size=len(sites)))
        strings.append(PauliString(float(rng.normal()), letters, tuple(sites.tolist())))
    return strings


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_strings_are_kronecker_products(kron, seed):
    n = 5
    strings = random_strings(n, 60, seed)
    dense = sum(c * kron(n, operators, sites) for c, operators, sites in strings)
    operator = pauli(n, strings)
    matrix = sparse_matrix(operator, spin_half(n)).toarray()
    assert not operator.is_real and matrix.dtype == np.complex128
    np.testing.assert_allclose(matrix, dense, rtol=0, atol=1e-12 * np.abs(dense).max())
    np.testing.assert_allclose(matrix, matrix.conj().T, rtol=0, atol=1e-12)
    np.testing.assert_allclose(operator.e_infinity, np.trace(dense).real / 2**n, rtol=0, atol=1e-12)
    assert abs(operator.e_infinity) > 0.01  # there are constants among the strings


@pytest.mark.parametrize(
    ("operators", "is_real"),
    [
        ("Y", False),
        ("YY", True),
        ("YZY", True),
        ("YYY", False),
        ("YYYY", True),
        ("ZYX", False),
        ("", True),
        ("ZZ", True),
    ],
)
def test_one_string_with_its_phase(kron, operators, is_real):
    sites = (3, 1, 0, 2)[: len(operators)]
    operator = pauli(4, [PauliString(0.7, operators, sites)])
    matrix = sparse_matrix(operator, spin_half(4))
    assert operator.is_real == is_real == (matrix.dtype == np.float64)
    np.testing.assert_allclose(matrix.toarray(), 0.7 * kron(4, operators, sites), rtol=0, atol=1e-15)


def test_strings_with_one_flip_set_are_one_move_and_a_vanishing_sum_moves_nothing():
    # equal but for rounding: 0.1 + 0.2 against 0.3
    strings = [PauliString(0.1, "XX", (0, 1)), PauliString(0.2, "XX", (0, 1)), PauliString(0.3, "YY", (0, 1))]
    operator = pauli(3, [*strings, PauliString(1.0, "Z", (2,))])
    assert operator.n_connected == 1
    connected = jax.jit(operator.connected)
    for s in ([1, 1, 1], [-1, -1, 1], [1, -1, 1], [-1, 1, -1]):
        moves, elements = connected(np.array(s, dtype=np.int8))
        if s[0] == s[1]:
            assert elements[0] == 0 and not moves.deltas.any()
        else:
            np.testing.assert_allclose(elements, [0.6], rtol=1e-15)
            np.testing.assert_array_equal(moves.deltas, [[-2 * s[0], -2 * s[1]]])


def test_agrees_with_ising_and_heisenberg():
    lattice = FACTORIES["square"]((2, 3), (False, True))
    n, edges = lattice.n_sites, neighbours(lattice, 1)
    bonds = [tuple(edge) for edge in edges.tolist()]
    field = [PauliString(c, letter, (i,)) for c, letter in ((-1.7, "X"), (0.2, "Z")) for i in range(n)]
    strings = [PauliString(-1.0, "ZZ", bond) for bond in bonds] + field
    difference = sparse_matrix(pauli(n, strings), spin_half(n)) - sparse_matrix(
        ising(n, edges, J=1.0, h=1.7, g=-0.2), spin_half(n)
    )
    assert abs(difference).max() < 1e-12
    # in a sector, where nothing may lead out
    strings = [
        PauliString(c / 4, letters, bond) for bond in bonds for letters, c in (("XX", 1), ("YY", 1), ("ZZ", 0.4))
    ]
    operator, space = heisenberg(n, [edges], [1.0], delta=0.4), spin_half(n, 0)
    assert pauli(n, strings).n_connected == operator.n_connected
    assert abs(sparse_matrix(pauli(n, strings), space) - sparse_matrix(operator, space)).max() < 1e-12


def test_signs_of_strings_longer_than_a_word():
    n, rng = 100, np.random.default_rng(3)
    strings = []
    for _ in range(40):
        sites = tuple(sorted(rng.choice(n, size=rng.integers(2, 90), replace=False).tolist()))
        strings.append(
            PauliString(float(rng.normal()), "Y" + "Z" * (len(sites) - 2) + "Y", sites)
        )  # Jordan-Wigner hops
    operator = pauli(n, strings)
    flips = sorted({(sites[0], sites[-1]) for _, _, sites in strings})
    connected = jax.jit(operator.connected)
    for _ in range(5):
        s = rng.choice([-1, 1], size=n).astype(np.int8)
        moves, elements = connected(s)
        assert moves.sites.tolist() == [list(pair) for pair in flips]
        for pair, element in zip(flips, elements, strict=True):
            expected = sum(-c * np.prod(s[list(sites)]) for c, _, sites in strings if (sites[0], sites[-1]) == pair)
            np.testing.assert_allclose(element, expected, rtol=1e-12)
