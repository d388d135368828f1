"""Fermion operators against matrices made of Kronecker products: Jordan-Wigner strings, bounds, terms as text."""

import numpy as np
import pytest

from nqs_hpc.system import fermion_terms
from nqs_hpc.system.fermion_bounds import bounds
from nqs_hpc.system.fermion_strings import FermionString, NotHermitian, hop, jordan_wigner, number, written
from nqs_hpc.system.fermion_terms import Integral, equal_ones, merged, strings_of, term
from tests.systems import dense_fermions, dense_modes

Z = np.diag([1.0, -1.0])
MATRICES = {"X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": Z, "I": np.eye(2)}


def dense_paulis(n_modes, strings):
    """An occupied mode is Z = -1."""
    total = np.zeros((2**n_modes, 2**n_modes), complex)
    for coefficient, letters, sites in strings:
        named = dict(zip(sites, letters, strict=True))
        matrix = np.eye(1)
        for mode in range(n_modes):
            matrix = np.kron(MATRICES[named.get(mode, "I")], matrix)
        total += coefficient * matrix
    return total


def dense_strings(n_modes, strings):
    return dense_fermions(n_modes, [(c, list(operators)) for c, operators in strings])


def random_strings(rng, n_modes, count):
    """Hermitian: each product of two or four operators, any of them creating, with its conjugate."""
    found = [FermionString(0.7, ())]
    for _ in range(count):
        size = int(rng.choice([2, 4]))
        operators = tuple(
            (int(mode), bool(creates))
            for mode, creates in zip(rng.integers(0, n_modes, size), rng.integers(0, 2, size), strict=True)
        )
        c = complex(rng.normal(), rng.normal())
        found += [
            FermionString(c, operators),
            FermionString(c.conjugate(), tuple((mode, not creates) for mode, creates in reversed(operators))),
        ]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_random_sums_are_their_matrices(seed):
    rng = np.random.default_rng(seed)
    strings = random_strings(rng, 6, 8)
    matrix = dense_strings(6, strings)
    assert np.abs(matrix - matrix.conj().T).max() < 1e-13
    assert np.abs(dense_paulis(6, jordan_wigner(strings)) - matrix).max() < 1e-13
    levels, (low, high) = np.linalg.eigvalsh(matrix), bounds(strings, 6)
    assert low <= levels[0] + 1e-12 and levels[-1] - 1e-12 <= high


def test_the_matrices_anticommute():
    lower = dense_modes(4)
    for i, a in enumerate(lower):
        for j, b in enumerate(lower):
            assert np.array_equal(a @ b.T + b.T @ a, np.eye(16) * (i == j)) and not (a @ b + b @ a).any()


def test_bounds_that_are_reached():
    """Free fermions, and those that only repel: the whole spectrum and no more."""
    free = [one for i in range(5) for one in hop(-1.0 - 0.3 * i, i, (i + 1) % 6)]
    levels = np.linalg.eigvalsh(dense_strings(6, free))
    assert bounds(free, 6) == pytest.approx((levels[0], levels[-1]), abs=1e-12)
    repelled = [number(2.0, 0, 1), number(-3.0, 2, 3), FermionString(0.5, ())]
    assert bounds(repelled, 4) == pytest.approx((-2.5, 2.5), abs=1e-13)


def test_what_is_not_hermitian_names_a_term():
    strings = [*hop(-1.0, 0, 1), FermionString(0.5 + 0.1j, ((2, True), (3, False)))]
    with pytest.raises(NotHermitian, match=r"conjugate of \(0\.5\+0\.1j\) \[2\^ 3\]$"):
        jordan_wigner(strings)
    with pytest.raises(NotHermitian, match=r"1j \[0\^ 0\]"):
        jordan_wigner([FermionString(1j, ((0, True), (0, False)))])


@pytest.mark.parametrize(
    ("text", "operators", "coefficient"),
    [
        ("-1.0 [0^ 1] +", ((0, True), (1, False)), -1.0),
        ("(0.5+0.25j) [3^ 0^ 2 1]", ((3, True), (0, True), (2, False), (1, False)), 0.5 + 0.25j),
        ("2e-1 0^ 12  # a comment", ((0, True), (12, False)), 0.2),
        ("-1.5 []", (), -1.5),
    ],
)
def test_lines_of_text(text, operators, coefficient):
    found = term(text, "here")
    assert found == FermionString(coefficient, operators)
    assert term(written(found), "again") == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-1.0", "no operators"),
        ("[0^ 1]", "the coefficient is missing"),
        ("(1 1|1 1)", "the coefficient is missing"),
        ("x [0^ 1]", "coefficient 'x'"),
        ("nan [0^ 1]", "not a finite number"),
        ("1_0 [0^ 1]", "not a finite number"),
        ("1.0 [0^ a]", "'a' is not a mode"),
        ("1.0 [0^]", "even number"),
        ("1.0 [" + "0^ 1 " * 7 + "]", "at most 12"),
        ("1.0 (0 1|1 1)", "count from 1"),
        ("1.0 (1|1 1)", r"an integral is \(1\|2\)"),
        ("1j (1|1)", "is real"),
        ({"coefficient": 1}, "not a line of text"),
    ],
)
def test_lines_that_are_none(text, says):
    with pytest.raises(ValueError, match=says) as caught:
        term(text, "term 3")
    assert str(caught.value).startswith("term 3: ") and "\n" not in str(caught.value)


def test_equal_terms_are_added_and_vanishing_ones_dropped():
    lines = ["0.5 [0^ 1]", "0.25 [0^ 1]", "1.0 [2^ 2]", "-1.0 [2^ 2]", "0.3 (2 1|1 1)", "0.2 (1 1|1 2)"]
    found = merged(term(line, "here") for line in lines)
    assert found == [FermionString(0.75, ((0, True), (1, False))), Integral(0.5, (0, 0, 0, 1))]
    with pytest.raises(ValueError, match="add up to nothing"):
        merged([term("1.0 [0^ 1]", ""), term("-1.0 [0^ 1]", "")])


def test_integrals_are_the_sum_over_all_spins():
    """Against 1/2 sum_pqrs,st (pq|rs) c+_ps c+_rt c_st c_qs with every index written out."""
    n, rng = 3, np.random.default_rng(1)
    g = rng.normal(size=(n,) * 4)
    g = sum(g.transpose(p) for p in ((0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2), (1, 0, 3, 2)))
    g = g + g.transpose(2, 3, 0, 1)
    h = rng.normal(size=(n, n))
    h = h + h.T
    terms = [(h[p, q], [(p + s, True), (q + s, False)]) for p in range(n) for q in range(n) for s in (0, n)]
    terms += [
        (g[p, q, r, s] / 2, [(p + a, True), (r + b, True), (s + b, False), (q + a, False)])
        for p, q, r, s in np.ndindex(g.shape)
        for a in (0, n)
        for b in (0, n)
    ]
    lines = [Integral(float(g[at]), at) for at in np.ndindex(g.shape) if at == min(equal_ones(at))]
    lines += [Integral(float(h[p, q]), (p, q)) for p in range(n) for q in range(p, n)]
    read_again = [term(fermion_terms.as_text(one), "here") for one in lines]
    matrix = dense_strings(2 * n, strings_of(read_again, n))
    assert np.abs(matrix - dense_fermions(2 * n, terms)).max() < 1e-12
