"""Shared layers and dtypes against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.layers import dense_apply, dense_init, dense_layers_init, normal, parameter_dtype, real_parameters


def test_dense_layer():
    layer = dense_init(jax.random.key(1), 400, 50, scale=0.5, dtype=np.float64)
    assert np.std(layer.weight) == pytest.approx(0.5 / 20, rel=0.03) and np.all(layer.bias == 0)
    x = jnp.linspace(-1, 1, 400)
    layer = layer._replace(bias=jnp.arange(50.0))
    exact = [sum(float(x[i]) * float(layer.weight[i, j]) for i in range(400)) + j for j in (0, 7, 49)]
    assert np.allclose(dense_apply(layer, x)[np.array([0, 7, 49])], exact, rtol=1e-13)


def test_layers_start_with_keys_of_their_own():
    one, two = dense_layers_init(jax.random.key(3), [(4, 4), (4, 4)], scale=1.0, dtype=np.float64)
    keys = jax.random.split(jax.random.key(3), 2)
    for layer, key in ((one, keys[0]), (two, keys[1])):
        assert np.array_equal(layer.weight, dense_init(key, 4, 4, scale=1.0, dtype=np.float64).weight)


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


@pytest.mark.parametrize("dtype", ["real", "complex"])
def test_networks_of_real_parameters_have_real_ones_whatever_psi_is(dtype):
    assert real_parameters(dtype, "float64") == np.float64 and real_parameters(dtype, "float32") == np.float32


def test_unknown_dtypes_are_refused():
    with pytest.raises(ValueError, match="real or complex"):
        parameter_dtype("quaternion", "float64")
    with pytest.raises(ValueError, match="real or complex"):
        real_parameters("quaternion", "float64")
    with pytest.raises(ValueError, match="float32 or float64"):
        parameter_dtype("real", "float16")


def test_float64_is_refused_where_jax_would_drop_it():
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        parameter_dtype("real", "float64")
