"""One Lanczos step against powers of dense matrices."""

import numpy as np
import pytest

from nqs_hpc.observables.lanczos import lanczos
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import codes, decode, spin_half
from tests.observables.measuring import METROPOLIS, measured, of_vector, wave_of, within
from tests.systems import amplitudes

SYSTEMS = {
    "all states": ["hamiltonian=ising", "hamiltonian.h=0.7"],
    "signs in a sector": ["hamiltonian=heisenberg", "ansatz.dtype=complex"],
    "bosons": ["hamiltonian=bose_hubbard", "hamiltonian.n_max=2", "sector=4", "lattice.length=4", "chunk_size=5"],
}


def exact(matrix, psi):
    """The lowest of the states psi and H psi span, by their own matrices."""
    span = np.linalg.qr(np.stack([psi, matrix @ psi], axis=1))[0]
    energies, mixed = np.linalg.eigh(span.conj().T @ matrix @ span)
    best = span @ mixed[:, 0]
    energy = np.real(psi.conj() @ matrix @ psi)
    shifted = matrix @ psi - energy * psi  # best is psi + alpha shifted, up to a factor
    alpha = (shifted.conj() @ best) / (psi.conj() @ best) / (shifted.conj() @ shifted)
    return {
        "initial_energy": energy,
        "initial_variance": np.linalg.norm(shifted) ** 2,
        "energy": energies[0],
        "variance": np.linalg.norm(matrix @ best - energies[0] * best) ** 2,
        "alpha": np.real(alpha),
    }


def of_wave(parts, wave):
    s = decode(parts.hilbert, codes(parts.hilbert))
    matrix = sparse_matrix(parts.operator, parts.hilbert).toarray()
    return matrix, amplitudes(parts.ansatz, wave.params, s)


@pytest.mark.parametrize("system", [pytest.param("all states", marks=pytest.mark.slow), *list(SYSTEMS)[1:]])
def test_exact_sums(system):
    _, parts, wave = wave_of(*SYSTEMS[system], "sampler=enumerate")
    matrix, psi = of_wave(parts, wave)
    by_hand, found = exact(matrix, psi), wave.measure({"a": {"name": "lanczos"}})
    assert {name: found[f"a.{name}"].value for name in by_hand} == pytest.approx(by_hand, rel=1e-10)
    lowest = np.linalg.eigvalsh(matrix)[0]
    assert lowest <= found["a.energy"].value + 1e-10 <= found["a.initial_energy"].value


def test_samples():
    _, parts, wave = wave_of(*SYSTEMS["signs in a sector"], *METROPOLIS)
    by_hand = exact(*of_wave(parts, wave))
    found = wave.measure({"a": {"name": "lanczos"}}, n_samples=8192)
    assert all(within(found[f"a.{name}"], value) for name, value in by_hand.items())


def test_an_eigenstate_stays_as_it_is_and_its_neighbourhood_is_exact():
    """With an error of 1e-6 the variance is 1e-12 of an energy of 100: digits are kept by the shift of H."""
    _, parts, _ = wave_of("hamiltonian=ising", "sampler=enumerate")
    hilbert, operator = spin_half(6), parts.operator
    shifted = operator._replace(diagonal=lambda s_N: operator.diagonal(s_N) - 100.0)
    matrix = sparse_matrix(shifted, hilbert).toarray()
    levels, vectors = np.linalg.eigh(matrix)
    one = lanczos(shifted, hilbert, chunk=None, memory=2**30)
    found = measured(of_vector(hilbert), vectors[:, 0], one, Basis(hilbert))
    assert found["energy"].value == pytest.approx(levels[0], rel=1e-13) and found["alpha"].value == 0
    near = vectors[:, 0] + 1e-6 * vectors[:, 3]
    found = measured(of_vector(hilbert), near / np.linalg.norm(near), one, Basis(hilbert))
    assert found["initial_variance"].value == pytest.approx(1e-12 * (levels[3] - levels[0]) ** 2, rel=1e-3)
    assert found["alpha"].value == pytest.approx(-1 / (levels[3] - levels[0]), rel=1e-3)
