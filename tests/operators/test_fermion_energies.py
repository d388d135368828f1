"""Hamiltonians of fermions by name, from files and as integrals: exact energies against matrices built by hand."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from nqs_hpc.choices.task._ramp import operators
from nqs_hpc.config.compose import from_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.system.fermion_strings import written
from nqs_hpc.system.hilbert import codes
from tests.systems import dense_fermions, ring

SQUARE = [(0, 1), (0, 2), (1, 3), (2, 3)]  # of 2 x 2, each bond once
H2 = -1.1372701746609  # Hartree, FCI of PySCF 2.14 for H2 in STO-3G at 0.7414 angstrom


def configured(**given: object) -> Config:
    return from_plain({"ansatz": "jastrow", "sampler": "enumerate", "optimizer": "sgd", **given})


def matrix_of(config: Config) -> np.ndarray:
    sites = config.make_sites()
    hilbert = config.hamiltonian.space(sites.n_sites, config.sector)
    return sparse_matrix(config.hamiltonian.operator(sites), hilbert).toarray()


def energy_of(config: Config) -> float:
    sites = config.make_sites()
    operator = config.hamiltonian.operator(sites)
    return float(lowest_states(operator, config.hamiltonian.space(sites.n_sites, config.sector))[0][0])


def without_signs(matrix: np.ndarray) -> float:
    """The lowest level of hard-core bosons with these elements, what fermions without their signs would have."""
    diagonal = np.diag(np.diag(matrix))
    return float(np.linalg.eigvalsh(diagonal - np.abs(matrix - diagonal))[0])


def hops(t: complex, pairs, spins=(0,)):
    return [
        term
        for i, j in pairs
        for s in spins
        for term in (
            (-t, [(j + s, True), (i + s, False)]),
            (-np.conj(t), [(i + s, True), (j + s, False)]),
        )
    ]


def numbers(value: complex, *modes: int):
    return value, [(mode, creates) for mode in modes for creates in (True, False)]


def dense_hubbard(n: int, pairs, t: complex, U: float):
    return hops(t, pairs, (0, n)) + [numbers(U, i, i + n) for i in range(n)]


@functools.cache
def in_sector(which: str) -> tuple[Config, np.ndarray]:
    """A configuration and the dense matrix of its sector."""
    square = {"name": "square", "extent": [2, 2]}
    match which:
        case "hubbard":
            config = configured(lattice=square, hamiltonian={"name": "hubbard"})
            n, terms = 8, dense_hubbard(4, SQUARE, 1.0, 8.0)
        case "hubbard, doped, with second neighbours":
            hamiltonian = {"name": "hubbard", "t": [1.0, -0.3], "U": -2.0}
            config = configured(lattice=square, hamiltonian=hamiltonian, sector=[2, 1])
            n, terms = 8, dense_hubbard(4, SQUARE, 1.0, -2.0) + hops(-0.3, [(0, 3), (1, 2)], (0, 4))
        case "hubbard in a flux":
            # a third of pi across the side from site 3 to site 0, on a ring of four
            hamiltonian = {"name": "hubbard", "U": 3.0, "phases": 1 / 3}
            config = configured(lattice={"name": "chain", "extent": [4]}, hamiltonian=hamiltonian, sector=[2, 1])
            n, terms = 8, dense_hubbard(4, [(0, 1), (1, 2), (2, 3)], 1.0, 3.0)
            terms += hops(np.exp(1j * np.pi / 3), [(3, 0)], (0, 4))
        case "t-V":
            hamiltonian = {"name": "tv", "t": 0.8, "V": [2.0, 0.5]}
            config = configured(lattice={"name": "chain", "extent": [7]}, hamiltonian=hamiltonian, sector=4)
            far = [(i, (i + 2) % 7) for i in range(7)]
            near = [tuple(pair) for pair in ring(7).tolist()]
            n, terms = 7, hops(0.8, near) + [numbers(2.0, *p) for p in near] + [numbers(0.5, *p) for p in far]
        case "t-J":
            config = configured(lattice=square, hamiltonian={"name": "tj", "J": 0.7}, sector=[2, 1])
            n, terms = 8, hops(1.0, SQUARE, (0, 4)) + spin_products(0.7, SQUARE, 4)
    sites = config.make_sites()
    inside = codes(config.hamiltonian.space(sites.n_sites, config.sector))
    return config, dense_fermions(n, terms)[np.ix_(inside, inside)]


def spin_products(J: float, pairs, n: int):
    """J (S_i . S_j - n_i n_j / 4) from S+ = c+_up c_down, S^z = (n_up - n_down) / 2."""
    found = []
    for i, j in pairs:
        for a, b in ((i, j), (j, i)):
            found.append((J / 2, [(a, True), (a + n, False), (b + n, True), (b, False)]))
        for first, sign in ((0, 1), (n, -1)):
            for second, other in ((0, 1), (n, -1)):
                found.append(numbers(J / 4 * (sign * other - 1), i + first, j + second))
    return found


@pytest.mark.parametrize(
    "which", ["hubbard", "hubbard, doped, with second neighbours", "hubbard in a flux", "t-V", "t-J"]
)
def test_matrices(which):
    config, matrix = in_sector(which)
    assert np.abs(matrix_of(config) - matrix).max() < 1e-13
    assert energy_of(config) == pytest.approx(np.linalg.eigvalsh(matrix)[0], abs=1e-10)


def test_energies_that_are_known():
    """And what hard-core bosons would have in their place."""
    pair = configured(lattice={"name": "chain", "extent": [2], "pbc": False}, hamiltonian="hubbard")
    assert energy_of(pair) == pytest.approx((8 - np.sqrt(8**2 + 16)) / 2, abs=1e-12)
    square, _ = in_sector("hubbard")
    assert energy_of(square) == pytest.approx(-1.3202350, abs=1e-7)
    assert without_signs(matrix_of(square)) == pytest.approx(-1.5043160, abs=2e-7)
    tv = configured(lattice={"name": "chain", "extent": [10]}, hamiltonian={"name": "tv", "V": 2.0})
    assert tv.sector == 5 and energy_of(tv) == pytest.approx(-4.0308927, abs=1e-7)
    six = {"name": "chain", "extent": [6]}
    tj = configured(lattice=six, hamiltonian={"name": "tj", "J": 0.4}, sector=[2, 2])
    assert energy_of(tj) == pytest.approx(-3.9177591, abs=1e-7)
    assert without_signs(matrix_of(tj)) == pytest.approx(-4.1287597, abs=1e-7)
    half = configured(lattice=six, hamiltonian={"name": "tj", "J": 1.3})
    heisenberg = configured(lattice=six, hamiltonian={"name": "heisenberg", "J": 1.3})
    assert half.sector == (3, 3)
    assert energy_of(half) == pytest.approx(energy_of(heisenberg) - 1.3 * 6 / 4, abs=1e-10)


def test_antiperiodic_sides_are_real_to_the_bit():
    """Free fermions on an antiperiodic ring of 6 at momenta (2 m + 1) pi / 6, two of each spin."""
    config = configured(
        lattice={"name": "chain", "extent": [6]},
        hamiltonian={"name": "hubbard", "U": 0.0, "phases": -3.0},
        sector=[2, 2],
    )
    assert config.hamiltonian.phases == (1.0,)
    operator = config.hamiltonian.operator(config.make_sites())
    assert operator.is_real
    assert energy_of(config) == pytest.approx(-8 * np.cos(np.pi / 6), abs=1e-10)
    twice = configured(lattice={"name": "chain", "extent": [6]}, hamiltonian={"name": "hubbard", "phases": [4]})
    assert twice.hamiltonian.phases is None


@pytest.mark.parametrize("interleaved", [False, True])
def test_strings_from_a_file(tmp_path: Path, interleaved: bool):
    """The Hubbard model as OpenFermion prints it, its modes in either order."""
    square, matrix = in_sector("hubbard")
    strings = square.hamiltonian.fermions(square.make_sites())
    lines = []
    for string in strings:
        moved = [(2 * (mode % 4) + mode // 4 if interleaved else mode, creates) for mode, creates in string.operators]
        lines.append(written(string._replace(operators=tuple(moved))))
    (tmp_path / "h.txt").write_text(" +\n".join(lines) + "\n", encoding="utf-8")
    given = {"name": "fermion", "file": str(tmp_path / "h.txt"), "interleaved": interleaved}
    config = configured(lattice={"name": "chain", "extent": [4]}, hamiltonian=given)
    assert config.sector == (2, 2) and not config.hamiltonian.interleaved
    assert np.abs(matrix_of(config) - matrix).max() < 1e-13


def test_a_molecule():
    config = configured(
        lattice={"name": "chain", "extent": [2]}, hamiltonian={"name": "fermion", "fcidump": "package:h2_sto3g.fcidump"}
    )
    assert config.sector == (1, 1)
    assert energy_of(config) == pytest.approx(H2, abs=1e-12)
    # the two closed shells alone: a matrix of two rows from the integrals themselves
    h1, h2, core = -1.252463573564898, -0.4759487152209642, 0.7137539936876182
    two = np.array(
        [[2 * h1 + 0.6744887663568376, 0.1812888082114958], [0.1812888082114958, 2 * h2 + 0.6973937674230262]]
    )
    assert np.linalg.eigvalsh(two)[0] + core == pytest.approx(H2, abs=1e-10)
    polarised = configured(
        lattice={"name": "chain", "extent": [2]},
        hamiltonian={"name": "fermion", "fcidump": "package:h2_sto3g.fcidump"},
        sector=[2, 0],
    )
    j, k = 0.6634680964235676, 0.1812888082114958
    assert energy_of(polarised) == pytest.approx(h1 + h2 + j - k + core, abs=1e-12)


def test_couplings_in_time():
    """H(0.4) of a ramp in U and both hoppings is the Hamiltonian with these numbers."""
    lattice = {"name": "square", "extent": [2, 2]}
    ramp = {"U": [[0, 0.0], [1, 8.0]], "t": [[0, [1.0, 0.0]], [1, [0.5, 0.3]]]}
    moving = from_plain(
        {"lattice": lattice, "hamiltonian": "hubbard", "ansatz": {"name": "rbm", "dtype": "complex"}, "sector": [2, 1]}
        | {"sampler": "enumerate", "task": {"name": "dynamics", "t_end": 1.0, "ramp": ramp}}
    )
    sites = moving.make_sites()
    operator, _ = operators(moving.hamiltonian, sites, None, moving.task.ramp)
    found = sparse_matrix(operator, moving.hamiltonian.space(sites.n_sites, moving.sector), time=0.4).toarray()
    still = configured(lattice=lattice, hamiltonian={"name": "hubbard", "U": 3.2, "t": [0.8, 0.12]}, sector=[2, 1])
    assert np.abs(found - matrix_of(still)).max() < 1e-12
