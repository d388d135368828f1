"""Cells of recurrent networks, and the path on which their hidden states are handed on.

In one dimension the gated recurrent unit of Cho et al. (2014, arXiv:1406.1078), of the hidden state h before it and its
input x:

    u, r = sigmoid(W [h; x] + b),   c = tanh(W_c [r h; x] + b_c),   h' = (1 - u) h + u c.

In two, of the hidden states h of the site before it in its row and g of that in the row before, the gated cell of
Hibat-Allah, Melko and Carrasquilla (2022, arXiv:2207.14314):

    u = sigmoid(U v + a),   c = tanh(W v + b),   h' = (1 - u) V [h; g] + u c,

where v is the tensor product [1; x_h; x_g] (x) [1; h; g] with the values x_h and x_g of the two sites, one-hot without
the first value, which the 1 stands for, and above the first layer [h; g; x] with the hidden state x of the layer below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike
from numpy.typing import NDArray

from nqs_hpc.ansatz.layers import Dense, dense_apply, dense_init, normal


class GRU(NamedTuple):
    gates: Dense  # (F + in, 2 F): u, r
    candidate: Dense  # (F + in, F)


class Gated(NamedTuple):
    gates: Dense  # (|v|, 2 F): u, c before their nonlinearities
    skip: Array  # (2 F, F)


Cell = GRU | Gated


class Path(NamedTuple):
    """Sites along a path, and the slots in which the last hidden state of each column lies."""

    order: NDArray[np.int32]  # (N,): the sites of the lattice
    n_slots: int
    reads: NDArray[np.int32]  # (N, R): the slots of the sites before each; -1: there is none
    writes: NDArray[np.int32]  # (N,): the slot in which the site's own state is left
    last: NDArray[np.int32]  # (N + 1, slots): which site was the last to write each slot; N: none yet


def path(reads: NDArray[np.int32], writes: NDArray[np.int32], order: NDArray[np.int32]) -> Path:
    n_sites, n_slots = len(writes), int(writes.max()) + 1
    last = np.full((n_sites + 1, n_slots), n_sites, np.int32)
    for site, slot in enumerate(writes):
        last[site + 1] = last[site]
        last[site + 1, slot] = site
    return Path(order.astype(np.int32), n_slots, reads.astype(np.int32), writes.astype(np.int32), last)


def line(order: NDArray[np.int32]) -> Path:
    """Sites one after the other."""
    zeros = np.zeros(len(order), np.int32)
    return path(zeros[:, None], zeros, order)


def zigzag(extent: tuple[int, ...]) -> NDArray[np.int32]:
    """The sites x + Lx y of (Lx,) or (Lx, Ly), every second row backwards, so that each is a neighbour of the next."""
    rows = np.arange(int(np.prod(extent)), dtype=np.int32).reshape(-1, extent[0])
    rows[1::2] = rows[1::2, ::-1].copy()
    return rows.ravel()


def folded(n_sites: int) -> NDArray[np.int32]:
    """The sites of a ring from both ends in turn, 0, N - 1, 1, N - 2, ...: neighbours, the ends too, are at most two
    steps apart on the path.
    """
    order = np.arange(n_sites, dtype=np.int32)
    return np.stack([order, order[::-1]], axis=1).ravel()[:n_sites]


def rows(extent: tuple[int, int]) -> Path:
    """The zigzag path: the state before a site is that in its row, and the other that of its column, a row before."""
    order = zigzag(extent)
    column = order % extent[0]
    starts = np.arange(len(order)) % extent[0] == 0
    before = np.where(starts, -1, np.roll(column, 1))
    return path(np.stack([before, column], axis=1), column, order)


def gru_init(key: Array, n_in: int, features: int, scale: float, dtype: DTypeLike) -> GRU:
    key_gates, key_candidate = jax.random.split(key)
    n_seen = features + n_in
    return GRU(
        dense_init(key_gates, n_seen, 2 * features, scale=scale, dtype=dtype),
        dense_init(key_candidate, n_seen, features, scale=scale, dtype=dtype),
    )


def gated_init(key: Array, n_in: int, n_alive: int, features: int, scale: float, dtype: DTypeLike) -> Gated:
    """``n_alive`` of the inputs are other than 0 at a time: those count for the variance of the weights."""
    key_gates, key_skip = jax.random.split(key)
    gates = dense_init(key_gates, n_in, 2 * features, scale=scale * (n_in / n_alive) ** 0.5, dtype=dtype)
    return Gated(gates, normal(key_skip, (2 * features, features), scale / (2 * features) ** 0.5, dtype))


def apply(cell: Cell, before_RF: Array, x: Array, probes: Sequence[Array] = ()) -> tuple[Array, tuple[Array, Array]]:
    """The new hidden state (F,), and what the two products are of; ``probes``, if any, are added to these."""
    add = tuple(probes) or (0.0, 0.0)
    if isinstance(cell, GRU):
        (h,) = before_RF
        v = jnp.concatenate([h, x])
        u, r = jnp.split(jax.nn.sigmoid(dense_apply(cell.gates, v) + add[0]), 2)
        w = jnp.concatenate([r * h, x])
        c = jnp.tanh(dense_apply(cell.candidate, w) + add[1])
        return h + u * (c - h), (v, w)
    both = before_RF.reshape(-1)
    u, c = jnp.split(dense_apply(cell.gates, x) + add[0], 2)
    u = jax.nn.sigmoid(u)
    skipped = both @ cell.skip + add[1]
    return skipped + u * (jnp.tanh(c) - skipped), (x, both)
