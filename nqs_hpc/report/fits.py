"""Linear extrapolations: of the energy per site to infinite size, and of the energy to zero variance.

Weighted least squares, y = a + b x, with weights 1/sigma². If the points scatter about the line more than their errors
allow, the line is not a complete description, so the error of a is scaled up by sqrt(chi²/dof), as the Particle Data
Group does for discordant measurements. Points without errors have equal weights; then the error comes only from their
scatter, multiplied by Student's t so that it covers 68 % also for few points. Errors do not include the common bias:
variational energies lie above the exact ones, and so do their extrapolations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEAST_POINTS = 3  # a line fits any two points, so its quality would be unknown
ONE_SIGMA = 0.8413447460685429  # fraction of a normal distribution below its mean plus one standard deviation


class FittedLine(NamedTuple):
    """A line through measured points."""

    intercept: float
    error: float  # one standard error of the intercept, scaled up if the line does not fit within the errors
    slope: float
    chi2: float | None  # None if points have no errors
    dof: int
    probability: float | None  # of a larger chi² if the line and the errors are correct


def line(x: list[float], y: list[float], sigma: list[float | None]) -> FittedLine | None:
    """The line through points (x, y ± sigma); None with fewer than three different x, or if floats overflow."""
    if len(set(x)) < LEAST_POINTS:
        return None
    with np.errstate(all="ignore"):
        fitted = _line(x, y, sigma)
    return fitted if np.isfinite([fitted.intercept, fitted.error, fitted.slope]).all() else None


def largest(sizes: list[int], y: list[float], sigma: list[float | None]) -> FittedLine | None:
    """The mean at the largest size, for energies that approach their limit exponentially; None for less than three
    sizes.

    If each size at least halves the distance to the limit, the remaining distance is smaller than the last change. So
    the error includes the distance to the next smaller size.
    """
    if len(set(sizes)) < LEAST_POINTS:
        return None
    with np.errstate(all="ignore"):
        (mean, error), (before, _) = (_mean(sizes, y, sigma, size) for size in sorted(set(sizes))[:-3:-1])
        found = FittedLine(mean, float(np.hypot(error, mean - before)), 0.0, None, 0, None)
    return found if np.isfinite([found.intercept, found.error]).all() else None


def _mean(sizes: list[int], y: list[float], sigma: list[float | None], size: int) -> tuple[float, float]:
    """The energy at one size with its error; for several seeds their mean."""
    y_P = np.array([value for value, its in zip(y, sizes, strict=True) if its == size])
    errors = [error for error, its in zip(sigma, sizes, strict=True) if its == size]
    known = all(error is not None and error > 0 for error in errors)
    w_P = 1 / np.square(np.asarray(errors, float)) if known else np.ones_like(y_P)
    mean, n = float(w_P @ y_P / w_P.sum()), len(y_P)
    scatter = float(w_P @ (y_P - mean) ** 2) / max(n - 1, 1)
    return mean, float((max(1.0, scatter) if known else scatter) / w_P.sum()) ** 0.5


def _line(x: list[float], y: list[float], sigma: list[float | None]) -> FittedLine:
    from scipy.special import chdtrc, stdtrit

    x_P, y_P = np.asarray(x, float), np.asarray(y, float)
    known = all(error is not None and error > 0 for error in sigma)
    w_P = 1 / np.square(np.asarray(sigma, float)) if known else np.ones_like(x_P)
    total = w_P.sum()
    x_mean, y_mean = w_P @ x_P / total, w_P @ y_P / total
    spread = w_P @ (x_P - x_mean) ** 2
    slope = w_P @ ((x_P - x_mean) * (y_P - y_mean)) / spread
    intercept = y_mean - slope * x_mean
    chi2, dof = float(w_P @ (y_P - intercept - slope * x_P) ** 2), len(x) - 2
    error = float(np.sqrt(1 / total + x_mean**2 / spread))
    if known:
        error *= max(1.0, (chi2 / dof) ** 0.5)
        return FittedLine(float(intercept), error, float(slope), chi2, dof, float(chdtrc(dof, chi2)))
    error *= (chi2 / dof) ** 0.5 * float(stdtrit(dof, ONE_SIGMA))
    return FittedLine(float(intercept), error, float(slope), None, dof, None)
