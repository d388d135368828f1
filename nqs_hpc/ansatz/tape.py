"""What a forward and a backward pass leave of each layer, for log-derivatives layer by layer (`types.Layered`).

With z_l the output of layer l, linear in its weights, and x_l its input, d log psi / d W_l = sum_p x_l,p (x) delta_l,p
over the places p at which W_l is applied, delta_l = d log psi / d z_l: Goodfellow (2015, arXiv:1510.01799). A network
is written with a probe, an array of zeros, added to each z_l; delta_l is the derivative by the probe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.types import Kind, Stage, Tree

# The widest stage: bounds the part of a Jacobian that is held at once.
WIDEST = 2**16

Tape = tuple[tuple[Tree, Tree], ...]
# params, samples, probes -> log psi, what each record keeps
Probed = Callable[[Tree, Array, tuple[Array, ...]], tuple[Array, Sequence[Tree]]]


def tape(probed: Probed, shapes: Sequence[tuple[int, ...]], dtype: Any, kind: Kind) -> Callable[[Tree, Array], Tape]:
    """``params, s_N -> (kept, back)`` of each record; probes of the shapes and the dtype given, one a record."""
    return lambda params, s_N: differentiated(probed, shapes, dtype, kind, params, s_N)


def tape_of_batch(
    probed: Probed, shapes: Sequence[tuple[int, ...]], dtype: Any, kind: Kind
) -> Callable[[Tree, Array], Tape]:
    """``params, s_BN -> (kept, back)``, the batch leading, of a network that takes batches: then the probes (N, B, out)
    and what is kept (N, B, in) have it behind the places. ``shapes`` are those of one sample, (N, out).
    """

    def record(params: Tree, s_BN: Array) -> Tape:
        batch = len(s_BN)
        # psi of one sample depends only on its own probes: the derivative of the sum is that of each
        whole = [(shape[0], batch, *shape[1:]) for shape in shapes]
        found = differentiated(lambda *given: _summed(probed(*given)), whole, dtype, kind, params, s_BN)
        return tuple((jnp.moveaxis(kept, 1, 0), jnp.moveaxis(back, 2, 0)) for kept, back in found)

    return record


def _summed(found: tuple[Array, Sequence[Tree]]) -> tuple[Array, Sequence[Tree]]:
    return jnp.sum(found[0]), found[1]


def differentiated(
    probed: Probed, shapes: Sequence[tuple[int, ...]], dtype: Any, kind: Kind, params: Tree, s: Array
) -> Tape:
    probes = tuple(jnp.zeros(shape, dtype) for shape in shapes)

    def parts(probes: tuple[Array, ...]) -> tuple[Array, Sequence[Tree]]:
        value, kept = probed(params, s, probes)
        rows = [jnp.real(value), jnp.imag(value)] if kind == "complex" else [jnp.real(value)]
        return jnp.stack(rows), kept

    rows, pullback, kept = jax.vjp(parts, probes, has_aux=True)
    # the rows one after the other: mapped over them, each product would be many small ones
    backs = [pullback(row)[0] for row in jnp.eye(len(rows), dtype=rows.dtype)]
    return tuple((one, jnp.stack(back)) for one, *back in zip(kept, *backs, strict=True))


def affine(record: int, *, bias: bool = True) -> Stage:
    """The stage of x @ weight + bias at P places, ``kept`` (P, in) and ``back`` (P, out): its leaves are the weight
    (in, out), then with ``bias`` the bias (out,).
    """

    def rows(kept: Array, back: Array) -> Array:
        weight = (kept.T @ back).ravel()
        return jnp.concatenate([weight, jnp.sum(back, axis=0)]) if bias else weight

    def total(kept: Array, back: Array) -> Array:
        return rows(kept.reshape(-1, kept.shape[-1]), back.reshape(-1, back.shape[-1]))

    return Stage(record, rows, total)


def scaling(record: int) -> Stage:
    """The stage of x * scale + bias at P places, ``kept`` and ``back`` (P, width): the leaves scale, bias (width,)."""

    def rows(kept: Array, back: Array) -> Array:
        return jnp.concatenate([jnp.sum(kept * back, axis=0), jnp.sum(back, axis=0)])

    def total(kept: Array, back: Array) -> Array:
        return rows(kept.reshape(-1, kept.shape[-1]), back.reshape(-1, back.shape[-1]))

    return Stage(record, rows, total)
