"""The sample-space side of X = sqrt(w) (O - <O>) over all ranks: its kernel X X^dagger and its products.

Four methods that give the same numbers with different traffic:

``factored``  from the parts of an ansatz whose log-derivatives are products (`gradient.factored_space`).
``stored``    from the Jacobian of this rank's samples. Each rank has all parameters of its samples and needs all
              samples of its share of the parameters, (#samples, P) -> (samples, #P): one all-to-all, after which means
              and kernels are local sums over parameters, reduced once.
``blocked``   as before in blocks of parameters, one after the other, where the Jacobian does not fit: each block is
              differentiated again, one all-to-all a block.
``layered``   as before where an ansatz has its log-derivatives layer by layer: nothing is differentiated again, and a
              block is some layers.

Rows of all ranks are in rank order, which is the order of chains, as in ``Batch.e_loc_A``. Every rank holds the
complete kernel, or only the rows that a ``layout`` assigns to it (`gradient.kernel_rows`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient import by_coupling, layered
from nqs_hpc.gradient.factored_space import factored_space
from nqs_hpc.gradient.flat import Flat
from nqs_hpc.gradient.jacobian import SAMPLES, centre, jacobian, rows_per_sample, weigh
from nqs_hpc.gradient.kernel_rows import add_gram
from nqs_hpc.gradient.pullback import pullback_rows
from nqs_hpc.gradient.qgt import pack, unpack
from nqs_hpc.gradient.rank_k import add_of_rows
from nqs_hpc.gradient.space import SampleSpace, mine
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.cyclic import Layout
from nqs_hpc.types import Ansatz, Batch, Tree


def sample_space(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    batch: Batch,
    comm: Comm,
    *,
    v_P: Array | None = None,
    metric_P: Array | None = None,
    chunk: int | None,
    blocks: int,
    layout: Layout | None = None,
    whole: bool = False,
) -> SampleSpace:
    """The sample space of a step; the Jacobian has ``blocks`` parts if the ansatz has no factors. With a ``layout``
    over several ranks the kernel is distributed by rows, with both sides of the diagonal if ``whole``. With
    ``metric_P``, (P,) weights M of the parameters, the kernel is X M X^dagger, always from a Jacobian.

    Collectives: three with factors, two with a stored Jacobian, ``blocks`` + 1 with blocks (with layers up to 2
    ``blocks`` + 1); and one in ``adjoint``. By rows: two with factors; otherwise 1 + `kernel_rows.exchanges` for each
    block, and one for v.
    """
    if ansatz.factors is not None and metric_P is None:
        return factored_space(ansatz, flat, params, batch, comm, v_P, chunk, layout)
    sums = Sums(len(batch.w_A) * rows_per_sample(ansatz.kind), flat, batch.rank, comm, v_P, metric_P, layout, whole)
    if blocks == 1:
        return stored_space(ansatz, params, batch, sums, chunk)
    if ansatz.layered is None:
        return blocked_space(ansatz, params, batch, sums, chunk, blocks)
    return layered_space(ansatz, params, batch, sums, chunk, blocks)


class Sums(NamedTuple):
    """The sums over blocks of X (some columns of all rows): the kernel and X v."""

    n_rows: int
    flat: Flat
    rank: Array
    comm: Comm
    v_P: Array | None
    metric_P: Array | None
    layout: Layout | None
    whole: bool

    def zero(self) -> tuple[Array, Array]:
        shape = (self.n_rows,) * 2 if self.layout is None else (self.layout.local, self.layout.padded)
        return jnp.zeros(shape, self.flat.dtype), jnp.zeros(self.n_rows, self.flat.dtype)

    def added(self, total: tuple[Array, Array], x_block: Array, start: int | Array, width: int) -> tuple[Array, Array]:
        """With ``x_block``, this rank's share of the columns of the ``width`` parameters from ``start`` on."""
        kernel, image = total
        share = x_block.shape[1]

        def own(vector_P: Array) -> Array:
            of_block = jax.lax.dynamic_slice(jnp.pad(vector_P, (0, width)), (start,), (width,))
            padded = jnp.pad(of_block, (0, share * self.comm.size - width))
            return jax.lax.dynamic_slice(padded, (self.rank * share,), (share,))

        z_block = x_block if self.metric_P is None else x_block * jnp.sqrt(own(self.metric_P))[None]
        if self.layout is None:
            kernel = add_of_rows(kernel, z_block)
        else:
            kernel = add_gram(kernel, z_block, self.layout, self.comm, whole=self.whole)
        return kernel, image if self.v_P is None else image + x_block @ own(self.v_P)

    def reduced(self, total: tuple[Array, Array]) -> tuple[Array, Array | None]:
        """Summed over ranks; a complete kernel and the image in one reduction of packed numbers."""
        kernel, image = total[0], None if self.v_P is None else total[1]
        if self.layout is not None:
            return kernel, None if image is None else self.comm.sum(image)
        if self.comm.size == 1:
            return kernel, image
        buffer = pack(kernel) if image is None else jnp.concatenate([pack(kernel), image])
        buffer, n = self.comm.sum(buffer), self.n_rows
        return unpack(buffer[: n * (n + 1) // 2], n), None if image is None else buffer[-n:]


def stored_space(ansatz: Ansatz, params: Tree, batch: Batch, sums: Sums, chunk: int | None) -> SampleSpace:
    flat, comm = sums.flat, sums.comm
    x_block = exchanged(ansatz, jacobian(ansatz, flat, params, batch.samples.s_BN, chunk), batch, comm)
    kernel, image_A = sums.reduced(sums.added(sums.zero(), x_block, 0, flat.n_parameters))

    def adjoint(y_kA: Array) -> Array:
        gathered = comm.gather(y_kA @ x_block.conj())
        return gathered.transpose(1, 0, 2).reshape(len(y_kA), -1)[:, : flat.n_parameters]

    return SampleSpace(kernel, image_A, adjoint)


def blocked_space(
    ansatz: Ansatz, params: Tree, batch: Batch, sums: Sums, chunk: int | None, blocks: int
) -> SampleSpace:
    flat, comm = sums.flat, sums.comm
    # A complete row is differentiated before its block is taken: samples per chunk such that both need equal memory.
    n_local = len(batch.samples.s_BN)
    chunk = min(chunk or n_local, max(1, n_local // blocks))
    width = -(-flat.n_parameters // (blocks * comm.size)) * comm.size

    def add_block(total: tuple[Array, Array], block: Array) -> tuple[tuple[Array, Array], None]:
        jac = jacobian(ansatz, flat, params, batch.samples.s_BN, chunk, block=(block * width, width))
        return sums.added(total, exchanged(ansatz, jac, batch, comm), block * width, width), None

    total, _ = jax.lax.scan(add_block, sums.zero(), jnp.arange(blocks, dtype=jnp.int32))
    kernel, image_A = sums.reduced(total)
    back = functools.partial(pullback_rows, ansatz, flat, params, batch.samples.s_BN)
    return SampleSpace(kernel, image_A, _adjoint_of_rows(ansatz, batch, comm, lambda y_rows: back(y_rows, chunk)))


def layered_space(
    ansatz: Ansatz, params: Tree, batch: Batch, sums: Sums, chunk: int | None, blocks: int
) -> SampleSpace:
    assert ansatz.layered is not None
    layers, comm, chunk = ansatz.layered, sums.comm, min(chunk or SAMPLES, SAMPLES)
    recorded = layered.tape(layers, params, batch.samples.s_BN, chunk)
    widths = layered.widths(layers, recorded)
    assert sum(widths) == sums.flat.n_parameters
    total, start = sums.zero(), 0
    for numbers in layered.grouped(widths, blocks):
        # one group after the other: each Jacobian is freed before the next is made
        recorded, total = jax.lax.optimization_barrier((recorded, total))
        jac = layered.jacobian_of(layers, recorded, numbers, chunk)
        total = sums.added(total, exchanged(ansatz, jac, batch, comm), start, jac.shape[1])
        start += jac.shape[1]
    kernel, image_A = sums.reduced(total)
    adjoint = _adjoint_of_rows(ansatz, batch, comm, lambda y_rows: layered.adjoint(layers, recorded, y_rows))
    return SampleSpace(kernel, image_A, adjoint)


def _adjoint_of_rows(
    ansatz: Ansatz, batch: Batch, comm: Comm, back: Callable[[Array], Array]
) -> Callable[[Array], Array]:
    """X^dagger y from ``back``, which is O^dagger y of this rank's rows."""

    def adjoint(y_kA: Array) -> Array:
        w_rows = weigh(ansatz.kind, batch.w_A).astype(y_kA.real.dtype)
        c_kA = by_coupling.centred_coefficients(batch, y_kA, w_rows, rows_per_sample(ansatz.kind))
        y = mine(batch, comm, c_kA)
        return comm.sum(jnp.stack([back(y_rows) for y_rows in y]))

    return adjoint


def exchanged(ansatz: Ansatz, jac: Array, batch: Batch, comm: Comm) -> Array:
    """(rows of all ranks, this rank's share of the columns): X from this rank's Jacobian rows, padded with 0."""
    share = -(-jac.shape[1] // comm.size)
    jac = jnp.pad(jac, ((0, 0), (0, share * comm.size - jac.shape[1])))
    # (#rows, P) -> (rows, #P)
    blocks = comm.all_to_all(jac.reshape(-1, comm.size, share).transpose(1, 0, 2))
    jac_block = blocks.reshape(-1, share)
    w_rows = weigh(ansatz.kind, batch.w_A)
    return centre(jac_block, w_rows, by_coupling.means(batch, jac_block, w_rows, rows_per_sample(ansatz.kind)))
