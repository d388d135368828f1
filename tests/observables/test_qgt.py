"""The QGT against finite differences of the normalised vector of psi, and the matrix of SR."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.rows import gram_of_parameters
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.observables.qgt import most_parameters, qgt
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import codes, decode, spin_half
from nqs_hpc.types import Samples
from tests.observables.measuring import METROPOLIS, measured, wave_of
from tests.systems import SERIAL, amplitudes

N = 4
ANSAETZE = {
    "real": rbm(N, n_hidden=3, init_scale=0.5),
    "complex": mlp(N, widths=(3,), activation="tanh", dtype="complex", init_scale=1.0),
    "holomorphic": rbm(N, n_hidden=2, dtype="complex", init_scale=0.5),
}


def by_differences(ansatz, params, s):
    """<d_p psi| (1 - |psi><psi|) |d_q psi> of the normalised psi, its real part for real parameters."""
    form = flat(params, ansatz.kind)
    theta = np.asarray(form.ravel(params))
    step = 1e-5

    def psi(theta):
        log_psi = jax.vmap(ansatz.log_psi, in_axes=(None, 0))(form.unravel(jnp.asarray(theta)), s)
        return np.exp(np.asarray(log_psi, complex))

    at = psi(theta)
    columns = [(psi(theta + step * e) - psi(theta - step * e)) / (2 * step) for e in np.eye(len(theta))]
    d = np.stack(columns, axis=1) / np.linalg.norm(at)
    at = at / np.linalg.norm(at)
    s_pp = d.conj().T @ d - np.outer(d.conj().T @ at, at.conj() @ d)
    return s_pp if ansatz.kind == "holomorphic" else s_pp.real


@pytest.mark.parametrize(("kind", "total"), [("real", None), ("complex", 0), ("holomorphic", 0)])
def test_the_spectrum(kind, total):
    ansatz, hilbert = ANSAETZE[kind], spin_half(N, total)
    assert ansatz.kind == kind
    params = ansatz.init(jax.random.key(2))
    s = decode(hilbert, codes(hilbert))
    one = qgt(ansatz, hilbert, cut=1e-6, chunk=3)
    found = measured(ansatz, params, one, Basis(hilbert))
    spectrum = np.linalg.eigvalsh(by_differences(ansatz, params, s))[::-1]
    assert found["spectrum"].value == pytest.approx(spectrum, abs=1e-7 * spectrum[0])
    most = (len(s) - 1) * (2 if kind == "complex" else 1)
    assert found["rank"].value == np.sum(spectrum > 1e-6 * spectrum[0]) <= min(most, len(spectrum))
    p = spectrum[spectrum > 1e-7] / spectrum[spectrum > 1e-7].sum()
    assert found["effective_rank"].value == pytest.approx(np.exp(-np.sum(p * np.log(p))), rel=1e-4)

    form, w = flat(params, kind), np.abs(amplitudes(ansatz, params, s)) ** 2
    nothing = jnp.zeros(len(s) * (2 if kind == "complex" else 1), form.dtype)
    samples = Samples(jnp.asarray(s), jnp.asarray(w))
    upper, _ = gram_of_parameters(ansatz, form, params, samples, SERIAL, nothing, chunk=None)
    of_sr = np.linalg.eigvalsh(np.asarray(upper), UPLO="U")[::-1]
    assert found["spectrum"].value == pytest.approx(of_sr, abs=1e-12 * of_sr[0])


def test_samples_of_a_network_and_a_bound_on_memory():
    _, parts, wave = wave_of("hamiltonian=heisenberg", *METROPOLIS)
    found = wave.measure({"q": {"name": "qgt", "cut": 1e-3}}, n_samples=4096)
    _, _, exact = wave_of("hamiltonian=heisenberg", "sampler=enumerate")
    whole = exact.measure({"q": {"name": "qgt", "cut": 1e-3}})
    assert found["q.spectrum"].value.shape == (parts.n_parameters,) and np.isnan(found["q.rank"].error)
    assert found["q.spectrum"].value[:3] == pytest.approx(whole["q.spectrum"].value[:3], rel=0.1)
    assert abs(found["q.rank"].value - whole["q.rank"].value) <= 1
    assert most_parameters(2**30) < 4000
    _, _, large = wave_of("hamiltonian=ising", "lattice.length=100", "memory_gib=1", *METROPOLIS)
    with pytest.raises(InputError, match="a network of at most 3663 parameters, not 10200"):
        large.measure({"q": {"name": "qgt"}})
