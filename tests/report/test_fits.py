"""Lines against closed forms, an independent solver, and what their errors promise on data of known truth."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from nqs_hpc.report.fits import line


def test_points_on_a_line_are_met():
    x = [1 / n for n in (8, 12, 16, 24)]
    fitted = line(x, [-1.5 + 0.7 * place for place in x], [0.01, 0.02, 0.03, 0.01])
    assert fitted.intercept == pytest.approx(-1.5, abs=1e-12) and fitted.slope == pytest.approx(0.7, abs=1e-11)
    assert fitted.chi2 == pytest.approx(0, abs=1e-18) and fitted.dof == 2 and fitted.probability == pytest.approx(1)


def test_the_same_as_an_independent_solver():
    rng = np.random.default_rng(1)
    x, sigma = rng.uniform(0.01, 0.2, 9), rng.uniform(0.01, 0.05, 9)
    y = 2 + 3 * x + sigma * rng.normal(size=9)
    fitted = line([*x], [*y], [*sigma])
    (a, b), covariance = curve_fit(lambda x, a, b: a + b * x, x, y, sigma=sigma, absolute_sigma=True)
    chi2 = np.sum(((y - a - b * x) / sigma) ** 2)
    assert fitted.intercept == pytest.approx(a, rel=1e-6) and fitted.slope == pytest.approx(b, rel=1e-6)
    assert fitted.chi2 == pytest.approx(chi2, rel=1e-6)
    assert fitted.error == pytest.approx(covariance[0, 0] ** 0.5 * max(1, (chi2 / 7) ** 0.5), rel=1e-6)


def covered(n_points, noise, sigma, trials=4000):
    """The share of made-up measurements whose error bar reaches the true intercept."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.02, 0.13, n_points)
    y = -1.6 + 0.2 * x + noise * rng.normal(size=(trials, n_points))
    fits = [line([*x], [*row], [sigma] * n_points) for row in y]
    return np.mean([abs(fitted.intercept + 1.6) < fitted.error for fitted in fits])


def test_errors_cover_as_often_as_they_promise():
    once = 3 * (0.683 * 0.317 / 4000) ** 0.5
    # with true errors: 68 %, and more where the scatter scales them up
    assert 0.683 - once < covered(4, 0.01, 0.01) < 0.85
    # from scatter alone Student's t makes it 68 % even for three points
    assert abs(covered(3, 0.01, None) - 0.683) < once and abs(covered(8, 0.01, None) - 0.683) < once


def test_errors_that_are_too_small_are_scaled_up():
    assert covered(6, 0.01, 0.001) > 0.55  # a tenth of the true scatter; unscaled it would cover 8 %
    fitted = line([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 1.0, 0.0], [0.1] * 4)
    assert fitted.chi2 > 10 * fitted.dof and fitted.probability < 1e-6


def test_too_few_sizes_give_no_line():
    assert line([0.1, 0.2], [1.0, 2.0], [0.1, 0.1]) is None
    assert line([0.1, 0.1, 0.2, 0.2], [1.0, 1.1, 2.0, 2.1], [0.1] * 4) is None


def test_one_missing_error_makes_all_count_alike():
    x, y = [0.1, 0.2, 0.3, 0.5], [1.0, 1.3, 1.2, 1.9]
    slope, intercept = np.polyfit(x, y, 1)
    for sigma in ([1e-6, None, 1.0, 1.0], [1e-6, 0.0, 1.0, 1.0]):
        fitted = line(x, y, sigma)
        assert (fitted.intercept, fitted.slope) == pytest.approx((intercept, slope))
        assert fitted.chi2 is None and fitted.error > 0
