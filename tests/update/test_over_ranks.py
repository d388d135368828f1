"""Solutions over emulated ranks against NumPy."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.kernel_rows import add_gram
from nqs_hpc.parallel import foreign
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.cyclic import Layout
from nqs_hpc.update import over_ranks
from nqs_hpc.update.minsr import minsr
from nqs_hpc.update.over_ranks import solve
from nqs_hpc.update.sr import sr
from tests.emulated import comm_of, on_ranks
from tests.gradient.test_kernel_rows import DTYPES, by_hand, draw
from tests.systems import SERIAL, ansatz_of
from tests.update.test_sr import RATES, N, batch_of, textbook_step

LAYOUTS = [Layout(70, 1, 16), Layout(70, 2, 8), Layout(96, 3, 16), Layout(101, 4, 8), Layout(65, 3, 2)]
CASES = [(LAYOUTS[3], dtype, blas) for dtype in DTYPES for blas in (True, False)]
CASES += [(layout, "complex128", True) for layout in LAYOUTS if layout.size < 4]


def parts_of(matrix: np.ndarray, layout: Layout) -> np.ndarray:
    """(R, local, padded): a lower triangle by rows, with NaN where nothing may be read."""
    whole = np.full((layout.padded,) * 2, np.nan, matrix.dtype)
    whole[: layout.n, : layout.n] = matrix
    number = np.arange(layout.padded) // layout.block
    whole[number[:, None] < number] = 7.0  # finite: XLA multiplies whole rectangles
    whole[layout.n :], whole[:, layout.n :] = 0.0, 0.0
    return np.stack([whole[by_hand(layout, rank)] for rank in range(layout.size)])


@functools.cache
def solver(layout: Layout, dtype: str, by_blas: bool):
    """The compiled program of all ranks, which tests share."""
    del dtype
    assert foreign.available(layout.n) == by_blas

    def one(rank, rows, rhs, shift):
        return solve(rows, rhs, shift, layout, rank, comm_of(layout.size))[0]

    return jax.jit(jax.vmap(one, (0, 0, None, None), axis_name="ranks"))


def solved(layout: Layout, matrix: np.ndarray, rhs: np.ndarray, shift: float) -> np.ndarray:
    ranks, width = jnp.arange(layout.size, dtype=jnp.int32), np.asarray(shift, matrix.real.dtype)
    program = solver(layout, matrix.dtype.name, foreign.available(layout.n))
    return np.asarray(program(ranks, parts_of(matrix, layout), rhs, width))


@pytest.mark.parametrize(("layout", "dtype", "blas"), CASES)
def test_solutions(monkeypatch, layout, dtype, blas):
    if not blas:
        monkeypatch.setattr(foreign, "available", lambda n: False)
    x = draw(0, (layout.n, 2 * layout.n), dtype) / np.sqrt(2 * layout.n)
    matrix, rhs = x @ x.conj().T, draw(1, (layout.n,), dtype)
    found = solved(layout, matrix.astype(dtype), rhs, 0.1)
    exact = np.linalg.solve(matrix.astype(np.complex128) + 0.1 * np.eye(layout.n), rhs)
    assert found.dtype == dtype and all(np.array_equal(one, found[0]) for one in found)
    assert np.abs(found[0] - exact).max() < 1e3 * np.finfo(dtype).eps * np.abs(exact).max()


@pytest.mark.parametrize("blas", [True, False], ids=["blas", "xla"])
@pytest.mark.parametrize("bad", [0, 99])
def test_a_matrix_without_a_factor_is_nan_on_all_ranks(monkeypatch, bad, blas):
    """In the first panel and in the last; nothing else is tried."""
    if not blas:
        monkeypatch.setattr(foreign, "available", lambda n: False)
    layout, matrix = LAYOUTS[3], np.eye(101)
    matrix[bad, bad] = -1.0
    assert np.isfinite(solved(layout, matrix, np.ones(101), 2.0)).all()
    assert np.isnan(solved(layout, matrix, np.ones(101), 0.5)).any(axis=1).all()


def test_rows_for_several_threads(monkeypatch):
    monkeypatch.setattr(foreign, "n_threads", lambda: 3)
    monkeypatch.setattr(over_ranks, "SPLIT_FROM", 0)
    layout, x = Layout(150, 2, 8), draw(0, (150, 150), "complex128")
    matrix, rhs = x @ x.conj().T / 150, draw(1, (150,), "complex128")
    found, exact = solved(layout, matrix, rhs, 0.1)[0], np.linalg.solve(matrix + 0.1 * np.eye(150), rhs)
    assert np.abs(found - exact).max() < 1e-11 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("make", "name", "size"), [(minsr, "rbm-complex", 3), (minsr, "jastrow", 1), (sr, "rbm-complex", 3)]
)
def test_steps_are_those_of_the_textbook(monkeypatch, make, name, size):
    """24 samples over the ranks, in kernels of many small blocks; of a real, and of two rows a sample."""
    monkeypatch.setattr(over_ranks, "layout", lambda n, size: Layout(n, size, 4))
    ansatz = ansatz_of(name, N)
    params = ansatz.init(jax.random.key(1))
    batch = batch_of(ansatz, params, 24)
    momentum = {"momentum": 0.5} if make is minsr else {}
    update = make(ansatz, comm_of(size) if size > 1 else SERIAL, solver="distributed", chunk=5, **RATES, **momentum)

    def step(rank, s_BN, w_B, e_loc_B):
        mine = batch._replace(samples=batch.samples._replace(s_BN=s_BN, w_B=w_B), rank=rank, e_loc_B=e_loc_B)
        delta, _, info = update.step(params, update.init(params), mine, jnp.int32(0), jnp.float64(1.0))
        return flat(params, "real").ravel(delta), info["fallback"]

    dealt = [x.reshape(size, -1, *x.shape[1:]) for x in (*batch.samples, batch.e_loc_B)]
    deltas, fallback = map(np.asarray, on_ranks(step, size, *dealt))
    expected, _ = textbook_step(ansatz, params, batch)
    assert not fallback.any() and all(np.array_equal(delta, deltas[0]) for delta in deltas)
    assert np.abs(deltas[0] - expected).max() < 1e-9 * np.abs(expected).max()


def test_programs_for_gpus_call_nothing_of_cpus():
    layout, played = LAYOUTS[3], Comm(0, 4, lambda x: x, lambda x: x, lambda x: jnp.stack([x] * 4), lambda x: x)

    def program(rank, z, rhs):
        rows = add_gram(jnp.zeros((layout.local, layout.padded)), z, layout, played)
        return solve(rows, rhs, jnp.float64(1.0), layout, rank, played)[0]

    traced = jax.jit(program).trace(jnp.int32(0), jnp.ones((layout.n, 7)), jnp.ones(layout.n))
    for platform, ours in (("cpu", True), ("cuda", False)):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        names = set(re.findall(r"custom_call @(\w+)", text))
        assert any("nqs_hpc" in name for name in names) == ours
        assert ours or all(name.startswith("cu") for name in names)
