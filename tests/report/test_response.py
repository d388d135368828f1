"""S(q, omega) from exactly evolved kicks against Lehmann's sum over all states, with the same window."""

import functools

import numpy as np
import pytest

from nqs_hpc.report.response import correlations, dynamical_structure_factor

N, J, H = 6, 1.0, 1.5
T, STEPS = 12.0, 240


@functools.cache
def ring():
    """Levels, eigenvectors in columns, and the diagonals of sigma^z of each site, built by Kronecker products."""
    z, x, one = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.eye(2)

    def on(matrix, site):
        return functools.reduce(np.kron, [matrix if i == site else one for i in range(N)])

    zs = [on(z, i) for i in range(N)]
    hamiltonian = -J * sum(zs[i] @ zs[(i + 1) % N] for i in range(N)) - H * sum(on(x, i) for i in range(N))
    levels, vectors = np.linalg.eigh(hamiltonian)
    return levels, vectors, np.array([np.diag(one) for one in zs])


def kicked(strength, state, site):
    """<sigma^z_r>(t), (T, N), after the kick."""
    levels, vectors, z_ND = ring()
    times = np.linspace(0, T, STEPS + 1)
    amplitudes = vectors.T @ (np.exp(-1j * strength * z_ND[site]) * state)
    psi_TD = (np.exp(-1j * np.outer(times, levels)) * amplitudes) @ vectors.T
    return times, np.abs(psi_TD) ** 2 @ z_ND.T


def lehmann(q, omega):
    levels, vectors, z_ND = ring()
    z_q = np.exp(1j * q * np.arange(N)) @ z_ND / np.sqrt(N)
    weight = np.abs(vectors.T @ (z_q * vectors[:, 0])) ** 2
    fine = np.linspace(0, T, 20001)
    window = np.cos(np.pi * fine / (2 * T)) ** 2

    def peak(x):
        return np.trapezoid(window * np.cos(x * fine), fine) / np.pi

    return sum(
        w * (peak(omega - e) - peak(omega + e)) for w, e in zip(weight, levels - levels[0], strict=True) if w > 1e-12
    )


@pytest.mark.parametrize("strength", [np.pi / 4, 0.2])
def test_one_kick_of_a_ground_state(strength):
    times, z_TN = kicked(strength, ring()[1][:, 0], site=2)
    im_c, _ = correlations(z_TN, strength)
    q = 2 * np.pi * np.arange(N) / N
    found = dynamical_structure_factor(times, im_c, np.arange(N)[:, None], 2, q[:, None])
    at = np.abs(found.omega_W) < 8
    for k in (0, 1, 3):
        exact = np.array([lehmann(q[k], omega) for omega in found.omega_W[at][::9]])
        assert exact.max() > 0.5
        assert found.value_QW[k][at][::9] == pytest.approx(exact, abs=2e-4)
    assert found.value_QW.sum(axis=1) * found.omega_W[1] == pytest.approx(
        [np.sum(np.abs(np.exp(1j * p * np.arange(N)) @ ring()[2] / np.sqrt(N) * ring()[1][:, 0]) ** 2) for p in q],
        abs=5e-3,
    )  # sum rule: the static structure factor


def test_two_opposite_kicks_of_any_state():
    """Of a state without symmetries the parts that are even in the angle drop out."""
    levels, vectors, z_ND = ring()
    state = np.random.default_rng(1).normal(size=2**N)
    state /= np.linalg.norm(state)
    times, plus = kicked(0.6, state, 0)
    _, minus = kicked(-0.6, state, 0)
    im_c, errors = correlations(plus, 0.6, opposite_TN=minus, errors=(np.full_like(plus, 0.1), np.zeros_like(plus)))
    t = times[37]
    evolve = vectors @ np.diag(np.exp(-1j * t * levels)) @ vectors.T
    exact = [np.imag((evolve @ state).conj() @ (z * (evolve @ (z_ND[0] * state)))) for z in z_ND]
    assert im_c[37] == pytest.approx(exact, abs=1e-12) and np.abs(exact).max() > 0.05
    assert errors == pytest.approx(np.full_like(plus, 0.1 / (2 * np.sin(1.2))))
    assert np.abs(correlations(plus, 0.6)[0][37] - exact).max() > 0.05  # one of them alone does not do


def test_errors_of_a_spectrum_are_those_of_noise():
    rng = np.random.default_rng(2)
    times, noise = np.linspace(0, T, 61), rng.normal(size=(400, 61, N))
    q, x = 2 * np.pi * np.arange(N)[:, None] / N, np.arange(N)[:, None]
    found = [dynamical_structure_factor(times, one, x, 0, q, error_TN=np.ones((61, N))) for one in noise]
    spread = np.std([one.value_QW for one in found], axis=0)
    inside = found[0].error_QW > 1e-3
    assert spread[inside] / found[0].error_QW[inside] == pytest.approx(1.0, abs=0.2)
