"""Solutions over emulated ranks against NumPy."""

import numpy as np
import pytest

from nqs_hpc.parallel import foreign
from nqs_hpc.parallel.cyclic import Layout
from nqs_hpc.update import over_ranks
from nqs_hpc.update.over_ranks import solve
from tests.emulated import comm_of, on_ranks
from tests.gradient.test_kernel_rows import DTYPES, by_hand, draw

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


def solved(layout: Layout, matrix: np.ndarray, rhs: np.ndarray, shift: float) -> np.ndarray:
    def one(rank, rows):
        return solve(rows, rhs, np.asarray(shift, matrix.real.dtype), layout, rank, comm_of(layout.size))[0]

    return np.asarray(on_ranks(one, layout.size, parts_of(matrix, layout)))


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
