"""Product expansions against the exact evolution of state vectors, and against Taylor's polynomial."""

import math

import numpy as np
import pytest
from scipy.linalg import expm

from nqs_hpc.integrators import lpe, slpe
from tests.systems import tfim_ring

N = 5
CASES = [("lpe", order) for order in lpe.FACTORS] + [("slpe", order) for order in slpe.FACTORS]


def expansion(name, order, dt):
    return (lpe.lpe if name == "lpe" else slpe.slpe)(order, dt)


def stepped(product, matrix, psi, x):
    """One step of a state vector, dense."""
    dt = product.steps.first
    z = np.diag(np.diag(matrix)) if product.b else np.zeros_like(matrix)
    for a, b in zip(product.a, product.b or [0] * product.n_substeps, strict=True):
        psi = expm(-x * b * dt * z) @ (psi - x * a * dt * (matrix - z) @ psi)
    return psi


def infidelity(one, other):
    """The square of the part of one that is not along the other: 1 - F without its cancellation."""
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    return np.linalg.norm(one - other * (other.conj() @ one)) ** 2


@pytest.mark.parametrize("x", [1j, 1.0])
@pytest.mark.parametrize(("name", "order"), CASES)
def test_the_infidelity_of_a_step_falls_as_its_order_says(name, order, x):
    """1 - F of one step grows as dt^(2 (order + 1)), whichever of both times it is."""
    matrix = tfim_ring(N, 1.3)
    rng = np.random.default_rng(3)
    psi = rng.normal(size=2**N) + 1j * rng.normal(size=2**N)
    dts = np.array([0.02, 0.01])
    found = [
        infidelity(stepped(expansion(name, order, dt), matrix, psi, x), expm(-x * dt * matrix) @ psi) for dt in dts
    ]
    slope = np.log(found[0] / found[1]) / np.log(dts[0] / dts[1])
    assert slope == pytest.approx(2 * (order + 1), abs=0.2) and found[0] > 1e-28


@pytest.mark.parametrize("order", lpe.FACTORS)
def test_the_factors_multiply_to_the_polynomial(order):
    polynomial = np.ones(1, complex)
    for a in lpe.lpe(order, 0.1).a:
        polynomial = np.convolve(polynomial, [1, a])
    np.testing.assert_allclose(polynomial, [1 / math.factorial(n) for n in range(order + 1)], atol=1e-15)


def test_only_the_first_orders_are_real():
    assert [expansion(*case, 0.1).is_real for case in CASES] == [order == 1 for _, order in CASES]
