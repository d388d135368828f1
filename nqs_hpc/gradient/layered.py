"""Log-derivatives layer by layer, from one forward and one backward pass (`types.Layered`).

A Jacobian of many parameters is made from the tape, some stages at a time, so the network is not differentiated again
for each block. Sums over samples first contract the coefficients with the back-propagated derivatives, and then need
one product per layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.types import Layered, Stage, Tree

Tape = Sequence[tuple[Tree, Tree]]


def tape(layered: Layered, params: Tree, s_BN: Array, chunk: int | None) -> Tape:
    """The tape of this rank's samples, which are the first axis."""
    return chunked_map(lambda s_N: layered.tape(params, s_N), s_BN, chunk)


def widths(layered: Layered, recorded: Tape) -> list[int]:
    """The number of parameters of each stage."""

    def width(stage: Stage) -> int:
        kept, back = jax.eval_shape(lambda record: (first(record[0]), first(first(record[1]))), recorded[stage.record])
        return jax.eval_shape(stage.rows, kept, back).shape[0]

    return [width(stage) for stage in layered.stages]


def first(many: Tree) -> Tree:
    return jax.tree.map(lambda x: x[0], many)


def jacobian_of(layered: Layered, recorded: Tape, numbers: Sequence[int], chunk: int | None) -> Array:
    """(B * rows, columns) of the stages with these numbers; the rows of a sample are adjacent."""
    stages = [layered.stages[i] for i in numbers]
    used = sorted({stage.record for stage in stages})

    def of_sample(records: list[tuple[Tree, Tree]]) -> Array:
        columns = []
        for stage in stages:
            kept, back = records[used.index(stage.record)]
            columns.append(jax.vmap(stage.rows, in_axes=(None, 0))(kept, back))
        return jnp.concatenate(columns, axis=1)

    rows = chunked_map(of_sample, [recorded[i] for i in used], chunk)
    return rows.reshape(-1, rows.shape[-1])


def adjoint(layered: Layered, recorded: Tape, y_rows: Array) -> Array:
    """(P,): the sum over this rank's rows of real y times the derivative."""

    def weighted(back: Array) -> Array:
        y = y_rows.astype(back.dtype).reshape(len(back), -1)
        return jnp.sum(y.reshape(*y.shape, *(1,) * (back.ndim - 2)) * back, axis=1)

    backs = [jax.tree.map(weighted, back) for _, back in recorded]
    return jnp.concatenate([stage.total(recorded[stage.record][0], backs[stage.record]) for stage in layered.stages])


def grouped(widths: Sequence[int], blocks: int) -> list[list[int]]:
    """The stages in order, as groups of neighbours: none wider than a ``blocks``-th of all, unless it is a single
    stage."""
    most = -(-sum(widths) // blocks)
    groups: list[list[int]] = [[]]
    total = 0
    for i, width in enumerate(widths):
        if groups[-1] and total + width > most:
            groups.append([])
            total = 0
        groups[-1].append(i)
        total += width
    return groups
