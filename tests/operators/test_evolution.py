"""Exact evolution, against exponentials of small dense matrices and trajectories computed apart."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from nqs_hpc.operators.driven import driven
from nqs_hpc.operators.evolution import OutOfTime, evolution
from nqs_hpc.operators.exact import lowest_states
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.ramped import Coupling, ramped
from nqs_hpc.system.hilbert import codes, decode, spin_half
from nqs_hpc.system.lattice import FACTORIES, neighbours
from nqs_hpc.types import PauliString
from tests.systems import dense, heisenberg_ring, ring, tfim_ring

N = 4
TRAJECTORIES = json.loads((Path(__file__).parents[1] / "data" / "trajectories.json").read_text())["trajectories"]


def random_psi(n_states, seed=0):
    psi = np.random.default_rng(seed).normal(size=(2, n_states)) @ np.eye(n_states)
    psi = psi[0] + 1j * psi[1]
    return psi / np.linalg.norm(psi)


def small_steps(matrix_at, psi, end, n):
    """prod exp(-i dt H(midpoint)) psi, of the second order in dt; extrapolated from n and 2n steps to the fourth."""

    def of(steps):
        found, dt = psi, end / steps
        for i in range(steps):
            levels, vectors = np.linalg.eigh(matrix_at((i + 0.5) * dt))
            found = vectors @ (np.exp(-1j * dt * levels) * (vectors.conj().T @ found))
        return found

    return (4 * of(2 * n) - of(n)) / 3


def test_a_constant_hamiltonian():
    psi, times = random_psi(2**N), [0.0, 0.3, 0.3, 2.0]
    found = list(evolution(ising(N, ring(N), J=1.0, h=0.7, g=0.4), spin_half(N), psi, times))
    exact = tfim_ring(N, 0.7) + dense(N, [(-0.4, {i: "Z"}) for i in range(N)])
    for instant, time in zip(found, times, strict=True):
        assert instant.time == time
        np.testing.assert_allclose(instant.psi_D, expm(-1j * time * exact) @ psi, atol=1e-10)
        assert instant.energy == pytest.approx(np.vdot(psi, exact @ psi).real, abs=1e-10)


def test_imaginary_time_tends_to_the_ground_state():
    psi, operator = random_psi(2**N), ising(N, ring(N), J=1.0, h=2.0)
    found = list(evolution(operator, spin_half(N), psi, [0.0, 0.4, 30.0], imaginary=True))
    exact = expm(-0.4 * tfim_ring(N, 2.0)) @ psi
    np.testing.assert_allclose(found[1].psi_D, exact / np.linalg.norm(exact), atol=1e-10)
    assert found[2].energy == pytest.approx(lowest_states(operator, spin_half(N))[0][0], abs=1e-9)


def test_a_ramp_and_a_cosine():
    """h goes from 2 through 0 to -1 with a kink, g oscillates."""
    knots, values = [0.0, 0.5, 1.5], [2.0, 0.5, -1.0]

    def field(time):
        return jnp.interp(time, jnp.asarray(knots), jnp.asarray(values))

    couplings = [Coupling(field, -1.0, 2.0), Coupling(lambda t: 0.3 * jnp.cos(5.0 * t + 0.2), -0.3, 0.3)]
    operator = ramped(lambda c: ising(N, ring(N), J=1.0, h=c[0], g=c[1]), couplings, spin_half(N)).operator
    psi = random_psi(2**N)
    zz = dense(N, [(-1.0, {i: "Z", (i + 1) % N: "Z"}) for i in range(N)])
    x, z = (dense(N, [(-1.0, {i: a}) for i in range(N)]) for a in "XZ")

    def matrix_at(time):
        return zz + np.interp(time, knots, values) * x + 0.3 * np.cos(5.0 * time + 0.2) * z

    found = list(evolution(operator, spin_half(N), psi, [0.0, 0.7, 2.0]))
    exact = small_steps(matrix_at, psi, 2.0, 2000)  # kinks fall on its steps
    assert np.linalg.norm(found[2].psi_D - exact) < 1e-9
    assert found[2].energy == pytest.approx(np.vdot(exact, matrix_at(2.0) @ exact).real, abs=1e-8)


def test_a_heisenberg_chain_in_a_sector_of_complex_elements():
    """J ramps in the sector of total 0, beside a constant term that makes H complex; by parts that are given apart."""
    n, space = 6, spin_half(6, 0)
    bonds = [(i, (i + 1) % n) for i in range(n)]
    chiral = pauli(n, [PauliString(0.3 * sign, a, pair) for pair in bonds for sign, a in ((1, "XY"), (-1, "YX"))])
    operator = driven(chiral, [(lambda t: 1.0 - 0.5 * t, heisenberg(n, [ring(n)], [1.0]))], is_real=False)
    inside = codes(space)
    block = np.ix_(inside, inside)
    constant = dense(n, [(0.3 * s, {i: a[0], j: a[1]}) for i, j in bonds for s, a in ((1, "XY"), (-1, "YX"))])[block]
    exchange = heisenberg_ring(n)[block]
    psi = random_psi(len(inside))
    (_, found) = evolution(operator, space, psi, [0.0, 1.0])
    exact = small_steps(lambda t: constant + (1.0 - 0.5 * t) * exchange, psi, 1.0, 300)
    assert np.linalg.norm(found.psi_D - exact) < 1e-9


def means(psi, n, bonds):
    """<sx> a site, <sz sz> a bond, <(sum sz / n)^2>."""
    s = decode(spin_half(n), codes(spin_half(n)))
    w = np.abs(psi) ** 2
    flipped = sum(np.vdot(psi, psi.reshape([2] * n)[(slice(None),) * i + (slice(None, None, -1),)].ravel())
                  for i in range(n)).real  # fmt: skip
    zz = (w @ (s[:, bonds[:, 0]] * s[:, bonds[:, 1]])).mean()
    return flipped / n, zz, w @ (s.astype(float).mean(axis=1) ** 2)


@pytest.mark.parametrize("n", [10, pytest.param(16, marks=pytest.mark.slow)])
def test_trajectories_that_are_known(n):
    (known,) = [one for one in TRAJECTORIES if one["n_sites"] == n]
    lattice = FACTORIES["chain"]((10,), (True,)) if n == 10 else FACTORIES["square"]((4, 4), (True, True))
    bonds, space = neighbours(lattice, 1), spin_half(n)
    if n == 10:
        operator, psi = ising(n, bonds, J=1.0, h=0.5), np.ones(2**n)
    else:
        (_, start), (end, _) = known["ramp"]
        field = Coupling(lambda t: start * (1 - t / end), 0.0, start)
        operator = ramped(lambda c: ising(n, bonds, J=1.0, h=c[0]), [field], space).operator
        psi = lowest_states(operator, space)[1][:, 0]
    for i, instant in enumerate(evolution(operator, space, psi, known["t"])):
        found = means(instant.psi_D, n, bonds)
        exact = [known[name][i] for name in ("sx", "zz_nn", "mz2")]
        np.testing.assert_allclose(found, exact, atol=max(1e-9, known["error"]))
        assert instant.energy == pytest.approx(known["energy"][i], abs=100 * known["error"])


def test_what_it_does_not_do():
    operator, psi = ising(N, ring(N), J=1.0, h=0.7), random_psi(2**N)
    with pytest.raises(OutOfTime):
        list(evolution(operator, spin_half(N), psi, [0.0, 1.0], deadline=0.0))
    with pytest.raises(ValueError, match="not Hermitian"):
        list(evolution(operator._replace(is_hermitian=False), spin_half(N), psi, [0.0, 1.0]))
