"""Large calls of BLAS and LAPACK, split between threads, against NumPy."""

import queue
import threading

import numpy as np
import pytest

from nqs_hpc.gradient import rank_k
from nqs_hpc.parallel import foreign
from nqs_hpc.parallel.foreign import View
from nqs_hpc.update import solvers

DTYPES = ("float32", "float64", "complex64", "complex128")


def draw(seed: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if "complex" in dtype else 0)
    return x.astype(dtype)


def view(x: np.ndarray) -> View:
    return View(x.dtype.name, x.ctypes.data, x.shape)


@pytest.fixture
def split(monkeypatch):
    """Three threads, and nothing is too small for them."""
    monkeypatch.setattr(foreign, "n_threads", lambda: 3)
    monkeypatch.setattr(rank_k, "SPLIT_FROM", 0)
    monkeypatch.setattr(solvers, "SPLIT_FROM", 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_products(split, dtype):
    x, total, wide = draw(0, (150, 90), dtype), draw(1, (150, 150), dtype), draw(2, (90, 90), dtype)
    rows, columns = total.copy(), wide.copy()
    rank_k._rows([view(rows), view(x)], [view(rows)])
    rank_k._columns([view(columns), view(x)], [view(columns)])
    high = x.astype(np.clongdouble)
    for found, before, added in ((rows, total, high @ high.conj().T), (columns, wide, high.conj().T @ high)):
        exact = np.triu(before + added, 1)  # the diagonal of ?herk has no imaginary part
        assert np.abs(np.triu(found, 1) - exact).max() < 20 * np.finfo(dtype).eps * np.abs(exact).max()
        diagonal = np.diag(before + added).real
        assert np.abs(np.diag(found) - diagonal).max() < 20 * np.finfo(dtype).eps * np.abs(diagonal).max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_solutions(split, dtype):
    n = 203  # panels and parts of unequal size
    x = draw(0, (n, n), dtype)
    matrix, rhs = (x @ x.conj().T + n * np.eye(n)).astype(dtype), draw(1, (n,), dtype)
    # by columns the upper triangle is the lower one of the conjugate matrix; what is below it is not read
    work, found = np.triu(matrix) + np.tril(np.full_like(matrix, np.nan), -1), rhs.copy()
    solvers._solve_in_place([], [view(work), view(found)])
    exact = np.linalg.solve(matrix.conj().astype(np.complex128), rhs)
    assert np.abs(found - exact).max() < 100 * np.finfo(dtype).eps * np.abs(exact).max()


@pytest.mark.parametrize("bad", [0, 100, 202])
def test_a_matrix_without_a_factor_is_said_to_be_one(split, bad):
    matrix, found = np.eye(203), np.ones(203)
    matrix[bad, bad] = -1.0
    solvers._solve_in_place([], [view(matrix), view(found)])
    assert np.isnan(found[0])


def test_threads_that_get_no_core_are_not_waited_for(monkeypatch):
    monkeypatch.setattr(foreign, "_helpers", lambda n: queue.SimpleQueue())  # which nobody serves
    done: list[int] = []
    foreign.side_by_side([lambda i=i: done.append(i) for i in range(5)], 3)
    assert done == [0, 1, 2, 3, 4]


def test_parts_run_side_by_side_and_their_errors_come_back():
    meet = threading.Barrier(3, timeout=60)
    foreign.side_by_side([meet.wait] * 3, 3)  # none ends before all have begun

    def fail() -> None:
        raise ValueError("part")

    with pytest.raises(ValueError, match="part"):
        foreign.side_by_side([fail, lambda: None], 2)


def test_blas_with_threads_of_its_own_is_not_split(monkeypatch):
    monkeypatch.setenv("PJRT_NPROC", "4")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert foreign.n_threads() == 4
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    assert foreign.n_threads() == 1
    monkeypatch.delenv("PJRT_NPROC")
    assert foreign.n_threads() == 1
