"""Estimates against NumPy, textbook formulas and the spread of repeated experiments."""

import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.stats.estimate import estimate


def test_weighted_mean_and_variance():
    rng = np.random.default_rng(1)
    x = rng.normal(size=50) + 1j * rng.normal(size=50)
    w = rng.random(50)
    w /= w.sum()
    found = estimate(jnp.asarray(x), jnp.asarray(w), 0)
    mean = np.average(x, weights=w)
    assert found.mean == pytest.approx(mean, rel=1e-14)
    assert found.variance == pytest.approx(np.average(abs(x - mean) ** 2, weights=w), rel=1e-13)
    assert found.error == 0.0


def test_variance_of_small_fluctuations_around_a_large_mean():
    x = -300.0 + 1e-5 * np.array([1.0, -1.0, 1.0, -1.0])
    found = estimate(jnp.asarray(x), jnp.full(4, 0.25), 1)
    assert found.variance == pytest.approx(1e-10, rel=1e-8)  # E[x^2] - E[x]^2 is off by more than the value


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_error_is_the_spread_of_the_mean(correlation):
    """Over 400 repetitions the mean scatters as the error says, correlated chains or not."""
    rng = np.random.default_rng(2)
    n_repeats, n_chains, length = 400, 64, 8
    x = rng.normal(size=(n_repeats, n_chains, length))
    for t in range(1, length):
        x[:, :, t] = correlation * x[:, :, t - 1] + np.sqrt(1 - correlation**2) * x[:, :, t]
    w = jnp.full(n_chains * length, 1.0 / (n_chains * length))
    found = [estimate(jnp.asarray(row.ravel()), w, length) for row in x]
    claimed = np.sqrt(np.mean([float(e.error) ** 2 for e in found]))
    scatter = np.std([float(e.mean) for e in found])
    assert scatter == pytest.approx(claimed, rel=0.12)  # 400 repetitions know it to 3.5 %


def test_one_chain_has_no_error():
    assert jnp.isnan(estimate(jnp.arange(4.0), jnp.full(4, 0.25), 4).error)
