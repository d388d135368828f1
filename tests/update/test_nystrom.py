"""Preconditioned conjugate gradients against dense solutions by NumPy, on one rank and on several, emulated."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.parallel.comm import serial
from nqs_hpc.parallel.cyclic import Layout, layout
from nqs_hpc.update.nystrom import columns, conjugate_gradient, preconditioner, signs
from tests.emulated import comm_of, on_ranks

N = 150
SPECTRA = {  # fast and slow
    "exponential": np.exp(-np.arange(N) / 3.0),
    "quadratic": 1 / (1 + np.arange(N)) ** 2.0,
    "harmonic": 1 / (1 + np.arange(N)) ** 1.0,
}


@functools.cache
def system(spectrum: str, is_complex: bool = False):
    rng = np.random.default_rng(0)
    g = rng.normal(size=(2, N, N))
    q = np.linalg.qr(g[0] + 1j * g[1] * is_complex if is_complex else g[0])[0]
    matrix = q * SPECTRA[spectrum] @ q.conj().T
    return matrix, q @ rng.normal(size=N)


@functools.cache
def solver(size, sketch):
    """Compiled once for all systems: ranks are mapped over, and all else is data."""
    lay, comm = (Layout(N, 1, N), serial()) if size == 1 else (layout(N, size), comm_of(size))

    def solve(rank, matrix, rhs, shift, tolerance, max_iterations):
        mine = lay.pad(jnp.pad(matrix, ((0, 0), (0, lay.padded - N))))[lay.rows(rank)]
        return conjugate_gradient(
            lambda v: product(mine, v, lay),
            rhs,
            shift.astype(rhs.real.dtype),
            lay,
            comm,
            rank=rank,
            step=jnp.int32(0),
            sketch=sketch,
            tolerance=tolerance,
            max_iterations=max_iterations,
        )

    return jax.jit(jax.vmap(solve, in_axes=(0, *(None,) * 5), axis_name="ranks", axis_size=size))


def solved(matrix, rhs, shift, size=1, tolerance=1e-12, sketch=40, max_iterations=400):
    numbers = (jnp.float64(shift), jnp.float64(tolerance), jnp.int32(max_iterations))
    x, info = solver(size, sketch)(jnp.arange(size, dtype=jnp.int32), matrix, rhs, *numbers)
    for one in (x, *info.values()):
        assert len({row.tobytes() for row in np.asarray(one)}) == 1  # the same on all ranks, to the bit
    return np.asarray(x[0]), {name: float(one[0]) for name, one in info.items()}


def product(rows, v_A, lay):
    """This rank's rows of K v."""
    return rows @ lay.pad(v_A)


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_solution_is_that_of_dense_algebra(spectrum, size):
    """To 1e-10, on any number of ranks; 150 rows are not a multiple of three blocks."""
    matrix, rhs = system(spectrum)
    expected = np.linalg.solve(matrix + 1e-3 * np.eye(N), rhs)
    x, info = solved(matrix, rhs, 1e-3, size, tolerance=1e-13)
    assert np.abs(x - expected).max() < 1e-10 * np.abs(expected).max()
    assert info["cg_converged"] == 1 and info["cg_residual"] <= 1e-13 and info["cg_rank"] == 40
    residual = np.linalg.norm(matrix @ x + 1e-3 * x - rhs) / np.linalg.norm(rhs)
    assert residual < 1e-11  # what the recursion says is so


@pytest.mark.parametrize("spectrum", ["exponential", "harmonic"])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_other_numbers(spectrum, dtype):
    matrix, rhs = system(spectrum, "complex" in dtype)
    expected = np.linalg.solve(matrix + 1e-2 * np.eye(N), rhs)
    single = dtype in ("float32", "complex64")
    x, info = solved(matrix.astype(dtype), rhs.astype(dtype), 1e-2, 2, tolerance=1e-6 if single else 1e-13)
    assert x.dtype == dtype and info["cg_converged"] == 1
    assert np.abs(x - expected).max() < (1e-4 if single else 1e-10) * np.abs(expected).max()


def test_iterations_are_fewer_where_the_spectrum_decays():
    """By the factor that stands beside each; plain ones need most where it decays fast."""
    for spectrum, factor in (("exponential", 8.0), ("quadratic", 3.0), ("harmonic", 1.5)):
        matrix, rhs = system(spectrum)
        plain, fewer = (solved(matrix, rhs, 1e-4, tolerance=1e-10, sketch=n)[1]["cg_iterations"] for n in (0, 40))
        assert factor * fewer <= plain, (spectrum, plain, fewer)


