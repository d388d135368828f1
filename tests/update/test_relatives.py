"""Relatives of minSR against their formulas in NumPy: MARCH, filters of the kernel, clipped local energies."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nqs_hpc.choices import choice, names
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import rows_per_sample
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.types import Samples
from nqs_hpc.update.clipping import clipped_batch, clipping, weighted_median
from nqs_hpc.update.first_order import sgd
from nqs_hpc.update.march import FLOOR, march
from nqs_hpc.update.minsr import minsr
from nqs_hpc.update.spectral import Cut
from nqs_hpc.update.sr import sr
from tests.contract.tried import configuration
from tests.systems import KINDS, SERIAL, ansatz_of, ring

N, SHIFT, LENGTH, BATCH = 6, 0.01, 4, 20
RATES = {"learning_rate": optax.constant_schedule(0.5), "diag_shift": optax.constant_schedule(SHIFT)}
ONE, ZERO = jnp.float64(1.0), jnp.int32(0)


@functools.cache
def network(name):
    ansatz = ansatz_of(name, N)
    evaluate = jax.jit(evaluation(ansatz, heisenberg(N, [ring(N)], [1.0]), SERIAL, chain_length=0, chunk=None))
    return ansatz, ansatz.init(jax.random.key(1)), evaluate


@functools.cache
def batch_of(name, seed=0):
    """Random configurations with random weights."""
    _, params, evaluate = network(name)
    keys = jax.random.split(jax.random.key(seed))
    s_BN = jax.random.choice(keys[0], jnp.array([1, -1], jnp.int8), (BATCH, N))
    w_B = jax.random.uniform(keys[1], (BATCH,), minval=0.2)
    return evaluate(params, Samples(s_BN, w_B / w_B.sum()), {})[0]


def rows(name, batch):
    """X and eps as they are defined, in rows of real numbers, or of complex ones of a holomorphic network."""
    ansatz, params, _ = network(name)
    form, s_BN = flat(params, ansatz.kind), batch.samples.s_BN
    theta = form.ravel(params)

    def derivatives(part):
        one = jax.grad(lambda t, s: part(ansatz.log_psi(form.unravel(t), s)), holomorphic=ansatz.kind == "holomorphic")
        return np.asarray(jax.jit(jax.vmap(one, in_axes=(None, 0)))(theta, s_BN))

    w, e = np.asarray(batch.samples.w_B), np.asarray(batch.e_loc_B)
    eps = np.sqrt(w) * (e - w @ e)
    if ansatz.kind == "complex":
        parts = [derivatives(jnp.real), derivatives(jnp.imag)]
        x = np.stack([np.sqrt(w)[:, None] * (o - w @ o) for o in parts], axis=1).reshape(2 * BATCH, -1)
        return x, np.stack([eps.real, eps.imag], axis=1).ravel()
    o = derivatives(jnp.real if ansatz.kind == "real" else lambda z: z)
    return np.sqrt(w)[:, None] * (o - w @ o), eps if ansatz.kind == "holomorphic" else eps.real


def flat_of(name, delta):
    ansatz, params, _ = network(name)
    return np.asarray(flat(params, ansatz.kind).ravel(delta))


@pytest.mark.parametrize(("name", "blocks"), [(name, 1) for name in KINDS] + [("mlp-complex", 3), ("jastrow", 3)])
def test_march_is_its_formula(name, blocks):
    """Three steps against the dense solution of (X^dagger X + lambda V^1/2) d = X^dagger eps + lambda V^1/2 phi."""
    ansatz, params, _ = network(name)
    mu, beta = 0.8, 0.9
    update = march(ansatz, SERIAL, solver="cholesky", momentum=mu, beta=beta, blocks=blocks, chunk=7, **RATES)
    step, state = jax.jit(update.step), update.init(params)
    last, square = 0.0, 0.0
    for k in range(3):
        batch = batch_of(name, k)
        delta, state, info = step(params, state, batch, ZERO, ONE)
        x, eps = rows(name, batch)
        root = np.sqrt(square / (1 - beta**k)) if k else np.ones(x.shape[1])
        metric = SHIFT * np.maximum(root, FLOOR * root.mean())
        d = np.linalg.solve(x.conj().T @ x + np.diag(metric), x.conj().T @ eps + metric * mu * last)
        assert np.abs(flat_of(name, delta) + 0.5 * d).max() < 1e-7 * np.abs(d).max()
        assert info["grad_norm"] == pytest.approx(np.linalg.norm(x.conj().T @ eps), rel=1e-10)
        square = beta * square + (1 - beta) * np.abs(d - last) ** 2
        last = d
    assert np.abs(np.asarray(state.square_P) - square).max() < 1e-7 * square.max() and state.steps == 3


def test_march_knows_parameters_that_never_move():
    """A parameter without derivative has V = 0: its weight is bounded, and a whole kernel of such is minSR's."""
    from nqs_hpc.update.march import Moments, metric

    found = metric(Moments(jnp.zeros(3), jnp.array([0.0, 1.0, 4.0]), jnp.int32(1)), 0.75)
    assert np.allclose(found, [1 / (FLOOR * 2), 1 / 2, 1 / 4])
    assert np.array_equal(metric(Moments(jnp.zeros(3), jnp.zeros(3), jnp.int32(5)), 0.9), np.ones(3))
    assert np.array_equal(metric(Moments(jnp.zeros(3), jnp.zeros(3), jnp.int32(0)), 0.9), np.ones(3))


