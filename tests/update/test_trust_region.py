"""The trust region: which changes count, what becomes of the shift and of the step, and that noise does nothing."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nqs_hpc.gradient.flat import flat
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.types import Samples
from nqs_hpc.update.minsr import minsr
from nqs_hpc.update.sr import sr
from nqs_hpc.update.trust_region import BOLDEST, MOST, WINDOW, Trust, judged, trust_region
from tests.systems import SERIAL, all_states, ansatz_of, ring

N = 6
ONE, ZERO = jnp.float64(1.0), jnp.int32(0)
judge = jax.jit(lambda *given: judged(*given, boldest=MOST))


def anchored(caution=1.0, energy=-10.0, error=0.1, promised=-1.0, steps=3):
    numbers = (jnp.float64(x) for x in (caution, energy, error, promised))
    return Trust((), *numbers, jnp.int32(steps))


@pytest.mark.parametrize(
    ("energy", "error", "factor"),
    [
        (-9.4, 0.1, 2.0),  # rose, 4.2 standard errors of the difference
        (-9.6, 0.1, None),  # 2.8: not significant
        (-11.0, 0.1, 0.5),  # fell by what was promised
        (-10.7, 0.1, None),  # significantly, but by less
        (-10.8, 0.3, None),  # by enough, but 2.5 standard errors
        (-9.0, math.nan, None),  # nobody knows the error
    ],
)
def test_changes_that_count(energy, error, factor):
    state = anchored()
    found = judge(state, jnp.float64(energy), jnp.float64(error))
    if factor is None:
        assert found.caution == 1 and found.energy == -10 and found.promised == -1 and found.steps == 3
        return
    assert found.caution == factor and found.energy == energy and found.error == error
    assert found.promised == 0 and found.steps == 0


def test_an_anchor_ages_and_the_factor_returns():
    young, old = (judge(anchored(caution=4.0, steps=k), -10.0, 0.1) for k in (WINDOW - 1, WINDOW))
    assert young.caution == 4 and young.steps == WINDOW - 1
    assert old.caution == 2 and old.steps == 0 and old.promised == 0
    first = judge(anchored(energy=0.0, error=0.0, promised=0.0, steps=-1), jnp.float64(7.0), jnp.float64(math.nan))
    assert first.caution == 1 and first.energy == 7 and first.steps == 0 and np.isfinite(first.error)
    assert judge(first, jnp.float64(9.0), jnp.float64(0.1)).caution == 1  # the anchor's error is not known


def test_exact_sums_have_no_errors_but_rounding():
    state = anchored(error=0.0)
    assert judge(state, -10.0 + 1e-9, 0.0).caution == 2
    assert judge(state, -10.0 + 1e-14, 0.0).caution == 1


def test_factors_have_bounds():
    assert judge(anchored(caution=MOST), -5.0, 0.1).caution == MOST
    assert judge(anchored(caution=1 / MOST), -12.0, 0.1).caution == 1 / MOST
    for caution in (1.0, 2.0):  # a step is never longer than its schedule says
        assert judged(anchored(caution=caution), -12.0, 0.1, boldest=BOLDEST["step"]).caution == 1


@pytest.mark.parametrize("promise", [0.0, -1e-3, -0.3])
def test_noise_moves_nothing(promise):
    """A thousand steps whose energies are one number and noise, and whose promises are empty: the logarithm of the
    factor stays at 0 but for chance."""

    def one(state, energy):
        state = judged(state, energy, jnp.float64(1.0), boldest=MOST)
        state = state._replace(promised=state.promised + promise, steps=state.steps + 1)
        return state, state.caution

    energies = jnp.asarray(np.random.default_rng(3).normal(size=20000) - 50.0)
    _, cautions = jax.lax.scan(one, anchored(promised=0.0, steps=-1), energies)
    powers = np.log2(np.asarray(cautions))
    assert abs(powers.mean()) < 0.2 and np.mean(np.abs(powers) < 1e-3) > 0.5 and np.abs(powers).max() <= 3


def exact_batch(ansatz, params):
    """All states with their weights, so that the energy is exact."""
    s_BN = jnp.asarray(all_states(N))
    w_B = jnp.exp(2 * jnp.real(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(params, s_BN)))
    samples = Samples(s_BN, w_B / jnp.sum(w_B))
    return evaluation(ansatz, heisenberg(N, [ring(N)], [1.0]), SERIAL, chain_length=0, chunk=None)(params, samples, {})[
        0
    ]


@pytest.mark.parametrize(("name", "factory"), [("rbm-complex", minsr), ("mlp-complex", sr)])
def test_a_promise_is_half_of_the_slope(name, factory):
    """Of the exact energy along the step, by finite differences."""
    ansatz = ansatz_of(name, N)
    params = ansatz.init(jax.random.key(1))
    evaluate = jax.jit(lambda params: exact_batch(ansatz, params))
    rates = {"learning_rate": optax.constant_schedule(0.1), "diag_shift": optax.constant_schedule(0.01)}
    update = factory(ansatz, SERIAL, solver="cholesky", predict=True, **rates)
    delta, _, info = jax.jit(update.step)(params, (), evaluate(params), ZERO, ONE)
    h = 1e-4
    ends = [
        float(jnp.real(evaluate(jax.tree.map(lambda p, d, t=t: p + t * d, params, delta)).estimate.mean))
        for t in (h, -h)
    ]
    slope = (ends[0] - ends[1]) / (2 * h)
    assert slope < 0 and float(info["predicted_change"]) == pytest.approx(slope / 2, rel=1e-5)


@pytest.mark.parametrize("adapts", ["shift", "step"])
def test_the_factor_reaches_the_step(adapts):
    """A second batch with a higher energy: twice the shift, or half the step; one as promised: half the shift."""
    ansatz = ansatz_of("rbm-real", N)
    params = ansatz.init(jax.random.key(1))
    batch = jax.jit(lambda params: exact_batch(ansatz, params))(params)
    form = flat(params, ansatz.kind)

    def make(shift):
        rate = optax.constant_schedule(0.1)
        return minsr(
            ansatz, SERIAL, solver="cholesky", momentum=0.5, learning_rate=rate, diag_shift=shift, predict=True
        )

    trusted = trust_region(make, diag_shift=optax.constant_schedule(0.02), adapts=adapts)
    step = jax.jit(trusted.step)
    first, state, info = step(params, trusted.init(params), batch, ZERO, ONE)
    assert state.steps == 1 and state.promised == info["predicted_change"] < 0
    assert info[f"{adapts}_factor"] == 1
    plain = make(optax.constant_schedule(0.02))
    expected, inner, _ = jax.jit(plain.step)(params, plain.init(params), batch, ZERO, ONE)
    assert np.allclose(form.ravel(first), form.ravel(expected), rtol=1e-10, atol=0)
    for change, factor in ((1e-3, 2.0), (2 * float(state.promised), 0.5 if adapts == "shift" else 1.0)):
        moved = batch._replace(estimate=batch.estimate._replace(mean=batch.estimate.mean + change))
        # the mean of the residuals does not matter: the rows are centred
        delta, _, info = step(params, state, moved, ZERO, ONE)
        assert info[f"{adapts}_factor"] == (factor if adapts == "shift" else 1 / factor)
        right = make(optax.constant_schedule(0.02 * (factor if adapts == "shift" else 1)))
        expected, _, _ = jax.jit(right.step)(params, inner, batch, ZERO, ONE if adapts == "shift" else ONE / factor)
        found, wanted = (np.asarray(form.ravel(one)) for one in (delta, expected))
        assert np.abs(found - wanted).max() < 1e-8 * np.abs(wanted).max()
