"""Stochastic reconfiguration: both spaces give one step, every solver solves its system, by dense algebra in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.gradient.flat import flat
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.parallel import foreign
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.types import Samples
from nqs_hpc.update.first_order import adam, sgd
from nqs_hpc.update.minsr import minsr
from nqs_hpc.update.solvers import cholesky, conjugate_gradient, pseudo_inverse
from nqs_hpc.update.sr import sr
from tests.systems import KINDS, SERIAL, ansatz_of, ring

N = 6
SHIFT = 0.01
RATES = {"learning_rate": optax.constant_schedule(1.0), "diag_shift": optax.constant_schedule(SHIFT)}
ONE, ZERO = jnp.float64(1.0), jnp.int32(0)


def batch_of(ansatz, params, n_samples, seed=0):
    """Random configurations with random weights: SR holds for any batch."""
    keys = jax.random.split(jax.random.key(seed))
    s_BN = jax.random.choice(keys[0], jnp.array([1, -1], jnp.int8), (n_samples, N))
    w_B = jax.random.uniform(keys[1], (n_samples,))
    return evaluate(ansatz)(params, Samples(s_BN, w_B / w_B.sum()), {})[0]


@functools.cache  # one program for all batches of a size
def evaluate(ansatz):
    operator = heisenberg(N, [ring(N)], [1.0])
    return jax.jit(evaluation(ansatz, operator, SERIAL, chain_length=0, chunk=None))


def textbook_step(ansatz, params, batch, shift=SHIFT):
    """-(S + shift)^-1 F over the flat real vector, S_pq = Re <O_p* O_q>_c, F_p = Re <O_p* E_loc>_c, and F."""
    real = flat(params, "real")
    theta = real.ravel(params)
    parts = [
        jax.jit(jax.vmap(jax.grad(lambda t, s, part=part: part(ansatz.log_psi(real.unravel(t), s))), in_axes=(None, 0)))
        for part in (jnp.real, lambda z: jnp.imag(z.astype(complex)))
    ]
    o = np.asarray(parts[0](theta, batch.samples.s_BN)) + 1j * np.asarray(parts[1](theta, batch.samples.s_BN))
    if ansatz.kind in ("real", "signed"):
        o = o.real
    w, e = np.asarray(batch.samples.w_B), np.asarray(batch.e_loc_B)
    o = o - w @ o
    s = np.real((o.conj().T * w) @ o)
    f = np.real(o.conj().T @ (w * (e - w @ e)))
    return -np.linalg.solve(s + shift * np.eye(len(s)), f), f


def step_of(update, ansatz, params, batch, state=None):
    delta, state, info = jax.jit(update.step)(params, update.init(params) if state is None else state, batch, ZERO, ONE)
    return np.asarray(flat(params, "real").ravel(delta)), state, info


@pytest.mark.parametrize("n_samples", [12, 400])  # fewer and more than parameters
@pytest.mark.parametrize("name", KINDS)
def test_sr_and_minsr_are_the_textbook_step(name, n_samples):
    ansatz = ansatz_of(name, N)
    params = ansatz.init(jax.random.key(1))
    n_parameters = flat(params, "real").n_parameters
    assert (n_samples < n_parameters) == (n_samples == 12)
    batch = batch_of(ansatz, params, n_samples)
    expected, force = textbook_step(ansatz, params, batch)
    scale = np.abs(expected).max()
    updates = [
        sr(ansatz, SERIAL, solver="cholesky", **RATES),
        minsr(ansatz, SERIAL, solver="cholesky", chunk=7, **RATES),
    ]
    if name == "rbm-complex":  # the other solvers see a matrix and no kind: one, and the complex one, will do
        updates += [
            sr(ansatz, SERIAL, solver="eigh", rcond=1e-15, **RATES),
            sr(ansatz, SERIAL, solver="cg", cg_tolerance=1e-13, cg_max_iterations=2000, **RATES),
            minsr(ansatz, SERIAL, solver="eigh", rcond=1e-15, **RATES),
            sr(ansatz, SERIAL, solver="cg", cg_tolerance=1e-13, preconditioner=10, **RATES),
            minsr(ansatz, SERIAL, solver="cg", cg_tolerance=1e-13, **RATES),
        ]
    for update in updates:
        delta, _, info = step_of(update, ansatz, params, batch)
        assert np.abs(delta - expected).max() < 1e-8 * scale
        assert info["grad_norm"] == pytest.approx(np.linalg.norm(force), rel=1e-10)
        assert info["update_norm"] == pytest.approx(np.linalg.norm(expected), rel=1e-7)


def test_spring_is_its_formula():
    """Two steps against d = X^T (X X^T + shift)^-1 (eps - mu X d0) + mu d0, dense."""
    ansatz, mu = ansatz_of("rbm-real", N), 0.8
    params = ansatz.init(jax.random.key(1))
    update = minsr(ansatz, SERIAL, solver="cholesky", momentum=mu, **RATES)
    state, last = None, 0.0
    real = flat(params, "real")
    rows = jax.vmap(jax.grad(lambda t, s: ansatz.log_psi(real.unravel(t), s)), in_axes=(None, 0))
    for seed in (0, 1):
        batch = batch_of(ansatz, params, 20, seed)
        delta, state, _ = step_of(update, ansatz, params, batch, state)
        w, e = np.asarray(batch.samples.w_B), np.asarray(batch.e_loc_B)
        o = np.asarray(rows(real.ravel(params), batch.samples.s_BN))
        x, eps = np.sqrt(w)[:, None] * (o - w @ o), np.sqrt(w) * (e - w @ e)
        drift = x @ last if seed else np.zeros(20)
        d = x.T @ np.linalg.solve(x @ x.T + SHIFT * np.eye(20), eps - mu * drift) + mu * last
        assert np.abs(delta + d).max() < 1e-9
        last = d


def test_schedules_scale_and_bound_reach_the_step():
    ansatz = ansatz_of("rbm-real", N)
    params = ansatz.init(jax.random.key(1))
    batch = batch_of(ansatz, params, 20)
    rates = {"learning_rate": optax.linear_schedule(0.2, 0.1, 10), "diag_shift": optax.linear_schedule(0.1, 0.3, 10)}
    update = minsr(ansatz, SERIAL, solver="cholesky", **rates)
    delta, _, _ = jax.jit(update.step)(params, (), batch, jnp.int32(5), jnp.float64(0.5))
    expected = 0.15 * 0.5 * textbook_step(ansatz, params, batch, shift=0.2)[0]
    assert np.abs(flat(params, "real").ravel(delta) - expected).max() < 1e-10
    bounded, _, info = step_of(minsr(ansatz, SERIAL, solver="cholesky", max_norm=1e-3, **RATES), ansatz, params, batch)
    assert np.linalg.norm(bounded) == pytest.approx(1e-3, rel=1e-12) == info["update_norm"]
    direction = textbook_step(ansatz, params, batch)[0]
    assert bounded @ direction == pytest.approx(1e-3 * np.linalg.norm(direction), rel=1e-9)


def test_float32_network_with_float64_solve():
    ansatz = rbm(N, n_hidden=N, dtype="real", bias=True, init_scale=0.3, float_dtype="float32")
    params = ansatz.init(jax.random.key(1))
    assert ansatz.log_psi(params, jnp.ones(N, jnp.int8)).dtype == jnp.float32
    batch = batch_of(ansatz, params, 20)
    delta, _, _ = jax.jit(minsr(ansatz, SERIAL, solver="cholesky", **RATES).step)(params, (), batch, ZERO, ONE)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(delta))
    exact = ansatz_of("rbm-real", N)
    expected, _ = textbook_step(exact, jax.tree.map(lambda x: x.astype(jnp.float64), params), batch)
    assert np.abs(flat(params, "real").ravel(delta) - expected).max() < 1e-3 * np.abs(expected).max()


def test_first_order_steps():
    ansatz = ansatz_of("rbm-complex", N)
    params = ansatz.init(jax.random.key(1))
    batch = batch_of(ansatz, params, 20)
    force = textbook_step(ansatz, params, batch)[1]
    rate = {"learning_rate": optax.constant_schedule(0.1)}
    delta, _, info = step_of(sgd(ansatz, SERIAL, **rate), ansatz, params, batch)
    assert np.abs(delta + 0.1 * force).max() < 1e-12
    assert info["grad_norm"] == pytest.approx(np.linalg.norm(force), rel=1e-12)
    delta, _, _ = step_of(adam(ansatz, SERIAL, b1=0.9, b2=0.99, eps=1e-8, **rate), ansatz, params, batch)
    assert np.abs(delta + 0.1 * np.sign(force)).max() < 1e-3  # the first step of Adam is the sign


def test_cholesky_hands_over_where_it_fails():
    """A kernel that rounding made indefinite has no Cholesky factor; the pseudo-inverse leaves its bad part out."""
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, -1.0])
    matrix, rhs = jnp.asarray(q * values @ q.T), jnp.asarray(q.sum(axis=1))
    x, info = jax.jit(lambda a, b: cholesky(a, b, jnp.float64(0.01), 1e-12))(matrix, rhs)
    expected = q[:, :7] @ (1 / (values[:7] + 0.01))
    assert info["fallback"] == 1 and np.abs(x - expected).max() < 1e-12
    good, info = cholesky(jnp.eye(3), jnp.ones(3), jnp.float64(1.0), 1e-12)
    assert info["fallback"] == 0 and np.abs(good - 0.5).max() < 1e-15
    nothing, info = cholesky(jnp.eye(3), jnp.full(3, jnp.nan), jnp.float64(1.0), 1e-12)
    assert info["fallback"] == 0 and np.isnan(nothing).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("blas", [True, False])
def test_solvers_read_the_upper_triangle_alone(monkeypatch, dtype, blas):
    """Below the diagonal stands anything; LAPACK and XLA agree with NumPy, and leave the matrix as it was."""
    assert foreign.available(foreign.SMALLEST)
    if not blas:
        monkeypatch.setattr(foreign, "available", lambda n: False)
    rng = np.random.default_rng(1)
    n = foreign.SMALLEST
    parts = rng.normal(size=(2, n, 2 * n))
    x = (parts[0] + 1j * parts[1] if "complex" in dtype else parts[0]) / np.sqrt(2 * n)
    matrix, rhs = x @ x.conj().T, x[:, 0]
    expected = np.linalg.solve(matrix + 0.1 * np.eye(n), rhs)
    half = np.where(np.tri(n, k=-1), 1e6, matrix).astype(dtype)
    for solve in (cholesky, pseudo_inverse):
        found, _ = jax.jit(lambda a, b, solve=solve: solve(a, b, jnp.asarray(0.1, a.real.dtype), 1e-12))(
            half, rhs.astype(dtype)
        )
        assert found.dtype == dtype and np.abs(found - expected).max() < 1e3 * np.finfo(dtype).eps
    values = np.arange(1.0, n + 1)
    values[1] = -2.0
    x, info = jax.jit(lambda a: cholesky(a, jnp.ones(n, dtype), jnp.asarray(0.0, a.real.dtype), 1e-12))(
        np.diag(values).astype(dtype)
    )
    assert info["fallback"] == 1 and np.abs(x - np.where(values > 0, 1 / values, 0)).max() < 1e-6


def test_pseudo_inverse_cuts_off_null_directions():
    matrix = jnp.diag(jnp.array([1.0, 0.5, 1e-15]))
    x, info = pseudo_inverse(matrix, jnp.ones(3), jnp.float64(0.0), 1e-12)
    assert np.abs(x - jnp.array([1.0, 2.0, 0.0])).max() < 1e-15 and info["rank"] == 2


def test_conjugate_gradient_stops_as_told():
    matrix = jnp.diag(jnp.arange(1.0, 51.0))
    x, info = conjugate_gradient(lambda v: matrix @ v, jnp.ones(50), tolerance=1e-10, max_iterations=100)
    assert np.abs(x - 1 / np.arange(1.0, 51.0)).max() < 1e-10
    assert info["cg_residual"] <= 1e-10 and info["cg_iterations"] < 60
    _, info = conjugate_gradient(lambda v: matrix @ v, jnp.ones(50), tolerance=1e-10, max_iterations=3)
    assert info["cg_iterations"] == 3 and info["cg_residual"] > 1e-10
    x, _ = conjugate_gradient(lambda v: matrix @ v, jnp.zeros(50), tolerance=1e-10, max_iterations=3)
    assert np.abs(x).max() == 0
