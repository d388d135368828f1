"""Diagnostics of chains against closed forms of autoregressive sequences and the definitions written out."""

import numpy as np
import pytest

from nqs_hpc.stats.chains import autocorrelation_time, diagnostics, effective_sample_size, split_r_hat, widened


def autoregressive(phi: float, n_chains: int, length: int, seed: int) -> np.ndarray:
    """x_t = phi x_(t-1) + noise, stationary from the start; rho(t) = phi^t, tau = (1 + phi) / (1 - phi)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_chains, length))
    for t in range(1, length):
        x[:, t] = phi * x[:, t - 1] + np.sqrt(1 - phi**2) * x[:, t]
    return x


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_tau_of_autoregressive_chains(phi):
    x = autoregressive(phi, 64, 2000, seed=3)
    tau = (1 + phi) / (1 - phi)
    assert autocorrelation_time(x + 7.0) == pytest.approx(tau, rel=0.06)
    assert effective_sample_size(x) == pytest.approx(x.size / tau, rel=0.06)


def test_tau_by_the_sum_written_out():
    x = autoregressive(0.5, 3, 40, seed=4)
    y, n = x - x.mean(), x.shape[1]
    rho = [np.mean([np.sum(c[: n - t] * c[t:]) / (n - t) for c in y]) for t in range(n)]
    rho = np.array(rho) / rho[0]
    tau = 1 + 2 * np.cumsum(np.append(0.0, rho[1:]))
    window = next(t for t in range(n) if t >= 5 * tau[t])
    assert autocorrelation_time(x) == pytest.approx(tau[window], rel=1e-12)


def test_split_r_hat_by_its_definition():
    x = autoregressive(0.3, 5, 20, seed=5)
    halves = np.array([part for chain in x for part in (chain[:10], chain[10:])])
    w = np.mean([np.sum((h - h.mean()) ** 2) / 9 for h in halves])
    b = 10 * np.sum((halves.mean(axis=1) - halves.mean()) ** 2) / (len(halves) - 1)
    assert split_r_hat(x) == pytest.approx(np.sqrt((0.9 * w + b / 10) / w), rel=1e-12)


def test_r_hat_sees_a_chain_elsewhere_and_a_drift():
    x = autoregressive(0.0, 16, 200, seed=6)
    assert split_r_hat(x) < 1.01
    elsewhere = x.copy()
    elsewhere[0] += 3.0
    assert split_r_hat(elsewhere) > 1.05
    assert split_r_hat(x + np.linspace(0, 2, 200)) > 1.05  # halves of one chain disagree


def test_short_or_constant_chains_claim_nothing():
    w = np.full(64, 1 / 64)
    x = np.repeat(np.arange(16.0), 4)  # four equal samples a chain: 16 independent ones
    error = x.reshape(16, 4).mean(axis=1).std(ddof=1) / 4
    found = diagnostics(x, w, 4, error=error)
    assert (found["r_hat"], found["tau"]) == (None, None) and found["n_eff"] == pytest.approx(15, rel=1e-12)
    assert diagnostics(np.arange(64.0), w, 4, error=1e-9)["n_eff"] == 64.0
    assert diagnostics(np.full(64, np.inf), w, 32, error=np.nan) == {"r_hat": None, "tau": None, "n_eff": None}
    rounding = 1 + 1e-16 * np.random.default_rng(0).integers(0, 3, 64)  # of an eigenstate
    for values in (np.ones(64), -8.0 * rounding):
        assert diagnostics(values, w, 32, error=0.0) == {"r_hat": None, "tau": None, "n_eff": 64.0}


def test_exact_sums_count_their_weights():
    w = np.array([0.5, 0.25, 0.25])
    assert diagnostics(np.ones(3), w, 0, error=0.0) == {"r_hat": None, "tau": None, "n_eff": 1 / (0.25 + 2 / 16)}


def test_chains_that_do_not_move_have_no_r_hat():
    """Each constant but for rounding, at values of their own: it was 16084231698271950."""
    x = np.repeat(np.array([[-20.0], [-19.5], [-20.0], [-18.0]]), 32, axis=1)
    assert np.isnan(split_r_hat(x))
    rng = np.random.default_rng(8)
    assert np.isnan(split_r_hat(x * (1 + 1e-15 * rng.normal(size=x.shape))))
    assert split_r_hat(x + 1e-3 * rng.normal(size=x.shape)) > 100  # they move, and disagree


@pytest.mark.parametrize("n_chains", [2, 4, 8])
def test_errors_of_few_chains_are_honest(n_chains):
    """Of 600 evaluations whose true mean is 0: two chains that happen to agree gave |z| of 12 and of hundreds."""
    naive, wide = [], []
    for seed in range(600):
        x = autoregressive(0.8, n_chains, 256, seed)
        error = x.mean(axis=1).std(ddof=1) / np.sqrt(n_chains)
        naive.append(abs(x.mean()) / error)
        wide.append(abs(x.mean()) / widened(error, x.ravel(), 256))
    assert np.mean(np.array(wide) < 1) > 0.6  # the 68 % of one standard error
    assert max(wide) < 5 and max(wide) < max(naive)
    assert n_chains > 2 or max(naive) > 12


def test_where_there_are_enough_chains_their_error_stays():
    x = autoregressive(0.5, 32, 64, seed=9)
    assert widened(0.123, x.ravel(), 64) == 0.123 and widened(0.0, x.ravel(), 0) == 0.0
    assert widened(0.1, x[:4, :4].ravel(), 4) == pytest.approx(0.1 * 1.197, rel=1e-3)  # Student's t of 3 degrees
    assert np.isnan(widened(float("nan"), x[:1, :8].ravel(), 8))
    one = widened(float("nan"), x[:1].ravel(), 64)
    assert 0 < one < 1
