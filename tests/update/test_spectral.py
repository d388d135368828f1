"""Filters of eigenvalues: both spaces give one velocity, sigma is the spread of independent forces."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.modulus_phase import modulus_phase
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import residuals
from nqs_hpc.operators.ising import ising
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.types import Samples
from nqs_hpc.update.minsr import in_samples
from nqs_hpc.update.spectral import Cut, error_of_sums, filtered
from nqs_hpc.update.sr import in_parameters, noise_of_force
from tests.systems import SERIAL, ring

N, LENGTH = 6, 8
ZERO = jnp.int32(0)


@functools.cache
def networks():
    real = mlp(N, widths=(6,), init_scale=0.5)
    return {"holomorphic": jastrow(N, dtype="complex", init_scale=0.4), "complex": modulus_phase(real, real)}


def batch_of(ansatz, params, n_samples, seed=0, weighted=True):
    keys = jax.random.split(jax.random.key(seed))
    s_BN = jax.random.choice(keys[0], jnp.array([1, -1], jnp.int8), (n_samples, N))
    w_B = jax.random.uniform(keys[1], (n_samples,), minval=0.5) if weighted else jnp.ones(n_samples)
    samples = Samples(s_BN, w_B / w_B.sum())
    return evaluate(ansatz)(params, samples, {})[0]


@functools.cache  # one program for all batches of a size
def evaluate(ansatz):
    return jax.jit(evaluation(ansatz, ising(N, ring(N), J=1.0, h=1.0), SERIAL, chain_length=0, chunk=None))


@pytest.mark.parametrize("kind", ["holomorphic", "complex"])
@pytest.mark.parametrize("n_samples", [16, 160])  # fewer and more than parameters
@pytest.mark.parametrize("noise", [None, 2.0])
def test_both_spaces_give_one_direction(kind, n_samples, noise):
    ansatz = networks()[kind]
    params = ansatz.init(jax.random.key(1))
    batch = batch_of(ansatz, params, n_samples)
    cut = Cut(relative=1e-4, signal_to_noise=noise, chain_length=0 if noise is None else LENGTH)
    found = [
        jax.jit(space(ansatz, SERIAL, diag_shift=lambda step: 0.0, solver="filter", cut=cut))(params, batch, ZERO)
        for space in (in_parameters, in_samples)
    ]
    scale = float(jnp.abs(found[0].direction_P).max())
    assert float(jnp.abs(found[0].direction_P - found[1].direction_P).max()) < 1e-8 * scale
    assert float(found[0].info["rank"]) == pytest.approx(float(found[1].info["rank"]), abs=1e-6)


def test_the_filter_against_its_definition():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 12)) * np.logspace(0, -4, 12) + 1j * rng.standard_normal((20, 12)) * 1e-3
    s, f = x.conj().T @ x, x.conj().T @ rng.standard_normal(20)
    values, vectors = np.linalg.eigh(s)
    rho, sigma = vectors.conj().T @ f, np.linspace(0.1, 1, 12)
    kept = 1 / (1 + (1e-5 * values[-1] / values) ** 6) / (1 + (3.0 * sigma / np.abs(rho)) ** 6)
    expected = vectors @ (kept * rho / (values + 1e-3))
    cut = Cut(relative=1e-5, shift=1e-3, signal_to_noise=3.0, chain_length=1)
    found, info = filtered(jnp.asarray(np.triu(s)), jnp.asarray(f), cut, lambda vectors: jnp.asarray(sigma))
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()
    assert float(info["rank"]) == pytest.approx(kept.sum())


def test_directions_without_force_or_norm_stay_still():
    """A singular matrix of rank 1, and no force at all: finite, and 0 where nothing is known."""
    s = jnp.asarray(np.diag([0.0, 0.0, 1.0]))
    found, info = filtered(s, jnp.asarray([0.0, 0.0, 2.0]), Cut(relative=1e-8))
    assert found.tolist() == [0.0, 0.0, 2.0] and float(info["rank"]) == pytest.approx(1.0)
    noisy = Cut(relative=1e-8, signal_to_noise=1.0, chain_length=1)
    nothing, _ = filtered(s, jnp.zeros(3), noisy, lambda vectors: jnp.ones(3))
    assert nothing.tolist() == [0.0, 0.0, 0.0]


def test_the_error_of_a_rotated_force_is_its_spread_over_independent_batches():
    """sigma of one batch of 128 chains against the standard deviation over 200 others: a median within 10 %, none
    off by more than a factor of two."""
    ansatz = networks()["holomorphic"]
    params = ansatz.init(jax.random.key(1))
    form = flat(params, ansatz.kind)
    vectors = jnp.asarray(np.linalg.qr(np.random.default_rng(1).standard_normal((form.n_parameters,) * 2))[0] + 0j)
    project = in_parameters(ansatz, SERIAL, diag_shift=lambda step: 1.0, solver="cholesky")
    forces = jax.jit(lambda batch: vectors.conj().T @ project(params, batch, ZERO).force_P)
    n = 128 * LENGTH
    found = np.array([forces(batch_of(ansatz, params, n, seed, weighted=False)) for seed in range(200)])
    spread = np.sqrt(np.mean(np.abs(found - found.mean(axis=0)) ** 2, axis=0))

    @jax.jit
    def sigma(batch):
        eps_B = residuals(ansatz.kind, batch.e_loc_B, batch.samples.w_B, batch.estimate.mean)
        return noise_of_force(ansatz, form, params, batch.samples, SERIAL, eps_B, vectors, LENGTH)

    ratio = np.asarray(sigma(batch_of(ansatz, params, n, 999, weighted=False))) / spread
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)
    assert ratio.min() > 0.5 and ratio.max() < 2.0


def test_errors_of_sums():
    rng = np.random.default_rng(2)
    terms = rng.standard_normal((50, 3)) * np.array([1.0, 2.0, 3.0])
    expected = np.sqrt(50) * terms.std(axis=0, ddof=1)
    assert np.abs(np.asarray(error_of_sums(jnp.asarray(terms))) - expected).max() < 1e-12
