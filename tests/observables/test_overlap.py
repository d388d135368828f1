"""Fidelities against vectors over all states: of other networks in other bases and sectors, and of the exact state."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from nqs_hpc.config.compose import checked
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.library import load_run
from nqs_hpc.observables.overlap import overlap
from nqs_hpc.observables.states import State, candidates, inside, is_negative, likeliest, log_amplitudes
from nqs_hpc.operators.exact import lowest_states
from nqs_hpc.system.basis import Basis, signs_of_states
from nqs_hpc.system.hilbert import Block, bosons, codes, decode, members, spin_half
from nqs_hpc.system.spaces import constrained, fermions, spin
from tests.observables.measuring import METROPOLIS, measured, vector, wave_of, within

RING = ["hamiltonian=heisenberg", "lattice.length=6"]
TWIN = ["hamiltonian.marshall=false", "ansatz=mlp", "ansatz.dtype=complex", "sector=none"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of another network, without Marshall's signs and in all sectors."""
    folder = tmp_path_factory.mktemp("runs") / "other"
    own = ["ansatz.init_scale=0.5", "task.n_steps=1", "task.final_samples=64", "sampler.n_chains=16"]
    own += ["sampler.n_samples=64", "sampler.warmup=4", "compile_cache=auto", f"run_dir={folder}"]
    command = [sys.executable, "-m", "nqs_hpc", *RING, *TWIN, *own]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return folder


def test_another_run_in_another_basis(run):
    _, parts, wave = wave_of(*RING, "ansatz.dtype=complex", "sampler=enumerate")
    s_DN, psi_D = vector(wave, parts.hilbert)
    phi_D = np.exp(load_run(run).log_psi(s_DN).astype(complex))
    inner = np.abs(phi_D.conj() @ psi_D) ** 2
    # exact sums see phi where psi lives: within its sector
    in_sector = np.sum(np.abs(phi_D[s_DN.sum(axis=1) == 0]) ** 2)
    found = wave.measure({"f": {"name": "overlap", "run": str(run)}})
    assert 0.001 < inner / in_sector < 0.999
    assert found["f.fidelity"].value == pytest.approx(inner / in_sector, abs=1e-12)
    assert found["f.overlap"].value == pytest.approx(np.sqrt(inner / in_sector), abs=1e-12)
    checkpoint = sorted((run / "checkpoints").glob("step_*.h5"))[-1]
    again = wave.measure({"f": {"name": "overlap", "run": str(checkpoint)}})
    assert again["f.fidelity"].value == found["f.fidelity"].value

    with pytest.raises(
        InputError, match=r"observables\.LABEL\.run=.*it has 2 states on each of 6 sites, and this one 2 states on"
    ):
        wave_of("hamiltonian=ising", "lattice.length=5", *METROPOLIS)[2].measure(
            {"f": {"name": "overlap", "run": str(run)}}
        )
    with pytest.raises(
        InputError,
        match=r"observables\.LABEL\.run=nowhere is not valid: it does not exist; valid: the folder of a run",
    ):
        wave.measure({"f": {"name": "overlap", "run": "nowhere"}})


def test_the_exact_state_of_a_symmetrized_run_is_that_of_its_sector():
    """Not the ground state, which is orthogonal to momentum 1."""
    momentum = ["ansatz.dtype=complex", "symmetrize.group=translations", "symmetrize.momentum=1"]
    _, parts, wave = wave_of("hamiltonian=heisenberg", "lattice.length=6", *momentum, "sampler=enumerate")
    _, vectors = lowest_states(parts.operator, parts.hilbert, symmetry=parts.symmetry)
    s_DN, psi_D = vector(wave, parts.hilbert)
    phi_D = np.zeros(len(s_DN), complex)
    inside = s_DN.sum(axis=1) == 0
    phi_D[inside] = vectors[:, 0] * signs_of_states(parts.pieces.basis, s_DN[inside])
    exact = np.abs(phi_D.conj() @ psi_D) ** 2 / np.sum(np.abs(psi_D) ** 2)
    found = wave.measure({"f": {"name": "overlap", "run": "exact"}})["f.fidelity"]
    assert exact > 1e-3 and found.value == pytest.approx(exact, abs=1e-12)


