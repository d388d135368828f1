"""The fidelity susceptibility against overlaps of the same network at couplings nearby, summed over all states."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.inputs.checks import InputError
from tests.observables.measuring import wave_of
from tests.systems import all_states

N = 6
NETWORK = ["ansatz=foundation_vit", "ansatz.width=4", "ansatz.heads=2", "ansatz.layers=1", "ansatz.init_scale=0.8"]
BASE = [f"lattice.length={N}", "hamiltonian=ising", "hamiltonian.h=0.7", *NETWORK]
CHI = {"chi": {"name": "fidelity_susceptibility"}}
EXACT = ["sampler=enumerate"]
CHAINS = ["sampler.n_chains=64", "sampler.n_samples=2048", "sampler.warmup=40"]


def from_overlaps(parts, params, at, d=2e-3):
    """chi_ij from 1 - F(g + x, g - x) = (1/2) (2x)^T chi (2x) + O(x^4), F the overlap of normalised states."""
    states = jnp.asarray(all_states(N))

    log_psi = jax.jit(lambda g: jax.vmap(lambda s: parts.ansatz.bound(g).log_psi(params, s))(states))

    def psi(g):
        log_B = np.asarray(log_psi(jnp.asarray(g)))
        found = np.exp(log_B - log_B.real.max())
        return found / np.linalg.norm(found)

    def form(x):
        return 2 * (1 - abs(np.vdot(psi(at + x), psi(at - x)))) / 4

    unit = d * np.eye(len(at))
    chi = np.diag([form(x) for x in unit])
    for i, j in itertools.combinations(range(len(at)), 2):
        chi[i, j] = chi[j, i] = (form(unit[i] + unit[j]) - form(unit[i] - unit[j])) / 4
    return chi / d**2


@pytest.mark.parametrize("dtype", ["real", "complex"])
def test_of_one_coupling(dtype):
    _, parts, wave = wave_of(*BASE, *EXACT, f"ansatz.dtype={dtype}", "ansatz.couplings=[h]")
    found = wave.measure(CHI)["chi"]
    expected = from_overlaps(parts, wave.params, np.array([0.7]))[0, 0]
    # differences of d = 2e-3 are right to d^2, and 1 - F of about 1e-6 to rounding: 1e-5 of chi each
    assert found.value == pytest.approx(expected, rel=1e-3) and expected > 1e-2 and found.error == 0


def test_of_two_couplings():
    _, parts, wave = wave_of(*BASE, *EXACT, "ansatz.dtype=complex", "ansatz.couplings=[J, h]")
    found = wave.measure(CHI)["chi"].value
    expected = from_overlaps(parts, wave.params, np.array([1.0, 0.7]))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert np.linalg.eigvalsh(found)[0] >= 0 and abs(found[0, 1]) > 1e-3


def test_samples_agree_with_exact_sums():
    network = ["ansatz.dtype=complex", "ansatz.couplings=[h]"]
    exact = wave_of(*BASE, *EXACT, *network)[2].measure(CHI)["chi"].value
    wave = wave_of(*BASE, *CHAINS, *network)[2]
    found = wave.measure(CHI, n_samples=8192, seed=0)["chi"]
    # Over 40 seeds the deviations had a spread of 1.24 errors, so this is four of their standard deviations.
    assert abs(found.value - exact) < 5 * found.error < 0.15 * exact


def test_other_networks_are_refused():
    with pytest.raises(
        InputError, match=r"^observables.chi=fidelity_susceptibility is not valid; valid: with a network that"
    ):
        wave_of("lattice.length=4", *EXACT)[2].measure(CHI)
