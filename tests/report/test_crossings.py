"""Crossings of curves whose crossing is known in closed form, and what their error bars cover."""

import numpy as np
import pytest

from nqs_hpc.report.crossings import Points, crossing


def curves(x, slopes, at, error, rng=None, bend=0.0):
    """Two curves that cross at ``at``, straight but for ``bend``."""
    x = np.asarray(x, float)
    drawn = []
    for slope in slopes:
        y = 0.4 + slope * (x - at) + bend * slope * (x - at) ** 2
        drawn.append(Points(x, y + (0 if rng is None else error * rng.standard_normal(len(x))), np.full(len(x), error)))
    return drawn


def test_straight_lines_cross_where_they_cross():
    for at in (2.75, 3.044, 3.2):
        found = crossing(*curves(np.linspace(2.5, 3.5, 6), (-0.2, -0.5), at, 1e-3))
        assert found.x == pytest.approx(at, abs=1e-12) and found.y == pytest.approx(0.4, abs=1e-12)


def test_the_error_is_that_of_the_line_between_two_points():
    """Crossing halfway between two points of spacing a: D = b (x - x0), so that sigma_x = sigma_D / (b sqrt 2), sigma_D
    = sqrt 2 sigma; there are no others, so nothing else is fitted.
    """
    sigma = 2e-3
    found = crossing(*curves([3.0, 3.2], (-0.2, -0.5), 3.1, sigma))
    assert found.error == pytest.approx(sigma / 0.3, rel=0.15)


def test_error_bars_cover_the_crossing():
    """In 120 repeats about 68 % of the bars hold the true value (binomial: 3 sigma are 13 %)."""
    rng, inside, n = np.random.default_rng(5), 0, 120
    for _ in range(n):
        found = crossing(*curves(np.linspace(2.5, 3.5, 6), (-0.2, -0.5), 3.03, 4e-3, rng))
        inside += abs(found.x - 3.03) < found.error
    assert 0.55 < inside / n < 0.86  # the distance of the two interpolations makes bars a little larger


def test_curvature_is_in_the_error():
    found = crossing(*curves([2.6, 2.9, 3.2, 3.5], (-0.2, -0.5), 3.0, 1e-5, bend=0.8))
    assert abs(found.x - 3.0) < 1e-3 and 2e-3 < found.error < 0.1  # the straight line misses by that


def test_other_couplings_for_each_size():
    first, _ = curves(np.linspace(2.5, 3.5, 6), (-0.2, -0.5), 3.04, 1e-4)
    other = Points(*(part[:-1] for part in curves(np.linspace(2.61, 3.6, 7), (-0.2, -0.5), 3.04, 1e-4)[1]))
    assert crossing(first, other).x == pytest.approx(3.04, abs=1e-12)


def test_curves_that_lie_on_each_other_do_not_cross():
    rng = np.random.default_rng(0)
    x, error = np.linspace(1, 2, 8), np.full(8, 1e-3)
    for _ in range(20):
        first, second = (Points(x, 0.66 + 1e-3 * rng.standard_normal(8), error) for _ in range(2))
        found = crossing(first, second)
        assert found is None or found.error > 0.05
    assert crossing(*(Points(x, y, error) for y in (0.6 + 0.1 * x, 0.7 + 0.1 * x))) is None


def test_noise_in_a_phase_is_not_taken_for_the_crossing():
    """Left of 3 both curves are at 2/3 within their errors, and their difference has any sign."""
    rng = np.random.default_rng(1)
    x, error = np.linspace(1.0, 4.0, 13), np.full(13, 1e-3)
    means = [2 / 3 - slope * np.maximum(0, x - 2.4) ** 2 + gap * (x > 2) for slope, gap in ((0.1, -0.02), (0.3, 0.0))]
    first, second = (Points(x, mean + 1e-3 * rng.standard_normal(13), error) for mean in means)
    found = crossing(first, second)
    assert found.x == pytest.approx(2.4 + 0.1**0.5, abs=0.03)  # 0.2 (x - 2.4)^2 = 0.02
