"""Correlations of spins against exact ground states and dense matrices."""

import functools

import numpy as np
import pytest

from nqs_hpc.observables.dimer import dimer
from nqs_hpc.observables.plaquette import plaquette
from nqs_hpc.observables.spin_correlations import spin_correlations
from nqs_hpc.observables.total_spin import total_spin
from nqs_hpc.operators.exact import lowest_states
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.pauli_products import product
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import codes, spin_half
from nqs_hpc.system.lattice import FACTORIES, neighbours
from nqs_hpc.system.links import links, plaquettes, stars
from nqs_hpc.system.plaquettes import squares
from nqs_hpc.system.spaces import spin
from nqs_hpc.types import PauliString
from tests.observables.exact import results, states_of
from tests.systems import dense, heisenberg_ring

N = 6
RING = FACTORIES["chain"]((N,), (True,))
MARSHALL = Basis(spin_half(N, 0), np.array([1, -1] * (N // 2), np.int8))
LIMITS = {"chunk": None, "memory": 2**30}


def dot(i: int, j: int, n: int = N, letters: str = "XYZ") -> np.ndarray:
    """S_i . S_j of all states, or some of its components."""
    factors = [{i: a, j: a} for a in letters] if i != j else [{}] * len(letters)
    return dense(n, [(0.25, factor) for factor in factors])


@functools.cache
def ground_state() -> np.ndarray:
    """Of the Heisenberg ring, on the states of Sz = 0."""
    inside = codes(MARSHALL.hilbert)
    return np.linalg.eigh(heisenberg_ring(N)[np.ix_(inside, inside)])[1][:, 0]


@functools.cache
def any_state(hilbert) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.normal(size=len(codes(hilbert))) + 1j * rng.normal(size=len(codes(hilbert)))


def mean(matrix: np.ndarray, psi: np.ndarray, hilbert) -> complex:
    whole = np.zeros(len(matrix), complex)
    whole[codes(hilbert)] = psi
    return np.vdot(whole, matrix @ whole) / np.vdot(whole, whole)


def correlators(psi: np.ndarray, hilbert, letters: str, n: int = N) -> np.ndarray:
    return np.array([[mean(dot(i, j, n, letters), psi, hilbert).real for j in range(n)] for i in range(n)])


def transformed(c: np.ndarray, q: np.ndarray, positions: np.ndarray) -> np.ndarray:
    apart = positions[:, None, :] - positions[None, :, :]
    return np.array([(np.exp(1j * apart @ one) * c).sum().real for one in q]) / len(c)


def test_ground_state_of_the_ring():
    psi = ground_state()
    observable = spin_correlations(RING, MARSHALL, of_z=False, **LIMITS)
    found = results(observable, psi, MARSHALL)
    for name, letters in (("xx", "X"), ("yy", "Y"), ("zz", "Z"), ("total", "XYZ")):
        wanted = correlators(psi, MARSHALL.hilbert, letters)
        np.testing.assert_allclose(found[name], wanted, rtol=0, atol=1e-12)
        wave = next(output for output in observable.outputs if output.name == "structure_factor")
        q = dict(wave.axes)["q"]
        np.testing.assert_allclose(q[:, 0], 2 * np.pi * np.arange(N) / N)
        if name in ("total", "zz"):
            suffix = "_zz" if name == "zz" else ""
            s_q = transformed(wanted, q, RING.positions)
            np.testing.assert_allclose(found["structure_factor" + suffix], s_q, rtol=0, atol=1e-12)
            # at q = pi it is N m^2
            assert found["m2_staggered" + suffix] == pytest.approx(s_q[N // 2] / N, abs=1e-12)
    assert found["total_spin"] == pytest.approx(0, abs=1e-12)
    assert found["m2_staggered"] == pytest.approx(3 * found["m2_staggered_zz"], abs=1e-12)
    of_z = results(spin_correlations(RING, MARSHALL, of_z=True, **LIMITS), psi, MARSHALL)
    assert set(of_z) == {"zz", "structure_factor_zz", "m2_staggered_zz"}
    assert all(np.allclose(of_z[name], found[name], rtol=0, atol=1e-12) for name in of_z)


def test_a_complex_state_without_a_sector():
    basis = Basis(spin_half(4), np.array([1, -1, -1, 1], np.int8))
    psi = any_state(basis.hilbert)
    found = results(spin_correlations(FACTORIES["chain"]((4,), (False,)), basis, of_z=False, **LIMITS), psi, basis)
    assert not any("structure" in name for name in found)  # an open chain
    for name, letters in (("xx", "X"), ("yy", "Y"), ("zz", "Z"), ("total", "XYZ")):
        np.testing.assert_allclose(found[name], correlators(psi, basis.hilbert, letters, 4), rtol=0, atol=1e-12)
    spin_of = results(total_spin(basis, **LIMITS), psi, basis)
    assert spin_of["s2"] == pytest.approx(found["total"].sum(), abs=1e-12)
    assert spin_of["s"] * (spin_of["s"] + 1) == pytest.approx(spin_of["s2"], abs=1e-12)


def test_staggered_magnetization_of_the_4x4_torus():
    """0.27653, as the literature has it: computed here from Lanczos and the total of each state's staggered spins."""
    lattice = FACTORIES["square"]((4, 4), (True, True))
    basis = Basis(spin_half(16, 0))
    psi = lowest_states(heisenberg(16, [neighbours(lattice, 1)], [1.0]), basis.hilbert)[1][:, 0]
    found = results(spin_correlations(lattice, basis, of_z=True, **LIMITS), psi, basis)
    eps = (-1) ** lattice.positions.sum(axis=1).round().astype(int)
    by_hand = np.sum(psi**2 * (states_of(basis) @ eps / 2) ** 2) / 16**2
    assert found["m2_staggered_zz"] == pytest.approx(by_hand, abs=1e-12)
    assert 3 * found["m2_staggered_zz"] == pytest.approx(0.27653, abs=5e-6)
    assert found["structure_factor_zz"].max() == pytest.approx(16 * by_hand, abs=1e-12)


def test_a_ferromagnet_has_the_largest_spin():
    """All states of Sz = 0 with one weight: S = N / 2."""
    basis = Basis(spin_half(N, 0))
    found = results(total_spin(basis, **LIMITS), np.ones(20), basis)
    assert found["s2"] == pytest.approx(N / 2 * (N / 2 + 1), abs=1e-12)
    assert found["s"] == pytest.approx(N / 2, abs=1e-12)
    ring = results(total_spin(MARSHALL, **LIMITS), ground_state(), MARSHALL)
    assert ring["s2"] == pytest.approx(0, abs=1e-12) and ring["s"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("two_s", "n"), [(2, 4), pytest.param(3, 3, marks=pytest.mark.slow)])
def test_longer_spins(two_s, n):
    """S_i . S_j by Kronecker products of the matrices of one spin."""
    m = np.arange(two_s, -two_s - 1, -2) / 2
    plus = np.diag(np.sqrt(two_s / 2 * (two_s / 2 + 1) - m[1:] * (m[1:] + 1)), 1)
    components = [(plus + plus.T) / 2, (plus - plus.T) / 2j, np.diag(m)]
    at = [
        [
            functools.reduce(np.kron, [x if k == i else np.eye(two_s + 1) for k in reversed(range(n))])
            for x in components
        ]
        for i in range(n)
    ]
    chain = FACTORIES["chain"]((n,), (True,))
    basis = Basis(spin(n, two_s, two_s % 2 * (n % 2)), np.array([1, -1, 1, -1][:n], np.int8))
    psi = any_state(basis.hilbert)
    found = results(spin_correlations(chain, basis, of_z=False, **LIMITS), psi, basis)
    total = [[sum(mean(a @ b, psi, basis.hilbert) for a, b in zip(x, y, strict=True)).real for y in at] for x in at]
    zz = [[mean(x[2] @ y[2], psi, basis.hilbert).real for y in at] for x in at]
    np.testing.assert_allclose(found["total"], total, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["zz"], zz, rtol=0, atol=1e-12)
    of_z = results(spin_correlations(chain, basis, of_z=True, **LIMITS), psi, basis)
    np.testing.assert_allclose(of_z["zz"], zz, rtol=0, atol=1e-12)
    assert results(total_spin(basis, **LIMITS), psi, basis)["s2"] == pytest.approx(np.sum(total), abs=1e-11)


@pytest.mark.parametrize(("order", "reference"), [(1, 0), (2, 4)])
def test_dimers(order, reference):
    """Bonds that share a site with the reference, and itself, do not commute with it."""
    bonds, psi = neighbours(RING, order), ground_state()
    found = results(dimer(bonds, reference), psi, MARSHALL)
    matrices = [dot(i, j) for i, j in bonds.tolist()]
    one = np.array([mean(matrix, psi, MARSHALL.hilbert).real for matrix in matrices])
    two = [mean(matrices[reference] @ matrix, psi, MARSHALL.hilbert).real for matrix in matrices]
    np.testing.assert_allclose(found["bonds"], one, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["correlations"], two - one[reference] * one, rtol=0, atol=1e-12)
    assert found["mean"] == pytest.approx(one.mean(), abs=1e-12)


def test_products_of_pauli_sums():
    rng = np.random.default_rng(0)

    def some(n_strings: int) -> list[PauliString]:
        sites = [sorted(rng.permutation(4)[: rng.integers(0, 4)].tolist()) for _ in range(n_strings)]
        return [PauliString(rng.normal(), "".join(rng.choice(list("XYZ"), len(at))), tuple(at)) for at in sites]

    def matrix(strings) -> np.ndarray:
        return dense(4, [(s.coefficient, dict(zip(s.sites, s.operators, strict=True))) for s in strings])

    for _ in range(5):
        a, b = some(6), some(6)
        wanted = (matrix(a) @ matrix(b) + matrix(b) @ matrix(a)) / 2
        np.testing.assert_allclose(matrix(product(a, b)), wanted, rtol=0, atol=1e-12)


def test_ring_exchange_carries_spins_around():
    lattice = FACTORIES["square"]((3, 2), (False, False))
    basis = Basis(spin_half(6))
    psi, around = any_state(basis.hilbert), squares(lattice)
    assert [set(sites) for sites in around] == [{0, 1, 4, 3}, {1, 2, 5, 4}]
    found = results(plaquette(around, "ring"), psi, basis)
    states = states_of(basis)
    for value, sites in zip(found["plaquettes"], around, strict=True):
        turned = states.copy()
        turned[:, list(sites)] = states[:, list(np.roll(sites, 1))]
        code = ((1 - turned) // 2 * 2 ** np.arange(6)).sum(axis=1)
        p = np.vdot(psi, psi[code]) / np.vdot(psi, psi)
        assert value == pytest.approx(2 * p.real, abs=1e-12)
    assert found["mean"] == pytest.approx(found["plaquettes"].mean(), abs=1e-15)
    z = results(plaquette(around, "Z"), psi, basis)["plaquettes"]
    w = np.abs(psi) ** 2 / np.sum(np.abs(psi) ** 2)
    np.testing.assert_allclose(z, [w @ states[:, list(sites)].prod(axis=1) for sites in around], rtol=0, atol=1e-12)


def test_stars_and_faces_of_the_toric_code_are_1():
    """All states with even faces alike: prod X = prod Z = 1 everywhere, in open corners too."""
    lattice = links(FACTORIES["square"]((2, 3), (False, False)))
    basis = Basis(spin_half(lattice.n_sites))
    states, faces = states_of(basis), plaquettes(lattice)
    psi = np.all([states[:, list(face)].prod(axis=1) == 1 for face in faces], axis=0).astype(float)
    for letter, groups in (("X", stars(lattice)), ("Z", faces)):
        found = results(plaquette(groups, letter), psi, basis)
        np.testing.assert_allclose(found["plaquettes"], 1, rtol=0, atol=1e-12)
