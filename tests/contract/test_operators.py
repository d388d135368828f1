"""What every operator must keep, by small systems whose matrices are built without the code under test.

A new operator is one line in CASES: fermions with signs, spins 1, drives that are complex and depend on time among
them.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.operators.bose_hubbard import bose_hubbard
from nqs_hpc.operators.driven import driven
from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.local_values import local_values
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.projected import projected
from nqs_hpc.operators.spin_s import spin_s
from nqs_hpc.sampler.moves import hamiltonian
from nqs_hpc.system.hilbert import Hilbert, bosons, codes, decode, members, spin_half
from nqs_hpc.system.spaces import constrained, fermions, spin
from nqs_hpc.types import Ansatz, Move, Operator, PauliString
from tests.systems import dense, dense_bosons, ring, spin_matrices

TIMES = (0.0, 0.7, 1.9)


class Case(NamedTuple):
    operator: Operator
    hilbert: Hilbert
    matrix: np.ndarray  # of all configurations, in the order of their codes; (times, D, D) where it depends on time


def hubbard(n_orbitals: int, bonds: np.ndarray, *, t: float, U: float) -> Operator:
    """-t sum_<ij>,spin (c+_i c_j + h.c.) + U sum_i n_up n_down. The sign of a hop is (-1)^n, n particles being between
    its ends, by Jordan-Wigner in the order of the sites.
    """
    both = [np.sort(bonds, axis=1) + spin * n_orbitals for spin in (0, 1)]
    ends = np.concatenate(both).astype(np.int32)
    between = np.array([(np.arange(2 * n_orbitals) > i) & (np.arange(2 * n_orbitals) < j) for i, j in ends], np.int32)

    def diagonal(s_N: Array) -> Array:
        return U * jnp.sum(s_N[:n_orbitals] * s_N[n_orbitals:], dtype=jnp.int32).astype(float)

    def connected(s_N: Array) -> tuple[Move, Array]:
        first, second = s_N[ends[:, 0]], s_N[ends[:, 1]]
        alive = first != second
        passed = jnp.sum(jnp.asarray(between) * s_N.astype(jnp.int32)[None, :], axis=1)
        elements = jnp.where(alive, -t * (1 - 2 * (passed % 2)), 0.0)
        deltas = jnp.where(alive[:, None], jnp.stack([second - first, first - second], axis=1), 0)
        return Move(jnp.asarray(ends), deltas.astype(jnp.int8)), elements

    return Operator(diagonal, connected, len(ends), is_real=True, e_infinity=U * n_orbitals / 4)


def dense_hubbard(n_orbitals: int, bonds: np.ndarray, *, t: float, U: float) -> np.ndarray:
    """From products of Jordan-Wigner matrices, site 0 the fastest digit, digit 1 occupied."""
    n = 2 * n_orbitals
    lower, sign, one = np.array([[0, 1], [0, 0]]), np.diag([1, -1]), np.eye(2)

    def c(i: int) -> np.ndarray:
        return functools.reduce(np.kron, [one if k > i else lower if k == i else sign for k in reversed(range(n))])

    matrix = np.zeros((2**n, 2**n))
    for shift in (0, n_orbitals):
        for i, j in bonds + shift:
            matrix -= t * (c(i).T @ c(j) + c(j).T @ c(i))
    number = [c(i).T @ c(i) for i in range(n)]
    return matrix + U * sum(number[i] @ number[i + n_orbitals] for i in range(n_orbitals))


def dense_spins(n: int, bonds: np.ndarray, *, two_s: int, J: float, Q: float, D: float) -> np.ndarray:
    one = np.eye(two_s + 1)

    def at(i: int, matrix: np.ndarray) -> np.ndarray:
        return functools.reduce(np.kron, [matrix if k == i else one for k in reversed(range(n))])

    s = spin_matrices(two_s)
    total = sum(D * at(i, s[2] @ s[2]) for i in range(n))
    for i, j in bonds:
        dot = sum(at(i, x) @ at(j, x) for x in s)
        total = total + J * dot + Q * dot @ dot
    return np.asarray(total)


def drive(n: int) -> Case:
    """A chain with a complex field that decays: (cos t + i sin t) X_0 is not Hermitian, nor is -0.3 i t Z_1."""
    constant = ising(n, ring(n), J=1.0, h=0.4)
    x, z = pauli(n, [PauliString(1.0, "X", (0,)), PauliString(0.5, "Y", (2,))]), pauli(n, [PauliString(1.0, "Z", (1,))])
    parts = [(lambda t: jnp.exp(1j * t), x), (lambda t: -0.3j * t, z)]
    operator = driven(constant, parts, is_real=False, is_hermitian=False)
    bonds = [(-1.0, {i: "Z", (i + 1) % n: "Z"}) for i in range(n)] + [(-0.4, {i: "X"}) for i in range(n)]
    pieces = [dense(n, terms) for terms in (bonds, [(1.0, {0: "X"}), (0.5, {2: "Y"})], [(1.0, {1: "Z"})])]
    matrix = np.array([pieces[0] + np.exp(1j * t) * pieces[1] - 0.3j * t * pieces[2] for t in TIMES])
    return Case(operator, spin_half(n), matrix)


def pulse(n: int) -> Case:
    """A Hermitian drive that conserves the total and is off at time 0."""
    parts = [(lambda t: jnp.sin(t), heisenberg(n, [ring(n)], [1.0], delta=0.0))]
    operator = driven(heisenberg(n, [ring(n)], [1.0]), parts)
    bonds = [[(0.25, {i: a, (i + 1) % n: a}) for i in range(n) for a in letters] for letters in ("XYZ", "XY")]
    matrix = np.array([dense(n, bonds[0]) + np.sin(t) * dense(n, bonds[1]) for t in TIMES])
    return Case(operator, spin_half(n, 0), matrix)


OPEN = np.array([(0, 1), (1, 2)])
BLOCKADE = constrained(spin_half(5), excluded=ring(5))
PXP = [(-0.5, {i: "X"}) for i in range(5)] + [(-0.3, {i: "Z"}) for i in range(5)]
STRINGS = [PauliString(0.5, "XX", (0, 1)), PauliString(0.5, "YY", (0, 1)), PauliString(-0.7, "YZX", (0, 2, 3))]
TERMS = [(0.5, {0: "X", 1: "X"}), (0.5, {0: "Y", 1: "Y"}), (-0.7, {0: "Y", 2: "Z", 3: "X"})]
CASES = {
    "ising": lambda: Case(ising(4, ring(4), J=1.0, h=0.3), spin_half(4), tfim(4, 0.3)),
    "heisenberg": lambda: Case(
        heisenberg(6, [ring(6)], [1.0]), spin_half(6, 0), dense_spins(6, ring(6), two_s=1, J=1.0, Q=0.0, D=0.0)
    ),
    "complex pauli": lambda: Case(pauli(4, STRINGS), spin_half(4), dense(4, TERMS)),
    "bosons": lambda: Case(
        bose_hubbard(4, ring(4), J=1.0, U=2.0, mu=0.3, n_max=2),
        bosons(4, 2, 4),
        dense_bosons(4, ring(4), 2, J=1.0, U=2.0, mu=0.3),
    ),
    "fermions": lambda: Case(hubbard(3, ring(3), t=1.0, U=4.0), fermions(3, 2, 1), dense_hubbard(3, ring(3), t=1, U=4)),
    "t-J hops": lambda: projected_case(
        hubbard(3, ring(3), t=1.0, U=0.0), fermions(3, 1, 1, double=False), dense_hubbard(3, ring(3), t=1, U=0)
    ),
    "blockade": lambda: projected_case(
        pauli(5, [PauliString(c, "".join(a.values()), tuple(a)) for c, a in PXP]), BLOCKADE, dense(5, PXP)
    ),
    "spin 1": lambda: Case(
        spin_s(4, ring(4), two_s=2, J=1.0, Q=0.3, D=0.2),
        spin(4, 2, 0),
        dense_spins(4, ring(4), two_s=2, J=1, Q=0.3, D=0.2),
    ),
    "spin 3/2": lambda: Case(
        spin_s(3, OPEN, two_s=3, J=-0.8, Q=0.2), spin(3, 3), dense_spins(3, OPEN, two_s=3, J=-0.8, Q=0.2, D=0.0)
    ),
    "drive": lambda: drive(4),
    "pulse": lambda: pulse(4),
}


def tfim(n: int, h: float) -> np.ndarray:
    return dense(n, [(-1.0, {i: "Z", (i + 1) % n: "Z"}) for i in range(n)] + [(-h, {i: "X"}) for i in range(n)])


def projected_case(operator: Operator, hilbert: Hilbert, matrix: np.ndarray) -> Case:
    return Case(projected(operator, hilbert), hilbert, matrix)


@functools.cache
def case_of(name: str) -> Case:
    return CASES[name]()


@pytest.fixture(params=CASES)
def case(request) -> Case:
    return case_of(request.param)


def blocks_of(case: Case) -> dict[float | None, np.ndarray]:
    """The matrix in the space, at each time."""
    inside = codes(case.hilbert)
    matrices = case.matrix if case.operator.at is not None else case.matrix[None]
    times: tuple[float | None, ...] = TIMES if case.operator.at is not None else (None,)
    return {time: matrix[np.ix_(inside, inside)] for time, matrix in zip(times, matrices, strict=True)}


def states_of(case: Case) -> np.ndarray:
    return decode(case.hilbert, codes(case.hilbert))


def wave(case: Case) -> tuple[Ansatz, object]:
    ansatz = jastrow(case.hilbert.n_sites, dtype="complex", init_scale=0.3)
    return ansatz, ansatz.init(jax.random.key(2))


def test_elements_are_those_of_the_matrix(case):
    for time, block in blocks_of(case).items():
        found = sparse_matrix(case.operator, case.hilbert, time=time).toarray()
        assert np.abs(found - block).max() < 1e-12
        assert found.dtype == (np.float64 if case.operator.is_real else np.complex128)


def test_moves_keep_to_the_space_and_dead_elements_move_nothing(case):
    operator, states = case.operator, jnp.asarray(states_of(case))

    def reached(s_N, operator):
        moves, elements = operator.connected(s_N)
        return jax.vmap(lambda move: s_N.at[move.sites].add(move.deltas))(moves), moves.deltas, elements

    for time in blocks_of(case):
        now = operator if time is None else operator.at(time)
        assert now._replace(diagonal=None, connected=None, at=None, connected_some=None) == operator._replace(
            diagonal=None, connected=None, at=None, connected_some=None
        )  # the same static facts
        s_BKN, deltas_BKF, elements_BK = jax.jit(jax.vmap(lambda s_N, now=now: reached(s_N, now)))(states)
        assert elements_BK.shape[1] == operator.n_connected
        assert elements_BK.dtype == (np.float64 if operator.is_real else np.complex128)
        assert deltas_BKF.dtype == np.int8 and members(case.hilbert, s_BKN).all()
        assert np.array_equal(np.any(deltas_BKF != 0, axis=2), elements_BK != 0)
        assert operator.may_vanish or np.all(elements_BK != 0)


def test_what_is_declared_holds(case):
    operator = case.operator
    for block in blocks_of(case).values():
        hermitian = np.abs(block - block.conj().T).max() < 1e-12
        assert hermitian or not operator.is_hermitian
        assert not operator.is_real or np.abs(block.imag).max() < 1e-12
        if operator.is_hermitian:
            levels = np.linalg.eigvalsh(block)
            assert operator.bounds[0] - 1e-9 <= levels[0] and levels[-1] <= operator.bounds[1] + 1e-9
    first = case.matrix if operator.at is None else case.matrix[0]
    if case.hilbert.excluded == ():  # e_infinity is that of the full space
        assert operator.e_infinity == pytest.approx(np.trace(first).real / len(first), abs=1e-12)


def test_local_values_are_the_matrix_on_psi(case):
    """A psi / psi at each time, of one program."""
    ansatz, params = wave(case)
    states = jnp.asarray(states_of(case))
    values = local_values(case.operator, chunk=None).prepare(ansatz)
    psi = np.exp(np.asarray(jax.vmap(ansatz.log_psi, (None, 0))(params, states)))
    frozen = ansatz.freeze(params)
    cut = local_values(case.operator, chunk=7).prepare(ansatz)
    both = jax.jit(lambda *arguments: (values(*arguments), cut(*arguments)))
    for time, block in blocks_of(case).items():
        found, in_chunks = both(frozen, states) if time is None else both(frozen, states, time)
        wanted = block @ psi / psi
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10 * np.abs(wanted).max())
        np.testing.assert_allclose(in_chunks, found, rtol=0, atol=1e-12 * np.abs(wanted).max())
    assert both._cache_size() == 1


def test_programs_lower_for_gpus(case):
    ansatz, params = wave(case)
    values = local_values(case.operator, chunk=None).prepare(ansatz)
    times = () if case.operator.at is None else (0.3,)
    traced = jax.jit(values).trace(ansatz.freeze(params), jnp.asarray(states_of(case)), *times)
    assert "stablehlo" in traced.lower(lowering_platforms=("cuda",)).as_text()


def test_energies_of_spin_1_rings():
    """From dense matrices of numpy, and two that are known: the AKLT chain, and a ring of four."""
    for n in (3, 4, 5):
        wanted = np.linalg.eigvalsh(dense_spins(n, ring(n), two_s=2, J=1.0, Q=0.0, D=0.0))[0]
        found = lowest_states(spin_s(n, ring(n), two_s=2), spin(n, 2, 0))[0][0]
        assert found == pytest.approx(wanted, abs=1e-11)
    aklt = spin_s(6, ring(6), two_s=2, J=1.0, Q=1 / 3)
    assert lowest_states(aklt, spin(6, 2, 0))[0][0] == pytest.approx(-2 / 3 * 6, abs=1e-11)
    # a ring of four is two spins of length 2 against each other: (0 - 6 - 6) / 2
    assert lowest_states(spin_s(4, ring(4), two_s=2), spin(4, 2, 0))[0][0] == pytest.approx(-6.0, abs=1e-11)


def test_marshall_signs_of_longer_spins_make_elements_negative():
    signs = np.array([1, -1, 1, -1])
    plain, turned = (spin_s(4, ring(4), two_s=2, marshall_signs=x) for x in (None, signs))
    matrix = sparse_matrix(turned, spin(4, 2)).toarray()
    assert (matrix - np.diag(np.diag(matrix))).max() <= 0
    u = np.prod(np.where(signs < 0, (-1) ** ((2 - decode(spin(4, 2), codes(spin(4, 2)))) // 2), 1), axis=1)
    assert np.abs(u[:, None] * sparse_matrix(plain, spin(4, 2)).toarray() * u[None, :] - matrix).max() < 1e-12


def test_spins_one_half_are_the_heisenberg_model():
    a = sparse_matrix(spin_s(6, ring(6), two_s=1, J=1.0), spin_half(6)).toarray()
    assert np.abs(a - sparse_matrix(heisenberg(6, [ring(6)], [1.0]), spin_half(6)).toarray()).max() < 1e-14


def test_what_is_not_hermitian_is_refused_where_that_is_needed():
    case = case_of("drive")
    with pytest.raises(ValueError, match="not Hermitian"):
        lowest_states(case.operator, case.hilbert)
    with pytest.raises(ValueError, match="not Hermitian"):
        hamiltonian(case.operator)