@pytest.mark.parametrize("name", ["rbm-real", "mlp-complex"])
@pytest.mark.parametrize("factory", [minsr, sr])
def test_cuts_of_a_ground_state_are_the_filter(name, factory):
    """The step of both spaces against eigenvectors of S, with sigma from sums over chains."""
    ansatz, params, _ = network(name)
    batch = batch_of(name)
    x, eps = rows(name, batch)
    values, vectors = np.linalg.eigh(x.T @ x)
    terms = ((x @ vectors) * eps[:, None]).reshape(BATCH // LENGTH, -1, len(values)).sum(axis=1)
    n = len(terms)
    sigma = np.sqrt(n / (n - 1) * ((terms - terms.mean(axis=0)) ** 2).sum(axis=0))
    rho = terms.sum(axis=0)
    real = values > 1e-10 * values[-1]  # the rest is rounding, where the smooth cut leaves nothing
    kept = 1 / (1 + (1e-3 * values[-1] / values[real]) ** 6) / (1 + (0.7 * sigma[real] / np.abs(rho[real])) ** 6)
    d = vectors[:, real] @ (kept * rho[real] / (values[real] + SHIFT))
    cut = Cut(relative=1e-3, signal_to_noise=0.7, chain_length=LENGTH)
    update = factory(ansatz, SERIAL, solver="filter", cut=cut, **RATES)
    delta, _, info = jax.jit(update.step)(params, update.init(params), batch, ZERO, ONE)
    assert np.abs(flat_of(name, delta) + 0.5 * d).max() < 1e-8 * np.abs(d).max()
    assert info["rank"] == pytest.approx(kept.sum(), rel=1e-6)
    assert 0.1 * real.sum() < kept.sum() < 0.95 * real.sum()  # both filters have something to do


def test_weighted_medians():
    values, weights = jnp.array([3.0, -1.0, 7.0, 2.0, -50.0]), jnp.array([0.2, 0.2, 0.3, 0.3, 0.0])
    assert weighted_median(values, weights) == 2.0  # a half of the weight is at most 2
    rng = np.random.default_rng(0)
    x = rng.normal(size=101)
    assert weighted_median(jnp.asarray(x), jnp.full(101, 1 / 101)) == np.median(x)


def tailed(name):
    """A batch two of whose local energies are far away, one of them without weight."""
    batch = batch_of(name)
    w = np.asarray(batch.w_A).copy()
    w[3] = 0.0
    w = jnp.asarray(w / w.sum())
    phase = 1.0 if jnp.isrealobj(batch.e_loc_A) else np.exp(0.7j)
    e = batch.e_loc_A.at[jnp.array([3, 5])].add(phase * jnp.array([1e6, 40.0]))
    mean = batch.estimate._replace(mean=jnp.sum(w * e))
    return batch._replace(samples=batch.samples._replace(w_B=w), w_A=w, e_loc_A=e, e_loc_B=e, estimate=mean)


@pytest.mark.parametrize("name", ["rbm-real", "rbm-complex"])
def test_clipping_against_its_definition(name):
    batch, c = tailed(name), 2.5
    found, share = clipped_batch(batch, c)
    e, w = np.asarray(batch.e_loc_A), np.asarray(batch.w_A)

    def median(x):  # of as many copies of each value as its weight says
        return np.sort(np.repeat(x, np.rint(w * 1e6).astype(int)))[int(np.rint(w * 1e6).sum()) // 2]

    m = median(e.real) + (1j * median(e.imag) if np.iscomplexobj(e) else 0)
    bound = c * np.sum(w * np.abs(e - m))
    far = np.abs(e - m) > bound
    expected = np.where(far, m + bound * (e - m) / np.where(far, np.abs(e - m), 1), e)
    assert far.sum() >= 2 and np.abs(np.asarray(found.e_loc_A) - expected).max() < 1e-10
    assert np.array_equal(found.e_loc_B, found.e_loc_A)
    assert np.abs(found.estimate.mean - w @ expected) < 1e-12
    assert float(share) == pytest.approx(w[far].sum()) and share > 0
    same, nothing = clipped_batch(batch, 1e9)
    assert np.array_equal(same.e_loc_A, batch.e_loc_A) and nothing == 0


def test_local_energies_of_one_value_are_left_alone():
    """More than half of equal energies have a median deviation of 0: the gradient of the others remains."""
    batch = batch_of("rbm-real")
    e = jnp.where(jnp.arange(BATCH) < 15, -3.0, -2.0 + jnp.arange(BATCH) / 10)
    found, share = clipped_batch(batch._replace(e_loc_A=e, e_loc_B=e), 20.0)
    assert np.array_equal(found.e_loc_A, e) and share == 0
    same, share = clipped_batch(batch._replace(e_loc_A=e * 0 - 3, e_loc_B=e * 0 - 3), 5.0)
    assert np.array_equal(same.e_loc_A, e * 0 - 3) and share == 0


@pytest.mark.parametrize("factory", [sgd, minsr])
def test_a_clipped_step_is_that_of_the_clipped_energies(factory):
    name = "rbm-complex"
    ansatz, params, _ = network(name)
    batch = tailed(name)
    rates = RATES if factory is minsr else {"learning_rate": RATES["learning_rate"]}
    plain = factory(ansatz, SERIAL, **({"solver": "cholesky"} if factory is minsr else {}), **rates)
    step, clipped_step = jax.jit(plain.step), jax.jit(clipping(plain, 2.5).step)
    delta, _, info = clipped_step(params, plain.init(params), batch, ZERO, ONE)
    expected, _, _ = step(params, plain.init(params), clipped_batch(batch, 2.5)[0], ZERO, ONE)
    other, _, _ = step(params, plain.init(params), batch, ZERO, ONE)
    found, right, wrong = (flat_of(name, one) for one in (delta, expected, other))
    assert np.abs(found - right).max() < 1e-10 * np.abs(right).max() and info["clipped"] > 0
    assert np.abs(wrong - right).max() > 0.1 * np.abs(right).max()
    assert rows_per_sample(ansatz.kind) == 1


@pytest.mark.parametrize("name", names("optimizer"))
def test_every_optimizer_clips_and_its_trust_region_judges_what_is_not_clipped(name):
    ansatz, params, _ = network("rbm-real")
    batch = tailed("rbm-real")
    keys = {"name": name, "clip": 2.5} | ({"trust_region": "step"} if choice("optimizer", name).solves else {})
    made = configuration(optimizer=keys).optimizer.make(
        ansatz,
        SERIAL,
        solver="minsr" if name == "sr" else "auto",
        blocks=1,
        chunk=None,
        chain_length=1,
        solve_dtype="float64",
    )
    _, state, info = jax.jit(made.step)(params, made.init(params), batch, ZERO, ONE)
    assert info["clipped"] > 0
    if "trust_region" in keys:
        assert state.energy == batch.estimate.mean and state.error == batch.estimate.error
