"""Diagnostics of Markov chains: integrated autocorrelation time, split R-hat, effective sample size.

Computed on the host, in NumPy, from the real parts of gathered local energies (n_chains, chain_length). If the weights
of samples differ, the series `linearised` is used, whose mean fluctuates like the weighted mean.

R-hat: Gelman et al., Bayesian Data Analysis (3rd ed. 2013), section 11.4; Vehtari et al. 2021, arXiv:1903.08008.
Autocorrelation: Sokal 1997, "Monte Carlo methods in statistical mechanics" (automatic window, c = 5).
"""

from __future__ import annotations

import numpy as np

# With fewer samples per chain neither number means anything: even perfect chains of 4 samples give R-hat > 1.1.
SHORTEST = 16
ROUNDING = 1e-13  # relative to the largest value: smaller differences are rounding errors
WINDOW = 5.0
ROUNDING = 1e-12  # relative spread of local energies below which a chain is constant
ONE_SIGMA = 0.8413447460685429  # fraction of a normal distribution below its mean plus one standard deviation
FEW_CHAINS = 32  # with fewer the spread of their means is a poor measure of the error


def linearised(values_A: np.ndarray, w_A: np.ndarray) -> np.ndarray:
    """z_i = A w_i (x_i - m) + m for A samples with weights that sum to 1, m = sum w x: to first order in the
    fluctuations the weighted mean of x is the plain mean of z. For equal weights z is x.
    """
    if np.ptp(w_A) == 0:
        return values_A
    mean = np.sum(w_A * values_A)
    return np.asarray(len(w_A) * w_A * (values_A - mean) + mean)


def autocorrelation_time(x_CL: np.ndarray) -> float:
    """tau = 1 + 2 sum_t rho(t) in samples, rho averaged over chains around the common mean; 1 for independent samples.

    The sum ends at the first t >= 5 tau(t). A chain should be many times tau long; constant chains give NaN.
    """
    n = x_CL.shape[1]
    centred = x_CL - x_CL.mean()
    spectrum = np.fft.rfft(centred, n=2 * n, axis=1)
    covariance_L = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :n].mean(axis=0) / np.arange(n, 0, -1)
    if not covariance_L[0] > 0.0:
        return float("nan")
    tau_L = 2.0 * np.cumsum(covariance_L / covariance_L[0]) - 1.0
    beyond = np.arange(n) >= WINDOW * tau_L
    return float(tau_L[np.argmax(beyond)] if beyond.any() else tau_L[-1])


def split_r_hat(x_CL: np.ndarray) -> float:
    """sqrt(pooled variance / mean variance within), for chains cut in halves; 1: they agree, NaN: they do not move
    beyond rounding.
    """
    half = x_CL.shape[1] // 2
    halves = np.concatenate([x_CL[:, :half], x_CL[:, -half:]])
    within = halves.var(axis=1, ddof=1).mean()
    between = halves.mean(axis=1).var(ddof=1)
    if not within > (ROUNDING * np.abs(x_CL).max()) ** 2:
        return float("nan")
    return float(np.sqrt((half - 1) / half + between / within))


def effective_sample_size(x_CL: np.ndarray) -> float:
    """The number of independent samples with the same error of the mean: n / tau, at most n."""
    return x_CL.size / max(autocorrelation_time(x_CL), 1.0)


def widened(error: float, values_A: np.ndarray, chain_length: int, w_A: np.ndarray | None = None) -> float:
    """The error of the mean for few chains: ``error``, from the spread of n chain means, has only n - 1 degrees of
    freedom, and is far too small for 2 chains that happen to agree.

    From FEW_CHAINS chains on it is ``error`` itself. For fewer it is widened to the quantile of Student's t that covers
    68 %, and is at least sqrt(tau variance / n) if chains are long enough for tau (``SHORTEST``): that estimate has as
    many degrees of freedom as there are independent samples. NaN if neither is known. ``w_A``: the weights, which sum
    to 1, if they differ.
    """
    n_chains = len(values_A) // chain_length if chain_length else 0
    if chain_length == 0 or n_chains >= FEW_CHAINS or not np.all(np.isfinite(values_A)):
        return error
    from scipy.special import stdtrit  # the quantile of Student's t; only few chains need it

    wide = error * float(stdtrit(n_chains - 1, ONE_SIGMA)) if n_chains > 1 else float("nan")
    if chain_length < SHORTEST:
        return wide
    x_CL = np.real(values_A if w_A is None else linearised(values_A, w_A)).reshape(-1, chain_length)
    tau = autocorrelation_time(x_CL)
    inside = float(np.sqrt(max(tau, 1.0) * x_CL.var() / x_CL.size)) if np.isfinite(tau) else float("nan")
    return float(np.nanmax([wide, inside])) if np.isfinite([wide, inside]).any() else float("nan")


def diagnostics(values_A: np.ndarray, w_A: np.ndarray, chain_length: int, *, error: float) -> dict[str, float | None]:
    """r_hat, tau and n_eff of one evaluation; r_hat and tau are None for exact sums and below 16 samples per chain.

    n_eff is the number of independent samples of |psi|^2 with the same error: n / tau if tau is known, times the
    variance divided by that of z if weights differ; else variance / error^2 with the ``error`` from chain means; at
    most n. For exact sums it is 1 / sum w^2. None if values are not finite; r_hat and tau are also None if the values
    differ only by rounding.
    """
    if not np.all(np.isfinite(values_A)):
        return {"r_hat": None, "tau": None, "n_eff": None}
    if chain_length == 0:
        return {"r_hat": None, "tau": None, "n_eff": float(1.0 / np.sum(w_A**2))}
    is_weighted = bool(np.ptp(w_A) > 0)
    if chain_length < SHORTEST:
        n = float(len(values_A))
        variance = _variance(values_A, w_A) if is_weighted else float(np.var(values_A))
        n_eff = min(n, variance / error**2) if error > 0 else None
        return {"r_hat": None, "tau": None, "n_eff": n_eff}
    x_CL = np.real(linearised(values_A, w_A)).reshape(-1, chain_length)
    if np.ptp(x_CL) <= ROUNDING * np.abs(x_CL).max():  # an eigenstate: differences are rounding errors
        return {"r_hat": None, "tau": None, "n_eff": float(x_CL.size)}
    n_eff = effective_sample_size(x_CL)
    if is_weighted and x_CL.var() > 0:
        n_eff = min(float(x_CL.size), n_eff * _variance(np.real(values_A), w_A) / float(x_CL.var()))
    return {"r_hat": split_r_hat(x_CL), "tau": autocorrelation_time(x_CL), "n_eff": n_eff}


def _variance(values_A: np.ndarray, w_A: np.ndarray) -> float:
    return float(np.sum(w_A * np.abs(values_A - np.sum(w_A * values_A)) ** 2))
