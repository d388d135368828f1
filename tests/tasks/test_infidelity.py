"""The infidelity with a target and its gradient against dense vectors; the error of its value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.force import force
from nqs_hpc.operators.ising import ising
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.infidelity import Substep, infidelity, measured
from nqs_hpc.types import Samples
from tests.systems import SERIAL, all_states, amplitudes, ansatz_of, ring, tfim_ring

N, H = 4, 1.3
SPACE = spin_half(N)
A, B = 0.06j * (0.5 - 0.5j), 0.06j * (0.5 + 0.5j)
TFIM = ising(N, ring(N), J=1.0, h=H)
MEAN = -2.0


def target(phi, split):
    """Phi as a dense vector."""
    matrix = tfim_ring(N, H)
    z = np.diag(matrix) if split else np.zeros(2**N)
    return np.exp(-B * z) * (phi - A * ((matrix - np.diag(z)) @ phi - MEAN * phi))


def loss(psi, other):
    return 1 - abs(other.conj() @ psi) ** 2 / (np.linalg.norm(psi) * np.linalg.norm(other)) ** 2


def evaluated(ansatz, params, fixed, own, beside, split):
    functions = infidelity(ansatz, TFIM, SERIAL, split=split, chunk=None)
    known = [functions.known(params, fixed, some.s_BN, jnp.float64(0)) for some in (own, beside)]
    substep = Substep(A + 0j, B if split else 0j, MEAN + 0j)
    return functions.compare(params, *known, own, beside, {}, substep)


def exact_samples(ansatz, params):
    return enumeration(ansatz, SPACE, SERIAL).sample(jax.random.key(0), params, ())[1]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("name", ["rbm-complex", "mlp-complex"])
def test_value_and_gradient_are_those_of_dense_vectors(name, split):
    ansatz = ansatz_of(name, N)
    params, fixed = (ansatz.init(jax.random.key(k)) for k in (1, 2))
    states = all_states(N)
    other = target(amplitudes(ansatz, fixed, states), split)

    @jax.jit
    def both(params, fixed, own, beside):
        return evaluated(ansatz, params, fixed, own, beside, split)

    batch, pairs, _ = both(params, fixed, exact_samples(ansatz, params), exact_samples(ansatz, fixed))
    value = loss(amplitudes(ansatz, params, states), other)
    assert measured(pairs, 0).value == pytest.approx(value, rel=1e-10) and value > 1e-3
    assert measured(pairs, 0).error == 0
    real = flat(params, "real")
    theta, step = np.asarray(real.ravel(params)), 1e-5

    @jax.jit
    def psi(theta):
        return jnp.exp(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(real.unravel(theta), jnp.asarray(states)))

    found = force(ansatz, real, params, batch, None)
    lost = [[loss(np.asarray(psi(theta + sign * step * e)), other) for sign in (1, -1)] for e in np.eye(len(theta))]
    differences = np.array([up - down for up, down in lost]) / (2 * step)
    assert np.abs(2 * found - differences).max() < 1e-7 and np.abs(found).max() > 1e-3


def test_a_small_infidelity_keeps_its_digits():
    """At the target but for 1e-9 the value is of the order 1e-18, far below the rounding of 1 - F."""
    ansatz = ansatz_of("rbm-complex", N)
    params = ansatz.init(jax.random.key(1))
    near = jax.tree.map(lambda leaf: leaf + 1e-9, params)
    functions = infidelity(ansatz, TFIM, SERIAL, split=False, chunk=None)
    found = {}
    for shift, other in ((1e-9, near), (1e-5, jax.tree.map(lambda leaf: leaf + 1e-5, params))):
        own, beside = exact_samples(ansatz, params), exact_samples(ansatz, other)
        known = [functions.known(params, other, some.s_BN, jnp.float64(0)) for some in (own, beside)]
        found[shift] = measured(functions.compare(params, *known, own, beside, {}, Substep(0j, 0j, 0j))[1], 0).value
    assert found[1e-9] == pytest.approx(1e-8 * found[1e-5], rel=1e-4) and found[1e-9] < 1e-15


@pytest.mark.parametrize("blur", [False, True])
def test_of_samples_the_value_has_no_bias_and_an_honest_error(blur):
    """Of 100 independent evaluations 55 to 80 lie within one standard error of the dense value; also of samples whose
    weights differ.
    """
    ansatz = ansatz_of("rbm-complex", N)
    fixed = ansatz.init(jax.random.key(2))
    params = jax.tree.map(lambda leaf: leaf + 0.03, fixed)
    states = all_states(N)
    value = loss(amplitudes(ansatz, params, states), target(amplitudes(ansatz, fixed, states), True))
    length = 8
    sampler = metropolis(ansatz, flip(SPACE), SPACE, SERIAL, n_chains=64, n_samples=512, sweep=2 * N, warmup=16)
    rng = np.random.default_rng(5)
    draw = jax.jit(sampler.sample)

    @jax.jit
    def pairs_of(own, beside):
        return evaluated(ansatz, params, fixed, own, beside, True)[1]

    chains = [sampler.init(jax.random.key_data(jax.random.key(k))) for k in (3, 4)]
    found, deviations = [], []
    for trial in range(104):
        both = []
        for j, own in enumerate((params, fixed)):
            key = jax.random.key_data(jax.random.key(1000 * j + trial))
            chains[j], samples, _ = draw(key, own, chains[j])
            both.append(blurred(ansatz, own, samples, rng) if blur else samples)
        if trial >= 4:
            one = measured(pairs_of(*both), length)
            found.append(one.value)
            deviations.append((one.value - value) / one.error)
    inside = np.sum(np.abs(deviations) < 1)
    assert 55 <= inside <= 80 and abs(np.mean(deviations)) < 0.35
    assert np.mean(found) == pytest.approx(value, rel=0.03)


def blurred(ansatz, params, samples, rng, q=0.3):
    """Some samples flipped at a random site, with their weights |psi|^2 / q_blur from the dense wave function."""
    states = all_states(N)
    probability = np.abs(amplitudes(ansatz, params, states)) ** 2
    s_BN = np.array(samples.s_BN)
    goes, site = rng.random(len(s_BN)) < q, rng.integers(N, size=len(s_BN))
    s_BN[goes, site[goes]] *= -1
    code_B = ((1 - s_BN) // 2) @ 2 ** np.arange(N)
    near = sum(probability[np.arange(2**N) ^ 2**i] for i in range(N)) / N
    w_B = (probability / ((1 - q) * probability + q * near))[code_B]
    return Samples(jnp.asarray(s_BN), jnp.asarray(w_B / w_B.sum()))
