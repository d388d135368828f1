"""One step of the ground-state driver: exact sums, rejected steps, running means, one compilation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.job.quantities import GROUND_STATE
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.sampler.adaptive import Bounds, stretched
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.tasks.ground_state import SHOWN
from nqs_hpc.tasks.guard import possible
from nqs_hpc.tasks.measurement import parameter_hash
from nqs_hpc.tasks.running_mean import averaged
from nqs_hpc.tasks.vmc import vmc
from nqs_hpc.types import Samples
from nqs_hpc.update.minsr import minsr
from tests.systems import KINDS, SERIAL, all_states, amplitudes, ansatz_of, heisenberg_ring, ring, tfim_ring

N = 6


def rates(eta, shift=0.01):
    return {"learning_rate": optax.constant_schedule(eta), "diag_shift": optax.constant_schedule(shift)}


def table(log_psi_D: np.ndarray):
    """The ansatz whose parameters are log psi of every state: any wave function, exactly."""
    powers = jnp.asarray(2 ** np.arange(int(np.log2(len(log_psi_D)))))

    def log_psi(params, s_N):
        return params[jnp.sum((1 - s_N.astype(int)) // 2 * powers)]

    return full_evaluation(lambda key: jnp.asarray(log_psi_D), log_psi, "complex")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("model", ["ising", "heisenberg"])
def test_sum_of_local_energies_is_the_expectation_value(name, model):
    """sum p E_loc = psi^dagger H psi / psi^dagger psi to 1e-12."""
    ansatz = ansatz_of(name, N)
    params = ansatz.init(jax.random.key(0))
    operator, matrix = {
        "ising": (ising(N, ring(N), J=1.0, h=0.7), tfim_ring(N, 0.7)),
        "heisenberg": (heisenberg(N, [ring(N)], [1.0]), heisenberg_ring(N)),
    }[model]
    psi = amplitudes(ansatz, params, all_states(N))
    exact = np.real(psi.conj() @ matrix @ psi)
    spread = np.linalg.norm(matrix @ psi - exact * psi) ** 2
    sampler = enumeration(ansatz, spin_half(N), SERIAL)
    update = minsr(ansatz, SERIAL, solver="cholesky", **rates(0.1))
    final = vmc(ansatz, operator, sampler, update, SERIAL, seed=0, chunk=None).final(params, 0)
    assert final.mean.real == pytest.approx(exact, rel=1e-12) and abs(final.mean.imag) < 1e-12
    assert final.variance == pytest.approx(spread, rel=1e-11) and final.error == 0
    chunked = vmc(ansatz, operator, sampler, update, SERIAL, seed=0, chunk=10).final(params, 0)
    assert np.abs(chunked.e_loc_A - final.e_loc_A).max() < 1e-12


def test_local_energy_of_an_eigenvector_does_not_fluctuate():
    """Heisenberg ring, lowest state: its signs alternate and states outside S^z = 0 have psi = 0 and weight 0."""
    energies, vectors = np.linalg.eigh(heisenberg_ring(N))
    with np.errstate(divide="ignore"):
        ansatz = table(np.log(np.where(np.abs(vectors[:, 0]) < 1e-13, 0, vectors[:, 0]).astype(complex)))
    operator = heisenberg(N, [ring(N)], [1.0])
    params = ansatz.init(jax.random.key(0))
    sampler = enumeration(ansatz, spin_half(N), SERIAL)
    update = minsr(ansatz, SERIAL, solver="cholesky", **rates(0.1))
    final = vmc(ansatz, operator, sampler, update, SERIAL, seed=0, chunk=None).final(params, 0)
    assert final.mean.real == pytest.approx(energies[0], rel=1e-13)
    assert np.sqrt(final.variance) < 1e-10 * abs(energies[0])


def test_the_sweep_follows_the_energies_and_the_final_chains_inherit_it():
    """From step to step in the state, as `sampler.adaptive` says it; a final evaluation takes as many proposals."""
    bounds = Bounds(2, 50)
    driver = driver_of(ansatz_of("jastrow", N), sweep=bounds)
    state = driver.init()
    for _ in range(3):
        moved, samples, counts = driver.sample(state)
        batch, _ = driver.evaluate(state.params, samples, counts)
        wanted = stretched(state.chains["samples"].sweep_C, batch.e_loc_A.reshape(16, 4), bounds)
        used = round(float(state.chains["samples"].sweep_C[0]))
        state, info = driver.update(state, moved, batch)
        assert np.allclose(state.chains["samples"].sweep_C, wanted, rtol=1e-12) and wanted[0] != moved.sweep_C[0]
        assert int(info["sweep"]) == used and float(counts["proposed"]) == 64 * used
    long = state.chains["samples"]._replace(sweep_C=state.chains["samples"].sweep_C * 0 + 31.4)
    found = driver.final(state.params, 8, lambda: True, long)
    assert found.counts["proposed"] == 31 * len(found.e_loc_A)


def test_a_final_evaluation_keeps_no_samples():
    """From the third of twelve calls on, no more configurations are there than before."""
    driver, there = driver_of(ansatz_of("jastrow", N)), []

    def also(params, samples, counts):
        there.append(sum(x.dtype == jnp.int8 and x.shape == samples.s_BN.shape for x in jax.live_arrays()))

    found = driver.final(driver.init().params, 48, also=also)
    assert len(there) == 12 and there[-1] <= there[2] and found.e_loc_A.shape == (12 * 64,)


def driver_of(ansatz, *, eta=0.1, n_chains=16, sweep=N, **options):
    operator = ising(N, ring(N), J=1.0, h=1.0)
    sampler = metropolis(
        ansatz, flip(spin_half(N)), spin_half(N), SERIAL, n_chains=n_chains, n_samples=64, sweep=sweep, warmup=10
    )
    update = minsr(ansatz, SERIAL, solver="cholesky", **rates(eta))
    return vmc(ansatz, operator, sampler, update, SERIAL, seed=1, chunk=None, **options)


def one_step(driver, state):
    chains, samples, counts = driver.sample(state)
    batch, shared = driver.evaluate(state.params, samples, counts)
    return *driver.update(state, chains, batch), batch, shared


def test_no_compilation_after_the_first_step_and_none_after_a_restart():
    driver = driver_of(ansatz_of("rbm-real", N), average=0.9)
    state = driver.warmed(driver.init())
    for _ in range(3):
        state, *_ = one_step(driver, state)
    restored = jax.tree.map(lambda x: jnp.array(np.asarray(x)), state)
    one_step(driver, restored)
    driver.final(averaged(state.params, state.memory.average), 64)
    assert [function._cache_size() for function in driver.jitted] == [1] * len(driver.jitted)


def test_a_step_that_is_not_finite_goes_back_and_is_lowered():
    """A rate of 1e9 throws theta where ratios overflow; the next step returns to the parameters before, with half the
    rate."""
    driver = driver_of(ansatz_of("rbm-real", N), eta=1e9, average=0.9)
    start = driver.init()
    thrown, info, *_ = one_step(driver, start)
    assert not info["rejected"] and thrown.memory.rejected == 0
    back, info, batch, _ = one_step(driver, thrown)
    assert info["rejected"] and not np.isfinite(batch.estimate.variance)
    for found, expected in zip(jax.tree.leaves(back.params), jax.tree.leaves(start.params), strict=True):
        assert np.array_equal(found, expected)
    assert (back.memory.scale, back.memory.rejected, back.step) == (0.5, 1, 2)
    assert back.memory.average.weight == 0  # the running mean went back too
    assert np.array_equal(
        back.chains["samples"].s_CN, thrown.chains["samples"].s_CN
    )  # the chains as the good parameters left them
    # the step from there is finite, but only its outcome can say whether the lowered step is small enough
    again, info, *_ = one_step(driver, back)
    assert not info["rejected"] and (again.memory.scale, again.memory.rejected) == (0.5, 1)
    worse, info, *_ = one_step(driver, again)
    assert info["rejected"] and (worse.memory.scale, worse.memory.rejected) == (0.25, 2)
    # with a proven outcome the count starts again and the step size recovers
    healthy = again._replace(params=start.params)
    on, info, *_ = one_step(driver, healthy)
    assert not info["rejected"] and on.memory.rejected == 0 and float(on.memory.scale) == pytest.approx(0.5 * 2**0.125)


def test_an_update_that_is_not_finite_stays_at_finite_parameters():
    """The energies are good and only the solve fails: theta stays where it is instead of going back a step."""
    ansatz = ansatz_of("rbm-real", N)
    driver = driver_of(ansatz)
    state, *_ = one_step(driver, driver.init())
    chains, samples, counts = driver.sample(state)
    batch, _ = driver.evaluate(state.params, samples, counts)
    poisoned = batch._replace(samples=Samples(batch.samples.s_BN, batch.samples.w_B), w_A=batch.w_A.at[0].set(jnp.nan))
    kept, info = driver.update(state, chains, poisoned)
    assert info["rejected"]
    for found, expected in zip(jax.tree.leaves(kept.params), jax.tree.leaves(state.params), strict=True):
        assert np.array_equal(found, expected)


def test_energies_that_no_state_has_are_not_followed():
    """Energies of 1e6 on a spectrum from -12 to 12, as of chains stuck where psi is tiny: the step goes back."""
    driver = driver_of(ansatz_of("rbm-real", N))
    start = driver.init()
    state, *_ = one_step(driver, start)
    chains, samples, counts = driver.sample(state)
    batch, _ = driver.evaluate(state.params, samples, counts)
    wild = batch._replace(estimate=batch.estimate._replace(mean=jnp.float64(1e6), variance=jnp.float64(1e14)))
    back, info = driver.update(state, chains, wild)
    assert info["rejected"] and (back.memory.scale, back.memory.rejected) == (0.5, 1)
    for found, expected in zip(jax.tree.leaves(back.params), jax.tree.leaves(start.params), strict=True):
        assert np.array_equal(found, expected)


def test_which_estimates_are_possible():
    assert possible(-12.0, 100.0, (-12.0, 12.0)) and possible(-13.0, 4 * 144.0, (-12.0, 12.0))  # with noise
    assert not possible(-30.0, 1.0, (-12.0, 12.0)) and not possible(0.0, 600.0, (-12.0, 12.0))
    assert possible(1e9, 1e9, (-np.inf, np.inf)) and possible(2.0, 1e-28, (2.0, 2.0))  # unknown; a constant


def test_running_mean_of_parameters():
    driver = driver_of(ansatz_of("rbm-real", N), average=0.5)
    state = driver.init()
    assert np.array_equal(averaged(state.params, state.memory.average).w, state.params.w)  # nothing to average yet
    seen = []
    for _ in range(3):
        state, *_ = one_step(driver, state)
        seen.append([np.asarray(leaf) for leaf in jax.tree.leaves(state.params)])
    weights = np.array([0.25, 0.5, 1.0]) / 1.75
    for i, leaf in enumerate(jax.tree.leaves(averaged(state.params, state.memory.average))):
        assert np.abs(leaf - sum(w * s[i] for w, s in zip(weights, seen, strict=True))).max() < 1e-15


def test_energy_falls_to_the_ground_state():
    """Exact sums and natural gradient: TFIM ring of 6 to 1e-5 of exact diagonalisation."""
    ansatz = ansatz_of("rbm-real", N)
    operator = ising(N, ring(N), J=1.0, h=1.0)
    sampler = enumeration(ansatz, spin_half(N), SERIAL)
    update = minsr(ansatz, SERIAL, solver="cholesky", **rates(0.2, 1e-4))
    driver = vmc(ansatz, operator, sampler, update, SERIAL, seed=1, chunk=None)
    state = driver.init()
    for _ in range(200):
        state, _, batch, _ = one_step(driver, state)
    exact = np.linalg.eigvalsh(tfim_ring(N, 1.0))[0]
    assert exact - 1e-12 <= batch.estimate.mean < exact + 1e-5 * abs(exact)


def test_hash_tells_a_changed_bit():
    params = {"a": jnp.arange(5.0), "z": jnp.array([1 + 2j])}
    h = parameter_hash(params)
    flipped = params | {"a": params["a"].at[3].set(np.nextafter(3.0, 4.0))}
    assert parameter_hash(flipped) != h == parameter_hash(params)
    assert parameter_hash(params | {"a": params["a"][::-1]}) != h
    assert parameter_hash(params | {"a": -params["a"]}) != h  # many sign bits at once
    assert parameter_hash({"a": jnp.array([1.0, 2.0])}) != parameter_hash({"a": jnp.array([-1.0, -2.0])})
    assert 0 <= h < 2**32


def test_evaluation_gathers_ranks_in_order():
    """Two ranks played by hand give the batch of one with all samples."""
    ansatz = ansatz_of("mlp-complex", N)
    params, operator = ansatz.init(jax.random.key(0)), heisenberg(N, [ring(N)], [1.0])
    s = jnp.asarray(all_states(N)[:8])
    w = jnp.full(8, 1 / 8)
    whole, _ = evaluation(ansatz, operator, SERIAL, chain_length=4, chunk=None)(
        params, Samples(s, w), {"accepted": jnp.float64(5.0)}
    )
    sent = []
    for half in (slice(0, 4), slice(4, 8)):
        comm = SERIAL._replace(size=2, gather=lambda x: sent.append(x) or jnp.stack([x, x]))
        evaluation(ansatz, operator, comm, chain_length=4, chunk=None)(
            params, Samples(s[half], w[half]), {"accepted": jnp.float64(2.5)}
        )
    comm = SERIAL._replace(size=2, gather=lambda x: jnp.stack(sent))
    both, shared = evaluation(ansatz, operator, comm, chain_length=4, chunk=None)(
        params, Samples(s[:4], w[:4]), {"accepted": jnp.float64(2.5)}
    )
    assert shared.counts["accepted"] == 5.0
    # local energies of order one from programs of other shapes; weights are only put one after the other
    assert np.abs(both.e_loc_A - whole.e_loc_A).max() < 1e-13 and np.array_equal(both.w_A, whole.w_A)
    assert float(both.estimate.error) == pytest.approx(float(whole.estimate.error), rel=1e-12)


def test_what_a_ground_state_displays_is_what_readers_take_for_folders_that_do_not_say():
    assert SHOWN == GROUND_STATE
