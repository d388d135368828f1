"""Product states as fields, against the products of their spinors and against every state of small spaces."""

import functools
import itertools

import numpy as np
import pytest

from nqs_hpc.system.basis import Basis, signs_of_states
from nqs_hpc.system.characters import Symmetry, momentum, with_spin_flip
from nqs_hpc.system.hilbert import Block, Hilbert, codes, decode, members, spin_half
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.product_states import (
    NAMES,
    character,
    in_basis,
    is_in_sector,
    log_amplitude,
    named,
    of_angles,
    reduced,
    why_outside,
)
from nqs_hpc.system.symmetry import translations
from tests.systems import all_numbers, all_states

N = 4
RING = FACTORIES["chain"]((N,), (True,))
UP, DOWN, PLUS, MINUS = ([1, 0], [0, 1], [1, 1], [1, -1])
SPINORS = {
    "plus_x": [PLUS] * N,
    "minus_x": [MINUS] * N,
    "up": [UP] * N,
    "down": [DOWN] * N,
    "neel": [UP, DOWN, UP, DOWN],
}


def of_spinors(spinors) -> np.ndarray:
    """The product by Kronecker products, in the order of `all_states`, whose site 0 is the fastest."""
    psi = functools.reduce(np.kron, [np.array(one, complex) for one in reversed(spinors)])
    return psi / np.linalg.norm(psi)


def of_fields(fields_N: np.ndarray, hilbert: Hilbert, states: np.ndarray) -> np.ndarray:
    log = log_amplitude(fields_N, hilbert, states)
    psi = np.exp(log - log.real.max())
    return psi / np.linalg.norm(psi)


def infidelity(a: np.ndarray, b: np.ndarray) -> float:
    """|a - b|^2 of normalised states but for a phase, which keeps its digits where they are near each other."""
    overlap = np.vdot(a, b)
    return float(np.linalg.norm(a * overlap / abs(overlap) - b) ** 2)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_their_products_of_spinors(name):
    found = of_fields(named(name, RING, 12.0).fields_N, spin_half(N), all_states(N))
    assert infidelity(found, of_spinors(SPINORS[name])) < 1e-19


def test_a_bias_leaves_the_weight_it_says():
    psi = of_fields(named("up", RING, 5.0).fields_N, spin_half(N), all_states(N))
    assert abs(1 - np.abs(psi[0]) ** 2 - N * np.exp(-20)) < 1e-3 * N * np.exp(-20)


def test_angles_are_points_of_the_bloch_sphere():
    """Random ones, and those of the names; theta beyond pi and below 0 too."""
    angles = np.random.default_rng(0).uniform(-7, 7, (N, 2))
    spinors = [[np.cos(t / 2), np.exp(1j * p) * np.sin(t / 2)] for t, p in angles]
    found = of_fields(of_angles(angles, 50.0).fields_N, spin_half(N), all_states(N))
    assert infidelity(found, of_spinors(spinors)) < 1e-24
    for (theta, phi), name in {(np.pi / 2, 0): "plus_x", (np.pi / 2, np.pi): "minus_x", (0, 1): "up"}.items():
        of_name, of_pair = named(name, RING, 5.0), of_angles([[theta, phi]] * N, 5.0)
        assert np.array_equal(of_pair.fields_N, of_name.fields_N)
        assert np.array_equal(of_pair.along_N, of_name.along_N)
    assert np.array_equal(of_angles([[np.pi, 1.0]] * N, 5.0).fields_N, named("down", RING, 5.0).fields_N)


def test_two_occupations_are_two_spins():
    hilbert, states = Hilbert(N, (0, 1)), all_numbers(N, 1)
    psi = of_fields(named("neel", RING, 12.0).fields_N, hilbert, states)
    assert states[np.argmax(np.abs(psi))].tolist() == [1, 0, 1, 0]
    other = of_fields(of_angles([[1.0, 0.7]] * N, 12.0).fields_N, hilbert, states)
    flipped = of_fields(of_angles([[1.0, 0.7]] * N, 12.0).fields_N, spin_half(N), 2 * states - 1)
    assert np.array_equal(other, flipped)


def test_neel_needs_two_sublattices():
    with pytest.raises(ValueError, match="two sublattices"):
        named("neel", FACTORIES["chain"]((5,), (True,)), 5.0)


