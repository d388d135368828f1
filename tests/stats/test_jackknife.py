"""Jackknife errors against the spread of repeated experiments, weighted samples included."""

import numpy as np
import pytest

from nqs_hpc.stats.host import host_estimate
from nqs_hpc.stats.jackknife import exact, jackknife

CHAINS, LENGTH, REPEATS = 48, 40, 400


def ratio(means):
    return {"kurtosis": np.real(means[..., 1] / means[..., 0] ** 2)}


def chains(rng, *, weighted):
    """AR(1) chains of normal deviates, tau = 3, with weights exp(x / 2) towards another normal distribution or 1."""
    x = np.empty((CHAINS, LENGTH))
    x[:, 0] = rng.normal(size=CHAINS)
    for t in range(1, LENGTH):
        x[:, t] = 0.5 * x[:, t - 1] + np.sqrt(0.75) * rng.normal(size=CHAINS)
    w = np.exp(0.5 * x) if weighted else np.ones_like(x)
    return x, w / w.sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_one_sigma_holds_two_thirds_of_repeated_experiments(weighted):
    """<x^4>/<x^2>^2 of a normal distribution of mean m (0, or 1/2 by the weights), and the mean itself."""
    rng = np.random.default_rng(7)
    m = 0.5 if weighted else 0.0
    second, fourth = 1 + m**2, 3 + 6 * m**2 + m**4
    hits = np.zeros(2)
    for _ in range(REPEATS):
        x, w = chains(rng, weighted=weighted)
        sums = np.stack([(w * x**2).sum(axis=1), (w * x**4).sum(axis=1)], axis=1).astype(complex)
        found = jackknife(sums, w.sum(axis=1), ratio)["kurtosis"]
        mean = host_estimate(x.ravel(), w.ravel(), LENGTH)
        hits += [abs(found.value - fourth / second**2) < found.error, abs(mean.mean.real - m) < mean.error]
    # 68 % of 400 has a standard deviation of 2.3 %; a ratio of few samples is not quite normal
    assert np.all((hits / REPEATS > 0.60) & (hits / REPEATS < 0.76)), hits / REPEATS


def test_of_means_it_is_the_standard_error_whatever_the_weights():
    rng = np.random.default_rng(1)
    for weighted in (False, True):
        x, w = chains(rng, weighted=weighted)
        found = jackknife((w * x).sum(axis=1)[:, None].astype(complex), w.sum(axis=1), None)[""]
        error = host_estimate(x.ravel(), w.ravel(), LENGTH).error
        assert found.error == pytest.approx(error, rel=1e-10 if not weighted else 0.02)


def test_exact_sums_have_no_error_and_a_single_chain_none_that_is_known():
    means = np.array([2.0, 12.0], complex)
    assert exact(means, ratio)["kurtosis"] == (3.0, 0.0)
    assert np.isnan(jackknife(means[None], np.ones(1), ratio)["kurtosis"].error)


def test_arrays_of_results_have_an_error_each():
    rng = np.random.default_rng(2)
    sums = rng.normal(size=(40, 6)).astype(complex)
    found = jackknife(sums, np.ones(40), lambda means: {"square": np.real(means).reshape(*means.shape[:-1], 2, 3)})
    expected = np.real(sums).std(axis=0, ddof=1).reshape(2, 3) / np.sqrt(40)
    assert found["square"].error == pytest.approx(expected, rel=1e-12)
