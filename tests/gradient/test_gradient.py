"""Derivatives against finite differences of the exact energy and of log psi; the packing of upper triangles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.force import force
from nqs_hpc.gradient.jacobian import centre, jacobian, residuals, row_means, rows_per_sample, weigh
from nqs_hpc.gradient.qgt import dense_qgt, pack, unpack
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.evaluation import evaluation
from tests.systems import KINDS, SERIAL, all_states, amplitudes, ansatz_of, heisenberg_ring, ring

N = 4


def exact_batch(ansatz, params):
    """All states with their exact weights and local energies of the Heisenberg ring."""
    operator = heisenberg(N, [ring(N)], [1.0])
    sampler = enumeration(ansatz, spin_half(N), SERIAL)
    _, samples, counts = sampler.sample(jax.random.key(0), params, ())
    return jax.jit(evaluation(ansatz, operator, SERIAL, chain_length=0, chunk=None))(params, samples, counts)[0]


def rows_of(ansatz, params, batch, chunk=None):
    form = flat(params, ansatz.kind)

    @jax.jit
    def both(params, batch):
        w = weigh(ansatz.kind, batch.samples.w_B)
        jac = jacobian(ansatz, form, params, batch.samples.s_BN, chunk)
        x = centre(jac, w, row_means(jac, w, rows_per_sample(ansatz.kind)))
        return x, residuals(ansatz.kind, batch.e_loc_B, batch.samples.w_B, batch.estimate.mean)

    return both(params, batch)


@pytest.mark.parametrize("name", KINDS)
def test_force_is_half_the_gradient_of_the_exact_energy(name):
    """By central differences of psi^dagger H psi / psi^dagger psi, and both ways of computing it agree."""
    ansatz = ansatz_of(name, N)
    params = ansatz.init(jax.random.key(1))
    real, matrix, states = flat(params, "real"), heisenberg_ring(N), all_states(N)

    def energy(theta):
        psi = amplitudes(ansatz, real.unravel(jnp.asarray(theta)), states)
        return np.real(psi.conj() @ matrix @ psi)

    theta = np.asarray(real.ravel(params))
    step = 1e-5
    differences = [(energy(theta + step * e) - energy(theta - step * e)) / (2 * step) for e in np.eye(len(theta))]

    batch = exact_batch(ansatz, params)
    found, in_chunks = (
        jax.jit(lambda params, batch, chunk=chunk: force(ansatz, real, params, batch, chunk))(params, batch)
        for chunk in (None, 5)
    )
    assert np.abs(2 * found - np.array(differences)).max() < 1e-6
    assert np.abs(found).max() > 1e-3
    # 16 states in chunks of 5: the filled-up last one must not count
    assert np.abs(in_chunks - found).max() < 1e-14

    x, eps = rows_of(ansatz, params, batch)
    from_rows = flat(params, ansatz.kind).unravel(x.conj().T @ eps)
    assert np.abs(real.ravel(from_rows) - found).max() < 1e-13


@pytest.mark.parametrize("name", KINDS)
def test_jacobian_by_central_differences(name):
    ansatz = ansatz_of(name, N)
    params = ansatz.init(jax.random.key(2))
    form = flat(params, ansatz.kind)
    theta, s_BN = form.ravel(params), jnp.asarray(all_states(N)[:3])
    log_psi = jax.jit(jax.vmap(lambda t, s: ansatz.log_psi(form.unravel(t), s), in_axes=(None, 0)))
    step = 1e-6
    for p in range(0, form.n_parameters, 5):
        shift = step * jnp.eye(1, form.n_parameters, p, dtype=theta.dtype)[0]
        expected = (log_psi(theta + shift, s_BN) - log_psi(theta - shift, s_BN)) / (2 * step)
        rows = jacobian(ansatz, form, params, s_BN, None)[:, p]
        found = rows.reshape(3, 2) @ jnp.array([1, 1j]) if ansatz.kind == "complex" else rows
        assert np.abs(found - expected).max() < 1e-8


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_jacobian_of_real_and_complex_leaves(kind):
    """By both parts of a complex leaf where log psi is not holomorphic in it, by central differences."""

    def log_psi(params, s_N):
        a_s, c_s = jnp.sum(params["a"] * s_N), jnp.sum(params["c"] * s_N)
        value = jnp.sin(a_s + 2j * c_s) * c_s + jnp.abs(c_s) ** 2 * a_s
        return value.real if kind == "real" else value

    rng = np.random.default_rng(0)
    params = {"a": rng.normal(size=N), "c": rng.normal(size=N) + 1j * rng.normal(size=N)}
    ansatz, form = full_evaluation(lambda key: params, log_psi, kind), flat(params, kind)
    theta_P, s_BN = form.ravel(params), all_states(N)[:5]
    jac = jax.jit(lambda params: jacobian(ansatz, form, params, s_BN, None))(params)
    of_all = jax.jit(jax.vmap(jax.vmap(log_psi, in_axes=(None, 0)), in_axes=(0, None)))
    ends = [of_all(jax.vmap(form.unravel)(theta_P[None] + h * jnp.eye(form.n_parameters)), s_BN) for h in (1e-5, -1e-5)]
    slope_BP = np.asarray(ends[0] - ends[1]).T / 2e-5
    rows = slope_BP if kind == "real" else np.stack([slope_BP.real, slope_BP.imag], axis=1).reshape(10, -1)
    assert form.n_parameters == 3 * N and np.max(np.abs(jac - rows)) < 1e-7 * np.max(np.abs(rows))


@pytest.mark.parametrize("name", KINDS)
def test_chunked_equals_whole(name):
    ansatz = ansatz_of(name, N)
    params = ansatz.init(jax.random.key(3))
    batch = exact_batch(ansatz, params)
    assert np.abs(rows_of(ansatz, params, batch, 5)[0] - rows_of(ansatz, params, batch)[0]).max() < 1e-12


@pytest.mark.parametrize("name", KINDS)
def test_qgt_is_the_metric_of_fidelity(name):
    """1 - |<psi(theta)|psi(theta + delta)>|^2 = delta^T S delta + O(delta^3), real delta."""
    ansatz = ansatz_of(name, N)
    params = ansatz.init(jax.random.key(4))
    real = flat(params, "real")
    batch = exact_batch(ansatz, params)
    x, eps = rows_of(ansatz, params, batch)
    s, f = dense_qgt(x.conj().T @ x, x.conj().T @ eps, SERIAL)
    theta, states = real.ravel(params), all_states(N)
    psi = amplitudes(ansatz, params, states)
    for seed in range(3):
        delta = 1e-4 * jax.random.normal(jax.random.key(seed), theta.shape)
        infidelity = 1 - abs(np.vdot(psi, amplitudes(ansatz, real.unravel(theta + delta), states))) ** 2
        v = flat(params, ansatz.kind).ravel(real.unravel(delta))
        assert float(jnp.real(jnp.vdot(v, s @ v))) == pytest.approx(infidelity, rel=1e-3)
    assert np.abs(f - x.conj().T @ eps).max() == 0


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("dtype", [float, complex])
def test_packed_matrix_comes_back(n, dtype):
    rng = np.random.default_rng(n)
    m = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if dtype is complex else 0)
    m = m + m.conj().T
    packed = pack(jnp.asarray(m))
    assert packed.shape == (n * (n + 1) // 2,)
    assert np.abs(unpack(packed, n) - np.triu(m)).max() == 0


def test_flat_vector_of_mixed_leaves_and_its_inverse():
    tree = {"a": jnp.arange(3.0), "z": jnp.array([[1 + 2j, 3 - 4j]])}
    form = flat(tree, "complex")
    assert form.ravel(tree).tolist() == [0, 1, 2, 1, 3, 2, -4] and form.n_parameters == form.n_real == 7
    back = form.unravel(form.ravel(tree))
    assert all(jnp.array_equal(back[k], tree[k]) and back[k].dtype == tree[k].dtype for k in tree)
    with pytest.raises(ValueError, match="holomorphic"):
        flat(tree, "holomorphic")
