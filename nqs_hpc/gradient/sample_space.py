"""The sample-space side of X = sqrt(w) (O - <O>) over all ranks: its kernel X X^dagger and its products.

Three ways to the same numbers, each with its traffic:

``factored_space``  from the parts of an ansatz whose log-derivatives are products: a gather of the parts, each rank
                    makes the rows of its samples, a gather of their means, by which it centres them, and of the rows.
``stored_space``    from the Jacobian of this rank's samples. Each rank has all parameters of its samples and needs all
                    samples of its share of the parameters, (#samples, P) -> (samples, #P): one all-to-all, after which
                    means and kernels are local sums over parameters, reduced once.
``blocked_space``   as before in blocks of parameters, one after the other, where the Jacobian does not fit: each block
                    is differentiated again, one all-to-all a block.

Rows of all ranks come in rank order, which is the order of chains, as in ``Batch.e_loc_A``. The kernel is whole on
every rank, or each has the rows that a ``layout`` gives it (`gradient.kernel_rows`), and a whole one is nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient import factored
from nqs_hpc.gradient.flat import Flat
from nqs_hpc.gradient.jacobian import centre, jacobian, row_means, rows_per_sample, weigh
from nqs_hpc.gradient.kernel_rows import add_gram
from nqs_hpc.gradient.pullback import pullback_rows
from nqs_hpc.gradient.qgt import pack, unpack
from nqs_hpc.gradient.rank_k import add_of_rows
from nqs_hpc.parallel.chunk import chunked
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.cyclic import Layout
from nqs_hpc.types import Ansatz, Batch, Tree

# Rows of a kernel made at a time: their Gram matrices stay in the cache, and bound what is held beside the kernel.
KERNEL_ROWS = 256


class SampleSpace(NamedTuple):
    """The same on every rank but for a kernel by rows; rows of all ranks."""

    # (rows, rows) X X^dagger, or X M X^dagger with a metric M; its upper triangle counts. By rows (local, padded), its
    # lower one
    kernel: Array
    image: Array | None  # (rows,) X v, where a v was given
    adjoint: Callable[[Array], Array]  # (k, rows) -> (k, P): X^dagger y, the one collective that is still to come


def sample_space(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    batch: Batch,
    comm: Comm,
    *,
    v_P: Array | None = None,
    chunk: int | None,
    blocks: int,
    layout: Layout | None = None,
    whole: bool = False,
    metric_P: Array | None = None,
) -> SampleSpace:
    """The sample space of a step; ``blocks`` parts of the Jacobian where the ansatz has no factors. With a ``layout``
    over several ranks the kernel comes by its rows, on both sides of the diagonal where they have to be ``whole``. With
    ``metric_P``, (P,) weights M of the parameters, the kernel is X M X^dagger, always from a Jacobian.

    Collectives: three from factors, two from a stored Jacobian, ``blocks`` + 1 from blocks; and one in ``adjoint``.
    By rows: two from factors; otherwise 1 + `kernel_rows.exchanges` for each block, and one for v.
    """
    arguments = (ansatz, flat, params, batch, comm, v_P, chunk)
    if ansatz.factors is not None and metric_P is None:
        return factored_space(*arguments, layout)
    if blocks == 1:
        return stored_space(*arguments, layout, whole, metric_P)
    return blocked_space(*arguments, blocks, layout, whole, metric_P)


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
    assert ansatz.factors is not None
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
    # real and imaginary part apart to the end: XLA's loops over complex numbers are several times as slow
    raw = chunked(lambda rows: split(factored.gram(leaves, rows, columns_A, shifts)), mine_rows, KERNEL_ROWS)
    kernel = centred_kernel_rows(raw, w_columns, n, batch.rank, comm, layout)
    if layout is None:
        kernel = comm.gather(kernel).reshape(len(w_rows), -1)
    if v_P is not None:
        o_v = gathered[-1][:, 0].reshape(-1, n)
        image_A = root * (o_v - (batch.w_A.astype(o_v.real.dtype) @ o_v)[None]).ravel()

    def adjoint(y_kA: Array) -> Array:
        y = mine(batch, comm, centred_coefficients(y_kA, w_rows, n))
        return comm.sum(jnp.stack([factored.adjoint(leaves, parts, y_rows) for y_rows in y]))

    return SampleSpace(kernel, image_A, adjoint)


def stored_space(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    batch: Batch,
    comm: Comm,
    v_P: Array | None,
    chunk: int | None,
    layout: Layout | None = None,
    whole: bool = False,
    metric_P: Array | None = None,
) -> SampleSpace:
    jac = jacobian(ansatz, flat, params, batch.samples.s_BN, chunk)
    x_block = exchanged(ansatz, jac, batch, comm)
    share = x_block.shape[1]
    v_block = None if v_P is None else comm_share(v_P, batch.rank, share, comm.size)
    image = None if v_block is None else x_block @ v_block
    z_block = x_block if metric_P is None else x_block * root_of(comm_share(metric_P, batch.rank, share, comm.size))
    if layout is not None:
        kernel = add_gram(no_rows(layout, flat), z_block, layout, comm, whole=whole)
        image = None if image is None else comm.sum(image)
    else:
        kernel = add_of_rows(jnp.zeros((len(x_block),) * 2, flat.dtype), z_block)
        kernel, image = reduced_kernel(kernel, image, comm)

    def adjoint(y_kA: Array) -> Array:
        gathered = comm.gather(y_kA @ x_block.conj())
        return gathered.transpose(1, 0, 2).reshape(len(y_kA), -1)[:, : flat.n_parameters]

    return SampleSpace(kernel, image, adjoint)


def blocked_space(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    batch: Batch,
    comm: Comm,
    v_P: Array | None,
    chunk: int | None,
    blocks: int,
    layout: Layout | None = None,
    whole: bool = False,
    metric_P: Array | None = None,
) -> SampleSpace:
    n_rows = len(batch.w_A) * rows_per_sample(ansatz.kind)
    # A whole row is differentiated before its block is taken: so many samples at a time that both need as much.
    n_local = len(batch.samples.s_BN)
    chunk = min(chunk or n_local, max(1, n_local // blocks))
    share = -(-flat.n_parameters // (blocks * comm.size))
    width = share * comm.size
    padding = (0, blocks * width - flat.n_parameters)
    v_padded = None if v_P is None else jnp.pad(v_P, padding)
    metric_padded = None if metric_P is None else jnp.pad(metric_P, padding)

    def share_of(padded: Array, block: Array) -> Array:
        return jax.lax.dynamic_slice(padded, (block * width + batch.rank * share,), (share,))

    def add_block(total: tuple[Array, Array], block: Array) -> tuple[tuple[Array, Array], None]:
        jac = jacobian(ansatz, flat, params, batch.samples.s_BN, chunk, block=(block * width, width))
        x_block = exchanged(ansatz, jac, batch, comm)
        kernel, image = total
        z_block = x_block if metric_padded is None else x_block * root_of(share_of(metric_padded, block))
        if layout is None:
            kernel = add_of_rows(kernel, z_block)
        else:
            kernel = add_gram(kernel, z_block, layout, comm, whole=whole)
        if v_padded is not None:
            image = image + x_block @ share_of(v_padded, block)
        return (kernel, image), None

    nothing = no_rows(layout, flat) if layout is not None else jnp.zeros((n_rows, n_rows), flat.dtype)
    zero = (nothing, jnp.zeros(n_rows, flat.dtype))
    (kernel, image), _ = jax.lax.scan(add_block, zero, jnp.arange(blocks, dtype=jnp.int32))
    image_A = None if v_P is None else image
    if layout is None:
        kernel, image_A = reduced_kernel(kernel, image_A, comm)
    elif image_A is not None:
        image_A = comm.sum(image_A)

    def adjoint(y_kA: Array) -> Array:
        w_rows = weigh(ansatz.kind, batch.w_A).astype(y_kA.real.dtype)
        y = mine(batch, comm, centred_coefficients(y_kA, w_rows, rows_per_sample(ansatz.kind)))
        return comm.sum(
            jnp.stack([pullback_rows(ansatz, flat, params, batch.samples.s_BN, y_rows, chunk) for y_rows in y])
        )

    return SampleSpace(kernel, image_A, adjoint)


def exchanged(ansatz: Ansatz, jac: Array, batch: Batch, comm: Comm) -> Array:
    """(rows of all ranks, this rank's share of the columns): X from the Jacobian rows of this rank, padded with 0."""
    share = -(-jac.shape[1] // comm.size)
    jac = jnp.pad(jac, ((0, 0), (0, share * comm.size - jac.shape[1])))
    # (#rows, P) -> (rows, #P)
    blocks = comm.all_to_all(jac.reshape(-1, comm.size, share).transpose(1, 0, 2))
    jac_block = blocks.reshape(-1, share)
    w_rows = weigh(ansatz.kind, batch.w_A)
    return centre(jac_block, w_rows, row_means(jac_block, w_rows, rows_per_sample(ansatz.kind)))


def comm_share(v_P: Array, rank: Array, share: int, size: int) -> Array:
    """This rank's part of a vector that all ranks hold, padded with 0."""
    padded = jnp.pad(v_P, (0, share * size - len(v_P)))
    return jax.lax.dynamic_slice(padded, (rank * share,), (share,))


def root_of(metric_P: Array) -> Array:
    """(1, P) square roots, to multiply columns with."""
    return jnp.sqrt(metric_P)[None]


def reduced_kernel(kernel: Array, image: Array | None, comm: Comm) -> tuple[Array, Array | None]:
    """The sums over ranks of parts of the kernel and of the image, in one reduction of packed numbers."""
    if comm.size == 1:
        return kernel, image
    n = len(kernel)
    buffer = pack(kernel) if image is None else jnp.concatenate([pack(kernel), image])
    buffer = comm.sum(buffer)
    return unpack(buffer[: n * (n + 1) // 2], n), None if image is None else buffer[-n:]


def split(x: Array) -> tuple[Array, ...]:
    """(x,) of a real x, its two parts of a complex one."""
    return (x,) if jnp.isrealobj(x) else (x.real, x.imag)


def no_rows(layout: Layout, flat: Flat) -> Array:
    """A kernel by rows to add to."""
    return jnp.zeros((layout.local, layout.padded), flat.dtype)


def centred_kernel_rows(
    raw: tuple[Array, ...], w_rows: Array, n: int, rank: Array, comm: Comm, layout: Layout | None
) -> Array:
    """This rank's rows of sqrt(w) (1 - 1 w^T) raw (1 - w 1^T) sqrt(w) for a Hermitian ``raw``, apart for the n kinds of
    rows of a sample (Re O and Im O). ``raw``: the rows of this rank's samples, or those that ``layout`` gives it, the
    real part and, where there is one, the imaginary part. One gather, of means.
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
        # the means of the columns are those of the rows, of the imaginary part with the other sign
        of_columns = sign * every.reshape(-1, n, n).transpose(2, 0, 1)
        shaped = part.reshape(m // n, n, size // n, n) - own.reshape(-1, n, n)[:, :, None, :] - of_columns[None]
        centred.append(weight * (shaped + whole[None, :, None, :]).reshape(m, size))
    return centred[0] if len(centred) == 1 else jax.lax.complex(*centred)


def centred_coefficients(y_kA: Array, w_rows: Array, n: int) -> Array:
    """c with O^dagger c = X^dagger y: sqrt(w) y with its sum over samples taken out, for each kind of row."""
    scaled = (jnp.sqrt(w_rows)[None] * y_kA).reshape(len(y_kA), -1, n)
    return (scaled - w_rows.reshape(1, -1, n) * jnp.sum(scaled, axis=1, keepdims=True)).reshape(y_kA.shape)


def mine(batch: Batch, comm: Comm, y_kA: Array) -> Array:
    """This rank's rows of what all ranks hold."""
    n_local = y_kA.shape[1] // comm.size
    return jax.lax.dynamic_slice_in_dim(y_kA, batch.rank * n_local, n_local, axis=1)


def gather_columns(comm: Comm, columns: list[Array] | tuple[Array, ...]) -> list[Array]:
    """Arrays (#rows, width) of all ranks as (rows, width), in one gather."""
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
