"""X = sqrt(w) (O - <O>) of this rank's samples as a linear map, for methods in parameter space.

``factored``    from the parts of an ansatz whose log-derivatives are products; no array of samples times parameters.
``stored``      from the Jacobian of this rank's samples, held.
``recomputed``  from a forward and a backward pass of the network for each product, where the Jacobian does not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient import factored
from nqs_hpc.gradient.diagonal_blocks import Block
from nqs_hpc.gradient.flat import Flat, widened
from nqs_hpc.gradient.jacobian import centre, jacobian, rows_per_sample, weigh
from nqs_hpc.gradient.kernel_rows import add_gram
from nqs_hpc.gradient.pullback import pullback_rows
from nqs_hpc.gradient.rank_k import add_of_columns
from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.cyclic import Layout
from nqs_hpc.types import Ansatz, Samples, Tree

T = TypeVar("T")

# Samples whose rows are added to the dense QGT at a time, unless chunk_size is smaller: enough for a fast product.
QGT_ROWS = 256


class Rows(NamedTuple):
    """``times(v_P)`` is X v, (rows,) on this rank; ``adjoint(y_rows)`` is this rank's part of X^dagger y, (P,)."""

    times: Callable[[Array], Array]
    adjoint: Callable[[Array], Array]


def uncentred(ansatz: Ansatz, flat: Flat, params: Tree, s_BN: Array, chunk: int | None, dtype: str) -> Rows:
    """O of this rank's samples instead of X, without a Jacobian; products are in ``dtype`` if there are factors."""
    if ansatz.factors is not None:
        leaves = ansatz.factors.leaves
        parts = tuple(widened(part, dtype) for part in factored.part_rows(ansatz, params, s_BN, chunk))
        return Rows(
            times=lambda v_P: factored.times(leaves, flat, parts, v_P),
            adjoint=lambda y_rows: factored.adjoint(leaves, parts, y_rows),
        )
    theta_P = flat.ravel(params)

    def times(v_P: Array) -> Array:
        def one(s_N: Array) -> Array:
            v = v_P.astype(theta_P.dtype)
            change = jax.jvp(lambda theta: ansatz.log_psi(flat.unravel(theta), s_N), (theta_P,), (v,))[1]
            if ansatz.kind == "complex":
                return jnp.stack([jnp.real(change), jnp.imag(change)])
            return change[None] if ansatz.kind == "holomorphic" else jnp.real(change)[None]

        return chunked_map(one, s_BN, chunk).ravel()

    return Rows(times, lambda y_rows: pullback_rows(ansatz, flat, params, s_BN, y_rows, chunk))


def mean_rows(ansatz: Ansatz, raw: Rows, w_B: Array, comm: Comm) -> Array:
    """(n, P): <O> over all ranks, for each of the n kinds of rows of a sample. One reduction."""
    n = rows_per_sample(ansatz.kind)
    of_kind = [jnp.zeros((len(w_B), n), w_B.dtype).at[:, r].set(w_B).ravel() for r in range(n)]
    return comm.sum(jnp.stack([raw.adjoint(w_rows).conj() for w_rows in of_kind]))


def centred_rows(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    samples: Samples,
    comm: Comm,
    *,
    chunk: int | None,
    stored: bool,
    dtype: str = "float64",
) -> Rows:
    """X of this rank's samples; ``stored`` if there are no factors and the Jacobian fits. One reduction.

    Products are in ``dtype``, complex if X is, except for those that are recomputed from the network.
    """
    raw = uncentred(ansatz, flat, params, samples.s_BN, chunk, dtype)
    w_B = samples.w_B.astype(flat.dtype.type(0).real.dtype)
    mean_nP = mean_rows(ansatz, raw, w_B, comm)
    w_rows, n = weigh(ansatz.kind, w_B), rows_per_sample(ansatz.kind)
    if stored and ansatz.factors is None:
        x = widened(centre(jacobian(ansatz, flat, params, samples.s_BN, chunk), w_rows, mean_nP), dtype)
        return Rows(lambda v_P: x @ v_P, lambda y_rows: x.conj().T @ y_rows)
    root = jnp.sqrt(w_rows)

    def times(v_P: Array) -> Array:
        return root * (raw.times(v_P).reshape(-1, n) - (mean_nP @ v_P)[None]).ravel()

    def adjoint(y_rows: Array) -> Array:
        scaled = root * y_rows
        return raw.adjoint(scaled) - jnp.sum(scaled.reshape(-1, n), axis=0) @ mean_nP.conj()

    return Rows(times, adjoint)


def gram_of_parameters(
    ansatz: Ansatz, flat: Flat, params: Tree, samples: Samples, comm: Comm, eps_rows: Array, *, chunk: int | None
) -> tuple[Array, Array]:
    """This rank's part of S = X^dagger X (P, P) and F = X^dagger eps (P,), some samples at a time. One reduction.

    Only the upper triangle of S is defined.
    """
    zero = jnp.zeros((flat.n_parameters,) * 2, flat.dtype)
    at_once = min(chunk or QGT_ROWS, QGT_ROWS)
    return _gram(ansatz, flat, params, samples, comm, eps_rows, zero, add_of_columns, at_once, None)


