"""Kernels by rows over emulated ranks against X X^dagger of NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.gradient import kernel_rows
from nqs_hpc.gradient.kernel_rows import add_gram, exchanges, times
from nqs_hpc.gradient.sample_space import sample_space
from nqs_hpc.parallel import cyclic, foreign
from nqs_hpc.parallel.cyclic import Layout
from tests.emulated import comm_of, on_ranks
from tests.gradient.test_spaces import case, differ, going

DTYPES = ("float32", "float64", "complex64", "complex128")
LAYOUTS = [Layout(70, 1, 16), Layout(70, 2, 8), Layout(96, 3, 16), Layout(101, 4, 8), Layout(65, 3, 2)]


def draw(seed: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + (1j * rng.normal(size=shape) if "complex" in dtype else 0)).astype(dtype)


def by_hand(layout: Layout, rank: int) -> list[int]:
    """The rows of a rank, dealt one block after the other."""
    found: list[int] = []
    for number, first in enumerate(range(0, layout.padded, layout.block)):
        if number % layout.size == rank:
            found += range(first, first + layout.block)
    return found


def whole_of(layout: Layout, parts: np.ndarray) -> np.ndarray:
    """The matrix that parts (R, local, padded) hold."""
    matrix = np.zeros((layout.padded,) * 2, parts.dtype)
    for rank, part in enumerate(parts):
        matrix[by_hand(layout, rank)] = part
    return matrix[: layout.n, : layout.n]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_row_has_one_place(layout):
    assert layout.local * layout.size == layout.padded >= layout.n > layout.padded - layout.block * layout.size
    rows = [np.asarray(layout.rows(rank)) for rank in range(layout.size)]
    assert [row.tolist() for row in rows] == [by_hand(layout, rank) for rank in range(layout.size)]
    assert np.array_equal(layout.in_order(jnp.asarray(rows)), np.arange(layout.padded))


@pytest.mark.parametrize(("n", "size"), [(1, 1), (10, 4), (1000, 3), (8192, 2), (100_000, 64)])
def test_blocks_are_as_large_as_leaves_each_rank_several(n, size):
    found = cyclic.layout(n, size)
    assert found.padded >= n and found.block in (8, 16, 32, 64, 128, 256)
    assert found.block == cyclic.SMALLEST or found.n_blocks >= cyclic.EACH
    assert found.block == cyclic.LARGEST or found.n_blocks <= 2 * cyclic.EACH


CASES = [(LAYOUTS[3], dtype, columns, blas) for dtype in DTYPES for columns in (True, False) for blas in (True, False)]
CASES += [(layout, "float64", layout.size % 2 == 0, True) for layout in LAYOUTS if layout.size < 4]


@pytest.mark.parametrize(("layout", "dtype", "by_columns", "blas"), CASES)
def test_sums_of_products_by_rows(monkeypatch, layout, dtype, by_columns, blas):
    """Of as many terms as ranks, in a few exchanges; the triangle, or all of it; and added to what was there."""
    if not blas:
        monkeypatch.setattr(foreign, "available", lambda n: False)
    monkeypatch.setattr(kernel_rows, "AT_ONCE", 4 * layout.size)
    assert exchanges(layout) == layout.local // min(4, layout.block)
    z = draw(0, (layout.size, layout.n, 7), dtype)
    before = draw(1, (layout.size, layout.local, layout.padded), dtype)
    given = z.swapaxes(1, 2).conj() if by_columns else z
    exact = np.einsum("rik,rjk->ij", z.astype(np.clongdouble), z.conj()) + whole_of(layout, before)
    for whole in (True, False):
        found = on_ranks(
            lambda rank, rows, z, whole=whole: add_gram(
                rows, z, layout, comm_of(layout.size), by_columns=by_columns, whole=whole
            ),
            layout.size,
            before,
            given,
        )
        assert found.dtype == dtype
        difference = whole_of(layout, np.asarray(found)) - exact
        difference = difference if whole else np.tril(difference)
        assert np.abs(difference).max() < 50 * np.finfo(dtype).eps * np.abs(exact).max()


def test_parts_of_products_for_several_threads(monkeypatch):
    monkeypatch.setattr(foreign, "n_threads", lambda: 3)
    monkeypatch.setattr(kernel_rows, "SPLIT_FROM", 0)
    layout, z = Layout(150, 2, 64), draw(0, (2, 150, 5), "complex128")
    zero = np.zeros((2, layout.local, layout.padded), complex)
    found = on_ranks(lambda rank, rows, z: add_gram(rows, z, layout, comm_of(2)), 2, zero, z)
    exact = np.einsum("rik,rjk->ij", z, z.conj())
    assert np.abs(np.tril(whole_of(layout, np.asarray(found)) - exact)).max() < 1e-13 * np.abs(exact).max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_with_vectors(dtype):
    layout = LAYOUTS[3]
    matrix, v = draw(0, (layout.padded,) * 2, dtype), draw(1, (layout.n,), dtype)
    parts = np.stack([matrix[by_hand(layout, rank)] for rank in range(layout.size)])
    found = on_ranks(lambda rank, rows: times(rows, v, layout, comm_of(layout.size)), layout.size, parts)
    exact = matrix[: layout.n, : layout.n].astype(np.clongdouble) @ v
    assert found.dtype == dtype and all(np.array_equal(one, found[0]) for one in found)
    assert np.abs(np.asarray(found[0]) - exact).max() < 50 * np.finfo(dtype).eps * np.abs(exact).max()


WAYS = [("factored", "rbm-complex", 7), ("factored", "mlp-complex", 2), ("stored", "jastrow", 7)]
WAYS += [("stored", "rbm-complex", 2), ("blocked", "rbm-complex", 2)]


@pytest.mark.parametrize(("way", "name", "size"), WAYS)
def test_sample_spaces_by_rows(way, name, size):
    """The 14 samples of `case` over the ranks, in blocks of 4 rows."""
    ansatz, form, params, batch, x, v_P, y_kA = case(name)
    layout, comm = Layout(len(x), size, 4), comm_of(size)
    s_RBN = batch.samples.s_BN.reshape(size, -1, batch.samples.s_BN.shape[1])
    w_RB = batch.samples.w_B.reshape(size, -1)

    def found(rank, s_BN, w_B):
        mine = batch._replace(samples=batch.samples._replace(s_BN=s_BN, w_B=w_B), rank=rank)
        taken, options = going(ansatz, way)
        options |= {"v_P": v_P, "chunk": 5, "layout": layout, "whole": True}
        space = sample_space(taken, form, params, mine, comm, **options)
        return space.kernel, space.image, space.adjoint(y_kA)

    kernel, image, adjoint = map(np.asarray, on_ranks(found, size, s_RBN, w_RB))
    assert kernel.shape == (size, layout.local, layout.padded)
    assert differ(whole_of(layout, kernel), x @ x.conj().T) < 1e-12
    assert differ(image[-1], x @ v_P) < 1e-12
    assert differ(adjoint[-1], y_kA @ x.conj()) < 1e-12
