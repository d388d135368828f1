"""Symmetric rank-k updates and products by planes against NumPy; without BLAS they are XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.gradient.planes import product
from nqs_hpc.gradient.rank_k import ROWS, add_of_columns, add_of_rows
from nqs_hpc.parallel import foreign

N = foreign.SMALLEST  # rows of the smallest matrix that goes to BLAS
DTYPES = ("float32", "float64", "complex64", "complex128")


def draw(seed: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if "complex" in dtype else 0)
    return x.astype(dtype)


@pytest.fixture(params=[True, False], ids=["blas", "xla"])
def with_blas(request, monkeypatch):
    """BLAS is there; and the products that stand in for it elsewhere."""
    assert foreign.available(N)
    if not request.param:
        monkeypatch.setattr(foreign, "available", lambda n: False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rank_k_updates(with_blas, dtype):
    """In a loop, as they are used: total is carried on and updated in place, and what was handed in stays."""
    x, total, wide = draw(0, (3, N, N + 6), dtype), draw(1, (N, N), dtype), draw(2, (N + 6, N + 6), dtype)
    total, wide = total + total.conj().T, wide + wide.conj().T

    @jax.jit
    def found(total, wide, x):
        rows = jax.lax.scan(lambda t, x: (add_of_rows(t, x), None), total, x)[0]
        columns = jax.lax.scan(lambda t, x: (add_of_columns(t, x), None), wide, x)[0]
        return rows, columns, total, wide

    rows, columns, total_after, wide_after = map(np.asarray, found(total, wide, x))
    exact = total + sum(m @ m.conj().T for m in x.astype(np.clongdouble))
    eps = np.finfo(dtype).eps
    assert rows.dtype == columns.dtype == dtype
    assert np.abs(np.triu(rows - exact)).max() < 20 * eps * np.abs(exact).max()
    exact = wide + sum(m.conj().T @ m for m in x.astype(np.clongdouble))
    assert np.abs(np.triu(columns - exact)).max() < 20 * eps * np.abs(exact).max()
    assert np.array_equal(total_after, total) and np.array_equal(wide_after, wide)


@pytest.mark.parametrize("right", [(7, 4), (7,)])
@pytest.mark.parametrize("pair", [("float64", "complex128"), ("complex128", "float64"), ("complex64", "complex64")])
def test_product_by_planes(pair, right):
    x, y = draw(3, (5, 7), pair[0]), draw(4, right, pair[1])
    found = np.asarray(product(jnp.asarray(x), jnp.asarray(y)))
    assert found.dtype == np.result_type(x, y) and found.shape == (x @ y).shape
    assert np.abs(found - x.astype(np.clongdouble) @ y).max() < 50 * np.finfo(found.dtype).eps


def test_an_interface_of_another_version_is_refused_and_said(monkeypatch, capfd):
    """XLA asks each function for its version: one that does not fit leaves XLA's own products, with a line."""
    with monkeypatch.context() as patch:
        patch.setattr(foreign, "INTERFACE", (0, 999))
        patch.setattr(foreign, "_handlers", {"nqs_hpc_of_another_time": foreign._handlers[ROWS]})
        assert not foreign.available(N)
    said = capfd.readouterr().err
    assert "slower routines are used" in said and "0.999" in said
    assert foreign.available(N)


def test_functions_that_come_later_are_registered_too(monkeypatch):
    """Whatever was imported when BLAS was first asked for."""
    assert foreign.available(N)
    name = "nqs_hpc_declared_late"
    monkeypatch.setitem(foreign._handlers, name, foreign._handlers[ROWS])
    assert foreign.available(N)
    ones = jnp.ones((N, N))
    (twice,) = jax.jit(lambda t, x: foreign.call_in_place(name, (t,), (x,)))(ones, ones)
    assert np.array_equal(np.triu(twice), np.triu(np.full((N, N), N + 1.0)))


def test_what_blas_does_not_know_is_refused_and_small_matrices_are_left_to_xla():
    x = jnp.ones((N, N))
    for total in (x.astype(np.float32), x.astype(np.complex128)):
        with pytest.raises(TypeError, match="float64"):
            add_of_rows(total, x)
    with pytest.raises(TypeError, match="int64"):
        add_of_rows(x.astype(int), x.astype(int))
    assert not foreign.available(N - 1)
    mapped = jax.jit(jax.vmap(add_of_rows))(jnp.zeros((2, N, N)), jnp.ones((2, N, N)))
    assert np.array_equal(np.triu(mapped[1]), np.triu(np.full((N, N), float(N))))
