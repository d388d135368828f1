"""Determinants and inverses of batches against LAPACK."""

import jax
import numpy as np
import pytest

from nqs_hpc.ansatz.determinants import log_det, log_det_and_inverse

SIZE = jax.jit(jax.vmap(log_det))
INVERSE = jax.jit(jax.vmap(log_det_and_inverse))


@pytest.mark.parametrize("n", [1, 2, 5, 19])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_against_lapack(n, dtype):
    rng = np.random.default_rng(n)
    a = rng.normal(size=(64, n, n)).astype(dtype)
    if dtype == "complex128":
        a += 1j * rng.normal(size=a.shape)
    a[0] = np.roll(np.eye(n), 1, axis=0)  # pivots that are not on the diagonal
    sign, size = np.linalg.slogdet(a)
    inverse = np.linalg.inv(a)
    value, found = INVERSE(a)
    for one in (SIZE(a), value):
        np.testing.assert_allclose(np.real(one), size, atol=1e-11)
        np.testing.assert_allclose(np.exp(1j * np.imag(one)), sign, atol=1e-12)
    np.testing.assert_allclose(found, inverse, atol=1e-10 * np.abs(inverse).max())


def test_a_singular_matrix_has_no_inverse():
    a = np.stack([np.zeros((3, 3)), np.array([[1.0, 2, 3], [2, 4, 6], [0, 1, 5]]), np.eye(3)])
    value, inverse = INVERSE(a)
    for one in (SIZE(a), value):
        assert list(np.real(one)) == [-np.inf, -np.inf, 0] and not np.imag(one).any()
    assert not np.asarray(inverse[:2]).any() and np.array_equal(inverse[2], np.eye(3))


@pytest.mark.parametrize("of", [log_det, log_det_and_inverse])
def test_no_call_that_can_wait_for_its_own_threads(of):
    """LAPACK within XLA, on jaxlib up to 0.10."""
    assert "custom_call" not in jax.jit(jax.vmap(of)).lower(np.zeros((4, 3, 3))).as_text()
