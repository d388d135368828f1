"""The sample space of an ansatz whose log-derivatives are products, without an array of samples times parameters.

The parts are gathered; each rank makes the rows of its samples, or those that a ``layout`` assigns to it; the means of
the rows are gathered for centring. If every rank needs the complete kernel, the rows are gathered too.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient import factored
from nqs_hpc.gradient.by_coupling import centred_coefficients
from nqs_hpc.gradient.flat import Flat
from nqs_hpc.gradient.jacobian import rows_per_sample, weigh
from nqs_hpc.gradient.space import SampleSpace, mine
from nqs_hpc.parallel.chunk import chunked
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.cyclic import Layout
from nqs_hpc.types import Ansatz, Batch, Tree

# Rows of a kernel made at a time: their Gram matrices fit into the cache, and little memory is needed besides the
# kernel.
KERNEL_ROWS = 256


def factored_space(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    batch: Batch,
    comm: Comm,
    v_P: Array | None,
    chunk: int | None,
    layout: Layout | None = None,
) -> SampleSpace:
    assert ansatz.factors is not None and batch.groups is None
    leaves, n = ansatz.factors.leaves, rows_per_sample(ansatz.kind)
    parts = factored.part_rows(ansatz, params, batch.samples.s_BN, chunk)
    columns = [*parts] if v_P is None else [*parts, factored.times(leaves, flat, parts, v_P)[:, None]]
    gathered = gather_columns(comm, columns)
    parts_A, image_A = gathered[: len(parts)], None
    w_rows = weigh(ansatz.kind, batch.w_A).astype(parts[0].real.dtype)
    root = jnp.sqrt(w_rows)
    shifts = [jnp.sum(w_rows[:, None] * part, axis=0) / n for part in parts_A]

    mine_rows, columns_A, w_columns = parts, parts_A, w_rows
    if layout is not None:
        columns_A, w_columns = [layout.pad(part) for part in parts_A], layout.pad(w_rows)
        mine_rows = tuple(part[layout.rows(batch.rank)] for part in columns_A)
    # real and imaginary part are separate until the end: XLA's loops over complex numbers are several times as slow
    raw = chunked(lambda rows: split(factored.gram(leaves, rows, columns_A, shifts)), mine_rows, KERNEL_ROWS)
    kernel = centred_kernel_rows(raw, w_columns, n, batch.rank, comm, layout)
    if layout is None:
        kernel = comm.gather(kernel).reshape(len(w_rows), -1)
    if v_P is not None:
        o_v = gathered[-1][:, 0].reshape(-1, n)
        image_A = root * (o_v - (batch.w_A.astype(o_v.real.dtype) @ o_v)[None]).ravel()

    def adjoint(y_kA: Array) -> Array:
        y = mine(batch, comm, centred_coefficients(batch, y_kA, w_rows, n))
        return comm.sum(jnp.stack([factored.adjoint(leaves, parts, y_rows) for y_rows in y]))

    return SampleSpace(kernel, image_A, adjoint)


def split(x: Array) -> tuple[Array, ...]:
    """(x,) for a real x, its two parts for a complex one."""
    return (x,) if jnp.isrealobj(x) else (x.real, x.imag)


def centred_kernel_rows(
    raw: tuple[Array, ...], w_rows: Array, n: int, rank: Array, comm: Comm, layout: Layout | None
) -> Array:
    """This rank's rows of sqrt(w) (1 - 1 w^T) raw (1 - w 1^T) sqrt(w) for a Hermitian ``raw``, separately for the n
    kinds of rows of a sample (Re O and Im O). ``raw``: the rows of this rank's samples, or those that ``layout``
    assigns to it; the real part and, if there is one, the imaginary part. One gather, of means.
    """
    m, size = raw[0].shape
    kinds = jnp.arange(n)
    of_kind = jnp.zeros((size // n, n, n), w_rows.dtype)
    of_kind = of_kind.at[:, kinds, kinds].set(w_rows.reshape(-1, n)).reshape(size, n)
    means = jnp.stack([part @ of_kind for part in raw])  # (part, row, kind of column)
    root = jnp.sqrt(w_rows)
    if layout is None:
        means_A = comm.gather(means).transpose(1, 0, 2, 3).reshape(len(raw), size, n)
        root_of_row = jax.lax.dynamic_slice_in_dim(root, rank * m, m)
    else:
        means_A = layout.in_order(comm.gather(means.swapaxes(0, 1))).swapaxes(0, 1)
        root_of_row = root[layout.rows(rank)]
    weight = root_of_row[:, None] * root[None]
    centred = []
    for part, own, every, sign in zip(raw, means, means_A, (1, -1), strict=False):
        whole = of_kind.T @ every  # kind of row, kind of column
        # the means of the columns equal those of the rows, with the opposite sign for the imaginary part
        of_columns = sign * every.reshape(-1, n, n).transpose(2, 0, 1)
        shaped = part.reshape(m // n, n, size // n, n) - own.reshape(-1, n, n)[:, :, None, :] - of_columns[None]
        centred.append(weight * (shaped + whole[None, :, None, :]).reshape(m, size))
    return centred[0] if len(centred) == 1 else jax.lax.complex(*centred)


def gather_columns(comm: Comm, columns: list[Array] | tuple[Array, ...]) -> list[Array]:
    """Gather arrays (#rows, width) of all ranks as (rows, width), in one collective."""
    if comm.size == 1:
        return list(columns)
    dtype = jnp.result_type(*columns)
    gathered = comm.gather(jnp.concatenate([column.astype(dtype) for column in columns], axis=1))
    whole = gathered.reshape(-1, gathered.shape[-1])
    out, start = [], 0
    for column in columns:
        part = whole[:, start : start + column.shape[1]]
        out.append(part if jnp.iscomplexobj(column) else part.real.astype(column.dtype))
        start += column.shape[1]
    return out
