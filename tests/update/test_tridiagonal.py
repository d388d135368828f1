"""The smooth cut without eigenvectors, against matrices whose eigenvectors are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.parallel import foreign
from nqs_hpc.update.spectral import Cut, filtered
from nqs_hpc.update.tridiagonal import LEAST

N = 100  # rows: LAPACK takes no fewer than foreign.SMALLEST


def matrix_of(values, dtype, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((2, N, N))
    vectors = np.linalg.qr(z[0] + 1j * z[1] if dtype.startswith("complex") else z[0])[0]
    matrix = (vectors * values) @ vectors.conj().T
    b = rng.standard_normal((2, N))
    rhs = b[0] + 1j * b[1] if dtype.startswith("complex") else b[0]
    return matrix.astype(dtype), vectors, rhs.astype(dtype)


def solved(matrix, rhs, cut):
    """Below the diagonal nothing counts."""
    upper = np.triu(matrix) + np.tril(np.full_like(matrix, 7.0), -1)
    return jax.jit(lambda a, b: filtered(a, b, cut))(jnp.asarray(upper), jnp.asarray(rhs))


@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32", "complex64"])
@pytest.mark.parametrize("cut", [Cut(1e-4), Cut(1e-3, 1e-2), Cut(None, 1e-2), Cut(1e-4, 1e-9)])
def test_the_solution_is_that_of_the_definition(dtype, cut):
    """Twelve orders of eigenvalues, and forces in directions that have none; to rounding over the cut."""
    assert foreign.available(N)
    values = np.logspace(-12, 0.5, N)
    matrix, vectors, rhs = matrix_of(values, dtype)
    kept = 1 / (1 + ((cut.relative or 0.0) * values[-1] / values) ** 6)
    expected = vectors @ (kept / (values + cut.shift) * (vectors.conj().T @ rhs))
    x, info = solved(matrix, rhs, cut)
    tolerance = 1e4 * np.finfo(dtype).eps / max(cut.relative or 0.0, cut.shift)
    assert x.dtype == dtype and np.linalg.norm(x - expected) < min(tolerance, 0.1) * np.linalg.norm(expected)
    if cut.relative is not None:  # else it counts what rounding leaves above 0
        assert float(info["rank"]) == pytest.approx(kept.sum(), rel=1e-6 if dtype in ("float64", "complex128") else 0.1)


@pytest.mark.parametrize(("relative", "tolerance"), [(LEAST, 1e-8), (1e-12, 1e-13)])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_what_has_no_eigenvalue_leaves_no_noise(dtype, relative, tolerance):
    """Twenty eigenvalues of order 1, the others 0: forces in the null space, which residuals of samples have, are gone.
    The lowest cuts, those of exact sums, are exact to rounding, for they are done with eigenvectors."""
    values = np.where(np.arange(N) < 80, 0.0, np.linspace(0.5, 2.0, N))
    matrix, vectors, rhs = matrix_of(values, dtype)
    x, info = solved(matrix, rhs, Cut(relative))
    image = vectors[:, 80:].conj().T
    expected = (image @ rhs) / values[80:]
    assert np.abs(image @ x - expected).max() < 10 * tolerance * np.abs(expected).max()
    assert float(info["rank"]) == pytest.approx(20, abs=1e-9)


def test_ranks_that_compute_alike_get_the_same_bits():
    matrix, _, rhs = matrix_of(np.logspace(-12, 0, N), "complex128")
    first, again = (np.asarray(solved(matrix, rhs, Cut(1e-6))[0]) for _ in range(2))
    assert first.tobytes() == again.tobytes()


def test_without_a_matrix_or_with_one_that_is_not_finite():
    matrix, _, rhs = matrix_of(np.ones(N), "float64")
    assert not np.any(solved(0 * matrix, rhs, Cut(1e-6))[0])
    matrix[3, 5] = np.nan
    x, info = solved(matrix, rhs, Cut(1e-6))
    assert np.isnan(x).all() and np.isnan(info["rank"])
