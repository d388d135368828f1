"""Convolutions of batches by Fourier transforms against the same sums in numpy, and networks made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.resnet import resnet
from nqs_hpc.ansatz.spectral import spectral
from nqs_hpc.gradient import layered
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import jacobian
from tests.ansatz.test_resnet import CASES, convolved


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_sums_and_their_transpose(name):
    _, extent, pbc, size = CASES[name]
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(np.prod(size), 2, 3))
    x, y = rng.normal(size=(np.prod(extent), 4, 2)), rng.normal(size=(np.prod(extent), 4, 3))
    wanted = np.stack([convolved(name, kernel, x[:, b]) for b in range(4)], axis=1)
    made = spectral(extent, pbc, size)

    @jax.jit
    def all_of(kernel, x, y):
        out, back = jax.vjp(lambda x: made.times(made.matrices(kernel), x), x)
        return out, back(y)[0]

    out, back = all_of(kernel, x, y)
    np.testing.assert_allclose(out, wanted, atol=1e-12)
    assert abs(np.sum(back * x) - np.sum(y * wanted)) < 1e-11
    narrow = [array.astype(np.float32) for array in (kernel, x, y)]
    out, back = all_of(*narrow)
    assert out.dtype == back.dtype == np.float32
    np.testing.assert_allclose(out, wanted, atol=2e-5)


@pytest.mark.parametrize(("float_dtype", "dtype"), [("float64", "complex"), ("float32", "real")])
def test_networks_of_them(float_dtype, dtype):
    """4x4, wide enough: ratios in one batch as those one by one, rows of the Jacobian as those differentiated."""
    options = {"layers": 4, "features": 24, "kernel": (3, 3), "dtype": dtype}
    ansatz = resnet((4, 4), (True, True), **options, touch=False, float_dtype=float_dtype)
    rng = np.random.default_rng(4)
    params = jax.tree.map(
        lambda x: x + np.asarray(rng.normal(scale=0.05, size=x.shape), x.dtype), jax.jit(ansatz.init)(jax.random.key(1))
    )
    frozen = ansatz.freeze(params)
    assert not isinstance(frozen.matrices[0], tuple)  # one feature: shifts cost less
    assert isinstance(frozen.matrices[1], tuple)
    s_BN = np.random.default_rng(2).choice([-1, 1], size=(70, 16)).astype(np.int8)  # more than one batch
    rounding = {"float64": 1e-11, "float32": 1e-4}[float_dtype]
    one_by_one = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, s_BN)
    together = jax.jit(jax.vmap(ansatz.prepare, in_axes=(None, 0)))(frozen, s_BN)
    assert together.dtype == one_by_one.dtype
    assert np.abs(together - one_by_one).max() < rounding < 1e-3 * np.ptp(one_by_one.real)

    form = flat(params, ansatz.kind)
    plain = ansatz._replace(layered=None)
    wanted = jax.jit(lambda params, s: jacobian(plain, form, params, s, 16))(params, s_BN[:20])

    @jax.jit
    def made(params, s_BN, y):
        tape = layered.tape(ansatz.layered, params, s_BN, None)
        return jacobian(ansatz, form, params, s_BN, 16), layered.adjoint(ansatz.layered, tape, y)

    y = jnp.asarray(np.random.default_rng(3).normal(size=len(wanted)), form.dtype)
    rows, adjoint = made(params, s_BN[:20], y)
    assert rows.dtype == adjoint.dtype == form.dtype
    assert np.abs(rows - wanted).max() < rounding * np.abs(wanted).max()
    assert np.abs(adjoint - y @ wanted).max() < rounding * np.abs(y @ wanted).max()


def test_nothing_of_a_narrow_network_is_wide():
    """float32 parameters: apart from whole numbers of the spins no array of 64 bits is made."""
    ansatz = resnet((4, 4), (True, True), layers=2, features=24, kernel=(3, 3), touch=False, float_dtype="float32")
    frozen = jax.eval_shape(lambda: ansatz.freeze(ansatz.init(jax.random.key(0))))
    s_BN = jax.ShapeDtypeStruct((8, 16), np.int8)
    text = jax.jit(jax.vmap(ansatz.prepare, in_axes=(None, 0))).lower(frozen, s_BN).as_text()
    assert "f64" not in text


def test_stages_in_groups():
    assert layered.grouped([3, 5, 5, 5, 2], 1) == [[0, 1, 2, 3, 4]]
    assert layered.grouped([3, 5, 5, 5, 2], 2) == [[0, 1], [2, 3], [4]]
    assert layered.grouped([3, 5, 5, 5, 2], 20) == [[0], [1], [2], [3], [4]]