def gram_of_blocks(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    samples: Samples,
    comm: Comm,
    eps_rows: Array,
    blocks: tuple[Block, ...],
    *,
    chunk: int | None,
) -> tuple[tuple[Array, ...], Array]:
    """This rank's part of the diagonal blocks of S, and F (P,), as in `gram_of_parameters`. One reduction."""

    def add(totals: tuple[Array, ...], x: Array) -> tuple[Array, ...]:
        return tuple(add_of_columns(total, block.of(x)) for total, block in zip(totals, blocks, strict=True))

    zero = tuple(jnp.zeros((block.size,) * 2, flat.dtype) for block in blocks)
    at_once = min(chunk or QGT_ROWS, QGT_ROWS)
    return _gram(ansatz, flat, params, samples, comm, eps_rows, zero, add, at_once, None)


def gram_by_rows(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    samples: Samples,
    comm: Comm,
    eps_rows: Array,
    layout: Layout,
    *,
    chunk: int | None,
) -> tuple[Array, Array]:
    """S of all ranks by rows (local, padded), with only the lower triangle defined, and F of all ranks (P,). The
    samples taken at a time have at most as many log-derivatives as the rows have numbers.

    Two reductions, and `kernel_rows.exchanges` for each such group of samples.
    """

    def add(rows: Array, x: Array) -> Array:
        return add_gram(rows, x, layout, comm, by_columns=True)

    zero = jnp.zeros((layout.local, layout.padded), flat.dtype)
    at_once = max(1, zero.size // (rows_per_sample(ansatz.kind) * flat.n_parameters))
    s_rows, force_P = _gram(ansatz, flat, params, samples, comm, eps_rows, zero, add, at_once, chunk)
    return s_rows, comm.sum(force_P)


def _gram(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    samples: Samples,
    comm: Comm,
    eps_rows: Array,
    zero: T,
    add_columns: Callable[[T, Array], T],
    at_once: int,
    chunk: int | None,
) -> tuple[T, Array]:
    """``zero`` with X^dagger X added by ``add_columns``, a group of samples at a time, and this rank's F."""
    w_B = samples.w_B.astype(flat.dtype.type(0).real.dtype)
    n, n_samples = rows_per_sample(ansatz.kind), len(w_B)
    size = min(n_samples, at_once)
    raw = uncentred(ansatz, flat, params, samples.s_BN, min(size, chunk or QGT_ROWS, QGT_ROWS), w_B.dtype.name)
    mean_nP = mean_rows(ansatz, raw, w_B, comm)
    pads = -n_samples % size
    s_BN = jnp.concatenate([samples.s_BN, jnp.repeat(samples.s_BN[:1], pads, axis=0)])
    w_B, eps_rows = jnp.pad(w_B, (0, pads)), jnp.pad(eps_rows, (0, n * pads))

    def add(total: tuple[T, Array], inputs: tuple[Array, Array, Array]) -> tuple[tuple[T, Array], None]:
        s_bN, w_b, eps_r = inputs
        x = centre(jacobian(ansatz, flat, params, s_bN, chunk), weigh(ansatz.kind, w_b), mean_nP)
        return (add_columns(total[0], x), total[1] + x.conj().T @ eps_r), None

    inputs = (s_BN.reshape(-1, size, s_BN.shape[1]), w_B.reshape(-1, size), eps_rows.reshape(-1, n * size))
    return jax.lax.scan(add, (zero, jnp.zeros(flat.n_parameters, flat.dtype)), inputs)[0]


def sums_of_chains(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    samples: Samples,
    comm: Comm,
    eps_rows: Array,
    vectors_Pk: Array,
    chain_length: int,
) -> Array:
    """(C, k) the contribution of each of this rank's chains, of ``chain_length`` consecutive samples, to V^dagger
    X^dagger eps. Some chains at a time; one reduction.
    """
    w_B = samples.w_B.astype(flat.dtype.type(0).real.dtype)
    n, n_chains = rows_per_sample(ansatz.kind), len(w_B) // chain_length
    raw = uncentred(ansatz, flat, params, samples.s_BN, QGT_ROWS, w_B.dtype.name)
    mean_nP = mean_rows(ansatz, raw, w_B, comm)

    def of_chain(inputs: tuple[Array, Array, Array]) -> Array:
        s_LN, w_L, eps_r = inputs
        x = centre(jacobian(ansatz, flat, params, s_LN, None), weigh(ansatz.kind, w_L), mean_nP)
        return vectors_Pk.conj().T @ (x.conj().T @ eps_r)

    inputs = (
        samples.s_BN.reshape(n_chains, chain_length, -1),
        w_B.reshape(n_chains, chain_length),
        eps_rows.reshape(n_chains, n * chain_length),
    )
    at_once = max(1, QGT_ROWS // chain_length)
    return jax.lax.map(of_chain, inputs, batch_size=min(at_once, n_chains))