def test_preconditioner_is_the_inverse_of_the_approximation():
    """shift (A' + shift)^-1 with A' = Y (Omega^T Y)^-1 Y^T, dense; the same matrix on two ranks, and at any width."""
    matrix, _ = system("quadratic")
    width, shift = 20, 1e-3
    found = {}
    for size in (1, 2):
        lay, comm = layout(N, size), comm_of(size)

        def made(rank, lay=lay, comm=comm):
            mine = lay.pad(jnp.pad(matrix, ((0, 0), (0, lay.padded - N))))[lay.rows(rank)]
            return preconditioner(
                lambda v: product(mine, v, lay),
                jnp.float64(shift),
                lay,
                comm,
                rank=rank,
                step=jnp.int32(3),
                n_columns=width,
            )[0]

        parts = on_ranks(made, size)
        found[size] = np.asarray(lay.in_order(parts))[:N]
    w = found[1]
    assert np.abs(found[2] - w).max() < 1e-10
    outside = np.linalg.svd(w)[0][:, width:]  # A' is 0 there
    inverse = np.eye(N) - w @ w.T
    assert np.abs(inverse @ outside - outside).max() < 1e-10
    approximation = shift * np.linalg.inv(inverse) - shift * np.eye(N)
    gap = np.linalg.eigvalsh(matrix - approximation)
    assert gap[0] > -1e-9 and gap[-1] < 20 * SPECTRA["quadratic"][width]  # below A, and near it
    values = np.linalg.eigvals(inverse @ (matrix + shift * np.eye(N))).real / shift
    assert values.min() > 1 - 1e-8 and values.max() < 1 + 1.01 * gap[-1] / shift


def test_iterations_are_bounded_and_the_rest_is_said():
    matrix, rhs = system("harmonic")
    x, info = solved(matrix, rhs, 1e-5, 2, tolerance=1e-12, max_iterations=3)
    assert info["cg_iterations"] == 3 and info["cg_residual"] > 1e-12 and info["cg_converged"] == 0
    residual = np.linalg.norm(matrix @ x + 1e-5 * x - rhs) / np.linalg.norm(rhs)
    assert info["cg_residual"] == pytest.approx(residual, rel=1e-6)
    x, info = solved(matrix, np.zeros(N), 1e-3)
    assert np.abs(x).max() == 0 and info["cg_iterations"] == 0 and info["cg_converged"] == 1


@pytest.mark.parametrize("size", [1, 2])
def test_what_a_sketch_cannot_do(size):
    """A matrix that is not positive has no factor in its sketch: plain conjugate gradients, and the info says so.
    One that is not finite has no solution: NaN on all ranks."""
    matrix, rhs = system("quadratic")
    bad = matrix - 0.05 * np.eye(N)
    x, info = solved(bad, rhs, 0.06, size, tolerance=1e-12)
    assert info["cg_rank"] == 0 and info["cg_converged"] == 1
    assert np.abs(x - np.linalg.solve(bad + 0.06 * np.eye(N), rhs)).max() < 1e-8 * np.abs(x).max()
    bad = matrix.copy()
    bad[0, 0] = np.nan
    x, info = solved(bad, rhs, 1e-3, size)
    assert np.isnan(x).all() and info["cg_rank"] == 0 and info["cg_converged"] == 0


def test_a_rank_one_matrix_and_more_columns_than_it_has():
    v = np.ones(N) / np.sqrt(N)
    x, info = solved(np.outer(v, v), v + np.arange(N), 1e-6, tolerance=1e-10, sketch=N)
    expected = (v + np.arange(N)) / 1e-6
    expected += v * (v @ (v + np.arange(N))) * (1 / (1 + 1e-6) - 1e6)
    assert info["cg_converged"] == 1 and info["cg_iterations"] < 10
    assert np.abs(x - expected).max() < 1e-7 * np.abs(expected).max()


def test_signs_are_those_of_their_row():
    """1 and -1, balanced, of the row and the column alone, others at another part."""
    key, rows = jnp.array([1, 2], jnp.uint32), jnp.arange(300, dtype=jnp.uint32)
    one = np.asarray(signs(key, rows, jnp.uint32(0), 100))
    assert one.shape == (300, 100) and set(np.unique(one)) == {-1, 1}
    assert abs(one.mean()) < 5 / np.sqrt(one.size)
    overlaps = one.astype(float).T @ one / 300 - np.eye(100)
    assert np.abs(overlaps).max() < 6 / np.sqrt(300)
    assert (np.asarray(signs(key, rows[17:19], jnp.uint32(0), 100)) == one[17:19]).all()
    other = np.asarray(signs(key, rows, jnp.uint32(1), 100))
    assert abs((one * other).mean()) < 5 / np.sqrt(one.size)


def test_columns_of_a_sketch():
    assert columns(None, 100) == 0 and columns(30, 100) == 30 and columns(300, 100) == 100
    assert columns("auto", 4096) == 512 and columns("auto", 3) == 1
    assert columns("auto", 2**20) == 1024


def test_a_sketch_of_rows_with_pads():
    """450 rows of two ranks, of which the second has pads: it compiles (fused random bits did not), its columns are
    signs, those of a step its own, and the pads 0.
    """
    n, n_columns = 450, columns("auto", 450)
    lay = layout(n, 2)
    assert lay.padded > n and n_columns < 64
    comm = serial()._replace(size=2)

    @jax.jit
    def weights(rank, step):  # of A = 1, whose approximation is the projection on the columns
        mine = jnp.eye(lay.padded)[lay.rows(rank)] * (lay.rows(rank) < n)[:, None]
        return preconditioner(
            lambda v: mine @ lay.pad(v), jnp.float64(1.0), lay, comm, rank=rank, step=step, n_columns=n_columns
        )[0]

    first, again, other = (np.asarray(weights(jnp.int32(1), jnp.int32(step))) for step in (0, 0, 1))
    assert np.isfinite(first).all() and np.array_equal(first, again) and np.abs(first - other).max() > 1e-3
    assert (first[np.asarray(lay.rows(1)) >= n] == 0).all() and np.abs(first[:8]).max() > 0