BOSONS = ["hamiltonian=bose_hubbard", "hamiltonian.n_max=2", "lattice.length=4"]


@pytest.mark.parametrize("system", [RING, pytest.param(BOSONS, marks=pytest.mark.slow)])
def test_the_exact_ground_state_and_samples(system):
    """log psi is moved by 800: neither exp(800) nor exp(-800) is a number."""
    _, parts, wave = wave_of(*system, "sampler=enumerate")
    psi_n = np.exp(wave.log_psi(decode(parts.hilbert, codes(parts.hilbert))))
    own = psi_n * signs_of_states(parts.pieces.basis, decode(parts.hilbert, codes(parts.hilbert)))
    phi_n = lowest_states(parts.operator, parts.hilbert)[1][:, 0]
    exact = np.abs(phi_n @ own) ** 2 / np.sum(np.abs(own) ** 2)
    found = wave.measure({"f": {"name": "overlap", "run": "exact"}})["f.fidelity"]
    assert 0.01 < exact < 0.99 and found.value == pytest.approx(exact, abs=1e-12)

    high = parts.ansatz._replace(log_psi=lambda params, s_N: parts.ansatz.log_psi(params, s_N) + 800.0)
    other = log_amplitudes(State(parts.ansatz, parts.ansatz.init(jax.random.key(7)), parts.pieces.basis), chunk=None)
    one = overlap(parts.pieces.basis, other, chunk=None)
    low, far = (measured(a, wave.params, one, parts.pieces.basis)["fidelity"].value for a in (parts.ansatz, high))
    assert 0 < low < 1 and far == pytest.approx(low, abs=1e-12)

    _, _, sampled = wave_of(*system, *METROPOLIS)
    assert within(sampled.measure({"f": {"name": "overlap", "run": "exact"}}, n_samples=4096)["f.fidelity"], exact)


def test_a_degenerate_level_is_no_state():
    """Of Ising's chain without a field both ordered states are lowest."""
    _, _, wave = wave_of("hamiltonian=ising", "hamiltonian.h=0", "sampler=enumerate")
    with pytest.raises(InputError, match=r"the lowest level of the states that are sampled, -6.* is degenerate"):
        wave.measure({"f": {"name": "overlap", "run": "exact"}})
    with pytest.raises(InputError, match=r"observables\.f\.run=exact is not valid; valid: a run"):
        checked(["lattice.length=30", "hamiltonian=ising", "observables.f=overlap", "observables.f.run=exact"], 1)


SPACES = [
    spin_half(6, 2),
    bosons(5, 2, 4),
    spin(4, 2, 0),
    fermions(3, 1, 2, double=False),
    constrained(spin_half(6), blocks=[Block((0, 2), 0)], excluded=[(3, 4)]),
]


@pytest.mark.parametrize("hilbert", SPACES)
def test_states_and_signs_are_those_of_numpy(hilbert):
    whole = hilbert._replace(total=None, blocks=(), excluded=())
    s = decode(whole, codes(whole))
    assert np.array_equal(inside(hilbert, jax.numpy.asarray(s)), members(hilbert, s))
    basis = Basis(hilbert, np.resize(np.array([1, -1, -1], np.int8), hilbert.n_sites))
    assert np.array_equal(is_negative(basis, jax.numpy.asarray(s)), signs_of_states(basis, s) < 0)
    tried = candidates(hilbert, 20)
    assert members(hilbert, tried).all() and len({tuple(row) for row in tried.tolist()}) > 1
    log = np.resize(np.array([-np.inf, 1.0, np.nan, 2.0, -1.0]), len(tried))
    assert np.array_equal(likeliest(log, tried)[0], tried[3])
