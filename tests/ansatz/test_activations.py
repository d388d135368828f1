"""Pointwise nonlinearities against extended precision and jax's own."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.activations import ACTIVATIONS, activation_function, log_cosh, selu
from nqs_hpc.ansatz.names import ACTIVATION_NAMES


def test_every_name_has_a_function():
    assert tuple(ACTIVATIONS) == ACTIVATION_NAMES
    assert all(activation_function(name) is ACTIVATIONS[name] for name in ACTIVATION_NAMES)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="activation='swish': one of selu, gelu, tanh, relu, silu, log_cosh"):
        activation_function("swish")


def test_names_load_no_jax():
    code = "import sys, nqs_hpc.ansatz.names; print(sorted({'jax', 'jaxlib', 'numpy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_log_cosh_of_real_numbers():
    x = np.concatenate([np.linspace(-3, 3, 61), [1e-9, -1e-6, 20, -40, 400, -700, 1e5]])
    exact = np.log(np.cosh(np.longdouble(x[:-1])))
    # near 0 two numbers near log 2 are subtracted
    assert np.allclose(log_cosh(x)[:-1], exact.astype(float), rtol=1e-14, atol=4e-16)
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


def test_selu_and_its_derivative_are_those_of_jax():
    x = jnp.asarray(np.concatenate([np.linspace(-50, 5, 101), [1e-9, -1e-9, 0.0]]))
    assert np.abs(selu(x) - jax.nn.selu(x)).max() < 1e-15
    assert np.abs(jax.vmap(jax.grad(selu))(x) - jax.vmap(jax.grad(jax.nn.selu))(x)).max() < 1e-15
