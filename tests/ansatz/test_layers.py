"""Shared layers against extended precision and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.layers import dense_apply, dense_init, log_cosh, normal, parameter_dtype


def test_log_cosh_of_real_numbers():
    x = np.concatenate([np.linspace(-3, 3, 61), [1e-9, -1e-6, 20, -40, 400, -700, 1e5]])
    exact = np.log(np.cosh(np.longdouble(x[:-1])))
    assert np.allclose(log_cosh(x)[:-1], exact.astype(float), rtol=1e-14, atol=1e-16)
    assert log_cosh(x)[-1] == pytest.approx(1e5 - np.log(2), rel=1e-15)
    slope = jax.vmap(jax.grad(log_cosh))(jnp.asarray(x))
    assert np.allclose(slope, np.tanh(x), rtol=1e-14, atol=5e-16)


def test_log_cosh_of_complex_numbers():
    rng = np.random.default_rng(0)
    z = rng.uniform(-6, 6, 200) + 1j * rng.uniform(-6, 6, 200)
    z = np.concatenate([z, [300 + 2j, -500 - 1j, 1e-8j, 1 + 0j]])
    exact = np.log(np.cosh(z.astype(np.clongdouble)))
    found = np.asarray(log_cosh(z))
    assert np.max(np.abs(found.real - exact.real.astype(float))) < 1e-13
    turns = (found.imag - exact.imag.astype(float)) / (2 * np.pi)
    assert np.max(np.abs(turns - np.round(turns))) < 1e-13
    slope = jax.vmap(jax.grad(log_cosh, holomorphic=True))(jnp.asarray(z))
    assert np.allclose(slope, np.tanh(z.astype(np.clongdouble)).astype(complex), rtol=1e-11)


def test_dense_layer():
    layer = dense_init(jax.random.key(1), 400, 50, scale=0.5, dtype=np.float64)
    assert np.std(layer.weight) == pytest.approx(0.5 / 20, rel=0.03) and np.all(layer.bias == 0)
    x = jnp.linspace(-1, 1, 400)
    layer = layer._replace(bias=jnp.arange(50.0))
    exact = [sum(float(x[i]) * float(layer.weight[i, j]) for i in range(400)) + j for j in (0, 7, 49)]
    assert np.allclose(dense_apply(layer, x)[np.array([0, 7, 49])], exact, rtol=1e-13)


def test_complex_normal_numbers_have_the_stated_variance():
    z = normal(jax.random.key(0), (20000,), 0.1, np.complex128)
    assert np.mean(np.abs(z) ** 2) == pytest.approx(0.01, rel=0.03)
    assert abs(np.mean(z**2)) < 3e-4  # real and imaginary part alike and independent


@pytest.mark.parametrize(
    ("names", "dtype"),
    [
        (("real", "float64"), np.float64),
        (("complex", "float64"), np.complex128),
        (("real", "float32"), np.float32),
        (("complex", "float32"), np.complex64),
    ],
)
def test_parameter_dtype(names, dtype):
    assert parameter_dtype(*names) == dtype


def test_unknown_dtypes_are_refused():
    with pytest.raises(ValueError, match="real or complex"):
        parameter_dtype("quaternion", "float64")
    with pytest.raises(ValueError, match="float32 or float64"):
        parameter_dtype("real", "float16")


def test_float64_is_refused_where_jax_would_drop_it():
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        parameter_dtype("real", "float64")