@pytest.mark.parametrize("values", [(1, -1), (0, 1)])
def test_signs_of_the_basis_are_phases(values):
    """psi = U phi, by every state."""
    hilbert = Hilbert(N, values)
    states = decode(hilbert, codes(hilbert))
    basis = Basis(hilbert, np.array([-1, 1, -1, -1], np.int8), "hamiltonian.gauge")
    fields_N = of_angles(np.random.default_rng(1).uniform(0, 3, (N, 2)), 5.0).fields_N
    physical = of_fields(fields_N, hilbert, states)
    of_ansatz = of_fields(in_basis(fields_N, basis), hilbert, states)
    assert infidelity(signs_of_states(basis, states) * of_ansatz, physical) < 1e-28


def test_phases_are_reduced_to_half_a_turn():
    a = np.array([0.3 + 1j * np.pi, 1j * np.pi / 2, -1j * np.pi / 2, 2 - 7.5j * np.pi, 1j * 1e-14, 0.4j])
    wanted = [0.3, 0.5j * np.pi, 0.5j * np.pi, 2 + 0.5j * np.pi, 0, 0.4j]
    assert np.abs(reduced(a) - wanted).max() < 1e-14 and reduced(a)[[0, 4]].imag.tolist() == [0, 0]


SPACES = {
    "all": spin_half(N),
    "zero": spin_half(N, 0),
    "two": spin_half(N, 2),
    "blocks": Hilbert(N, (0, 1), None, (Block((0, 1), 1),)),
    "blockade": Hilbert(N, (0, 1), None, (), ((0, 1), (2, 3))),
    "blockade and total": Hilbert(N, (0, 1), 2, (), ((0, 1), (1, 2), (2, 3))),
}


@pytest.mark.parametrize("name", SPACES)
def test_what_lies_outside_of_a_space_is_what_no_state_has(name):
    space = SPACES[name]
    states = decode(space, codes(space))
    low, high = sorted(space.local_values)
    assert members(space, states).all()
    found = set()
    for along in itertools.product((-1, 0, 1), repeat=N):
        wanted = [[high] if a > 0 else [low] if a < 0 else [low, high] for a in along]
        has = any(all(s in w for s, w in zip(state, wanted, strict=True)) for state in states.tolist())
        assert (why_outside(np.array(along, np.int8), space) == "") == has, along
        found.add(has)
    assert found == ({True} if name == "all" else {True, False})


@pytest.mark.parametrize("total", [None, 0, 2])
def test_characters_are_quotients_of_all_states(total):
    hilbert, states = spin_half(N, total), all_states(N, total)
    rng = np.random.default_rng(3)
    half = 0.5j * np.pi
    cases = [
        np.zeros(N),
        np.full(N, half),
        half * np.array([1, 0, 1, 0]),
        0.3 * np.array([1, -1, 1, -1]),
        np.full(N, 0.4 + 0.2j),
        rng.normal(size=N) + 0j,
        half * np.array([1, 0, 0, 0]) + 0.1,
    ]
    known = 0
    for fields_N in cases:
        psi = np.exp(log_amplitude(fields_N.astype(complex), hilbert, states))
        for perm in [*translations(RING), np.array([1, 0, 2, 3])]:
            for flip in (1, -1) if not total else (1,):
                moved = np.empty_like(states)
                moved[:, perm] = flip * states
                quotient = np.exp(log_amplitude(fields_N.astype(complex), hilbert, moved)) / psi
                found = character(fields_N.astype(complex), perm, flip, hilbert)
                is_one_number = np.ptp(quotient.real) + np.ptp(quotient.imag) < 1e-9
                assert (found is not None) == is_one_number
                if found is not None:
                    known += 1
                    assert abs(found - quotient[0]) < 1e-12
    assert known > 20


def test_sectors():
    """-x has momentum 0, and behind signs a momentum only where the total is fixed."""
    zero, pi = (with_spin_flip(translations(RING), momentum(RING, k), None) for k in ((0,), (2,)))
    neel, minus = (named(name, RING, 2.0).fields_N for name in ("neel", "minus_x"))
    assert is_in_sector(minus, zero, spin_half(N)) and not is_in_sector(minus, pi, spin_half(N))
    assert not is_in_sector(neel, zero, spin_half(N)) and not is_in_sector(neel, pi, spin_half(N))
    staggered = in_basis(minus, Basis(spin_half(N, 0), np.array([1, -1, 1, -1], np.int8)))
    assert not is_in_sector(staggered, zero, spin_half(N)) and is_in_sector(staggered, zero, spin_half(N, 0))
    two = spin_half(N, 2)
    assert is_in_sector(staggered, pi, two) and not is_in_sector(staggered, zero, two)
    assert not is_in_sector(minus, Symmetry(zero.perms, zero.flips, 2 * zero.characters), spin_half(N))
