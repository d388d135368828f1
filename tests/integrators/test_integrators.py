"""Coefficients against the conditions of their order, and how long steps are."""

import math

import numpy as np
import pytest

from nqs_hpc.integrators.control import GROW, judged, trial
from nqs_hpc.integrators.euler import euler
from nqs_hpc.integrators.heun import heun
from nqs_hpc.integrators.rk4 import rk4
from nqs_hpc.integrators.rk23 import LOWER, rk23

ADAPTIVE = rk23(tolerance=1e-4, first=1e-3, least=1e-5, most=0.1)
METHODS = [euler(0.1), heun(0.1), rk4(0.1), ADAPTIVE]


def conditions(a, b, c):
    """The residuals of the conditions of order 1, 2, 3 and 4 (Hairer, Norsett and Wanner, table II.2.1)."""
    return [
        [b.sum() - 1],
        [b @ c - 1 / 2],
        [b @ c**2 - 1 / 3, b @ a @ c - 1 / 6],
        [b @ c**3 - 1 / 4, (b * c) @ a @ c - 1 / 8, b @ a @ c**2 - 1 / 12, b @ a @ a @ c - 1 / 24],
    ]


def arrays(method):
    n = method.n_stages
    return np.array([[*row, *[0.0] * (n - len(row))] for row in method.a]), np.array(method.b), np.array(method.c)


@pytest.mark.parametrize("method", METHODS, ids=["euler", "heun", "rk4", "rk23"])
def test_the_conditions_of_the_order_hold_and_no_more(method):
    a, b, c = arrays(method)
    assert np.allclose(a.sum(axis=1), c)
    found = [np.abs(order).max() for order in conditions(a, b, c)]
    assert max(found[: method.order]) < 1e-15
    assert method.order == 4 or found[method.order] > 1e-3


def test_the_lower_method_is_of_second_order_and_the_last_stage_is_the_new_state():
    a, b, c = arrays(ADAPTIVE)
    found = [np.abs(order).max() for order in conditions(a, np.array(LOWER), c)]
    assert max(found[:2]) < 1e-15 < 1e-3 < found[2]
    assert ADAPTIVE.is_fsal and ADAPTIVE.a[-1] == ADAPTIVE.b[:3] and c[-1] == 1
    assert np.allclose(ADAPTIVE.error, b - np.array(LOWER))


def test_fixed_steps_are_equal_parts_of_what_is_left():
    steps = heun(0.03).steps
    time, lengths = 0.0, []
    while time < 0.1:
        step = trial(steps, 0.03, time, 0.1)
        lengths.append(step.dt)
        time = 0.1 if step.lands else time + step.dt
    assert lengths == pytest.approx([0.025] * 4)
    assert trial(heun(0.01).steps, 0.01, 0.09, 0.1).lands  # 0.1 - 0.09 is a little more than 0.01


def test_adaptive_steps_land_without_a_splinter():
    assert trial(ADAPTIVE.steps, 0.04, 0.0, 0.1) == (0.04, False)
    assert trial(ADAPTIVE.steps, 0.06, 0.0, 0.1) == (0.05, False)
    assert trial(ADAPTIVE.steps, 0.2, 0.0, 0.1) == (0.1, True)


@pytest.mark.parametrize(
    ("tried", "error", "accepted", "following"),
    [
        (0.01, 1e-4, True, 0.009),
        (0.01, 1e-4 / 8, True, 0.018),
        (0.01, 0.0, True, 0.01 * GROW),
        (0.01, 8e-4, False, 0.0045),
        (0.01, math.inf, False, 0.002),
        (0.01, math.nan, False, 0.002),
        (0.09, 0.0, True, 0.1),  # the longest
        (1.2e-5, math.inf, False, 1e-5),  # the shortest
    ],
)
def test_the_length_of_the_next_step(tried, error, accepted, following):
    found = judged(ADAPTIVE, tried, tried, error)
    assert found.accepted == accepted and found.dt == pytest.approx(following) and not found.at_floor


def test_at_the_floor_a_step_is_taken_whatever_its_error_unless_it_leads_nowhere():
    assert judged(ADAPTIVE, 1e-5, 1e-5, 1.0) == (True, 1e-5, True)
    assert not judged(ADAPTIVE, 1e-5, 1e-5, math.nan).accepted


def test_a_step_cut_short_says_nothing_of_the_length_before():
    """Landing on a time of output must not make all later steps short."""
    assert judged(ADAPTIVE, 0.05, 0.001, 1e-12).dt == 0.05
    assert judged(ADAPTIVE, 0.05, 0.02, 1e-4).dt == pytest.approx(0.018)
    assert judged(heun(0.03), 0.03, 0.01, 0.0) == (True, 0.03, False)
