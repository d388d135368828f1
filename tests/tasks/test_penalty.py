"""Penalties on overlaps against dense matrices: local values, gradients, fidelities with their errors, levels."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.force import force
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.penalty import Drawn, Lower, fidelities, of_energy, penalised
from nqs_hpc.tasks.vmc import vmc
from nqs_hpc.types import Samples
from nqs_hpc.update.minsr import minsr
from tests.systems import SERIAL, all_states, amplitudes, ansatz_of, heisenberg_ring, ring, tfim_ring

N = 4
SPACE = spin_half(N)
LAMBDAS = (1.7, 0.6)


def shifted(ansatz, by):
    """The same wave function, log psi moved by a constant: norms and phases must not count."""
    return ansatz._replace(log_psi=lambda params, s_N: ansatz.log_psi(params, s_N) + by)


def lower_of(ansatz, penalty):
    return Lower(ansatz, enumeration(ansatz, SPACE, SERIAL), penalty)


def drawn(ansatz, params, lower, fixed):
    def of(one, own):
        return enumeration(one, SPACE, SERIAL).sample(jax.random.key(0), own, ())[1]

    return Drawn(of(ansatz, params), tuple(of(one.ansatz, own) for one, own in zip(lower, fixed, strict=True)), fixed)


def dense_penalised(matrix, phis):
    """H + sum lambda |phi><phi| of normalised phi."""
    return matrix + sum(c * np.outer(phi, phi.conj()) for c, phi in zip(LAMBDAS, phis, strict=True))


CASES = [("rbm-complex", "mlp-complex"), ("rbm-real", "rbm-complex"), ("mlp-complex", "rbm-real")]


@pytest.mark.parametrize(("name", "below"), CASES)
def test_local_values_and_the_gradient_are_those_of_the_matrix(name, below):
    """psi below two others: local values are (H' psi)(s) / psi(s), twice the force is the gradient of <H'>."""
    ansatz = ansatz_of(name, N)
    lower = [
        lower_of(shifted(ansatz_of(below, N), 300.0), LAMBDAS[0]),
        lower_of(shifted(ansatz_of("mlp-complex", N), -200.0 + 1.3j), LAMBDAS[1]),
    ]
    params = ansatz.init(jax.random.key(1))
    fixed = tuple(one.ansatz.init(jax.random.key(k)) for k, one in zip((7, 8), lower, strict=True))
    states = all_states(N)
    phis = [amplitudes(one.ansatz, own, states) for one, own in zip(lower, fixed, strict=True)]
    whole = dense_penalised(heisenberg_ring(N), phis)
    operator = heisenberg(N, [ring(N)], [1.0])
    evaluate = jax.jit(penalised(ansatz, operator, lower, SERIAL, chain_length=0, chunk=5))
    batch, shared = evaluate(params, drawn(ansatz, params, lower, fixed), {})

    # the order of the enumeration is that of its codes
    places = [{tuple(s): i for i, s in enumerate(states.tolist())}[tuple(s)] for s in batch.samples.s_BN.tolist()]
    psi = amplitudes(ansatz, params, states)
    local = (whole @ psi / psi)[places]
    if not np.iscomplexobj(batch.e_loc_B):
        local = local.real
    np.testing.assert_allclose(batch.e_loc_B, local, rtol=1e-11)
    assert batch.estimate.mean.real == pytest.approx(np.real(psi.conj() @ whole @ psi), rel=1e-12)
    alone = of_energy(batch, shared, 0, False)
    assert alone.estimate.mean.real == pytest.approx(np.real(psi.conj() @ heisenberg_ring(N) @ psi), rel=1e-12)
    sampler = enumeration(ansatz, SPACE, SERIAL)
    for one, phi in zip(fidelities([shared.overlaps], [batch.w_A], sampler), phis, strict=True):
        assert one.value == pytest.approx(abs(phi.conj() @ psi) ** 2, rel=1e-11) and one.error == 0

    real = flat(params, "real")

    @jax.jit
    def energy(theta):
        log_psi = jax.vmap(ansatz.log_psi, in_axes=(None, 0))(real.unravel(theta), jnp.asarray(states))
        psi = jnp.exp(log_psi)
        return jnp.real(psi.conj() @ whole @ psi) / jnp.sum(jnp.abs(psi) ** 2)

    theta, step = np.asarray(real.ravel(params)), 1e-5
    differences = [(energy(theta + step * e) - energy(theta - step * e)) / (2 * step) for e in np.eye(len(theta))]
    found = force(ansatz, real, params, batch, None)
    assert np.abs(2 * found - np.array(differences)).max() < 1e-6 and np.abs(found).max() > 1e-3


def table(psi_D):
    """Any wave function: its parameters are log psi of every state."""
    powers = jnp.asarray(2 ** np.arange(int(np.log2(len(psi_D)))))
    with np.errstate(divide="ignore"):
        log_D = jnp.asarray(np.log(psi_D.astype(complex)))
    return full_evaluation(lambda key: log_D, lambda p, s_N: p[jnp.sum((1 - s_N.astype(int)) // 2 * powers)], "complex")


def test_of_an_excited_state_nothing_fluctuates_though_it_has_zeros():
    """The second level of a ring, above the exact first one; zeros of either wave function have no weight."""
    _, vectors = np.linalg.eigh(heisenberg_ring(N) - 0.01 * np.diag(all_states(N).sum(axis=1)))
    vectors = np.where(np.abs(vectors) < 1e-13, 0, vectors)
    ansatz, below = table(vectors[:, 1]), table(vectors[:, 0])
    lower, params = [lower_of(below, 5.0)], ansatz.init(None)
    operator = heisenberg(N, [ring(N)], [1.0])
    evaluate = jax.jit(penalised(ansatz, operator, lower, SERIAL, chain_length=0, chunk=None))
    batch, shared = evaluate(params, drawn(ansatz, params, lower, (below.init(None),)), {})
    assert np.all(np.isfinite(batch.e_loc_A)) and float(batch.estimate.variance) < 1e-20
    (found,) = fidelities([shared.overlaps], [batch.w_A], enumeration(ansatz, SPACE, SERIAL))
    assert abs(found.value) < 1e-12


def test_fidelities_by_metropolis_have_honest_errors():
    """Of 60 independent evaluations 55 to 80 % lie within one standard error of the exact fidelity."""
    psi, phi = ansatz_of("rbm-complex", N), ansatz_of("mlp-complex", N)
    params, fixed = psi.init(jax.random.key(1)), (phi.init(jax.random.key(7)),)
    samplers = [
        metropolis(one, flip(SPACE), SPACE, SERIAL, n_chains=64, n_samples=512, sweep=2 * N, warmup=16)
        for one in (psi, phi)
    ]
    lower = [Lower(phi, samplers[1], 1.0)]
    states = all_states(N)
    exact = abs(amplitudes(phi, fixed[0], states).conj() @ amplitudes(psi, params, states)) ** 2
    evaluate = jax.jit(penalised(psi, ising(N, ring(N), J=1.0, h=1.0), lower, SERIAL, chain_length=8, chunk=None))
    draws = [jax.jit(one.sample) for one in samplers]
    inside, deviations = 0, []
    for trial in range(60):
        found: list[Samples] = []
        for j, (sampler, draw, own) in enumerate(zip(samplers, draws, (params, *fixed), strict=True)):
            key = jax.random.key_data(jax.random.key(1000 * j + trial))
            chains = sampler.init(key)
            for call in range(3):
                chains, samples, _ = draw(key + np.uint32(call), own, chains)
            found.append(samples)
        batch, shared = evaluate(params, Drawn(found[0], (found[1],), fixed), {})
        (one,) = fidelities([shared.overlaps], [batch.w_A], samplers[0])
        inside += abs(one.value - exact) < one.error
        deviations.append((one.value - exact) / one.error)
    assert 33 <= inside <= 48 and abs(np.mean(deviations)) < 3 / np.sqrt(60)


def test_the_second_excited_state_of_a_ring_of_six():
    """TFIM, above the exact two lowest states, whose parameters stay what they are."""
    n = 6
    energies, vectors = np.linalg.eigh(tfim_ring(n, 1.0))
    psi = ansatz_of("rbm-complex", n)
    space = spin_half(n)
    lower = []
    for k in (0, 1):
        made = table(vectors[:, k].real)
        lower.append(Lower(made, enumeration(made, space, SERIAL), 8.0))
    rates = {"learning_rate": optax.constant_schedule(0.1), "diag_shift": optax.constant_schedule(1e-3)}
    update = minsr(psi, SERIAL, solver="cholesky", **rates)
    operator = ising(n, ring(n), J=1.0, h=1.0)
    driver = vmc(psi, operator, enumeration(psi, space, SERIAL), update, SERIAL, seed=2, chunk=None, lower=lower)
    state = driver.warmed(driver.init())
    for _ in range(150):
        moved, samples, counts = driver.sample(state)
        batch, _ = driver.evaluate(state.params, samples, counts)
        state, _ = driver.update(state, moved, batch)
    final = driver.final(state.params, 1, state=state)
    assert final.mean.real == pytest.approx(energies[2], abs=5e-3) and energies[2] > energies[1] + 0.5
    assert all(
        np.array_equal(*pair) for pair in zip(state.memory.lower, (one.ansatz.init(None) for one in lower), strict=True)
    )
