"""Recurrent neural network: a cell goes along a path through the sites and passes on its hidden state.

    h_i = cell(h of the sites before i, values of these sites),    outputs for site i = W h_i + b

`conditionals` computes psi from the outputs, `recurrent` has the cells: a gated recurrent unit along a path in one
dimension, or a gated cell that sees two hidden states, those of the sites beside it in its row and in the row before.
Hibat-Allah, Ganahl, Hayward, Melko and Carrasquilla, Phys. Rev. Research 2, 023358 (2020), arXiv:2002.02973, there in
two dimensions on the zigzag path too. Several layers are cells on top of each other.

The weights are the same at all sites, so their number does not depend on that of the sites. A sample costs one cell
a site. A move changes all hidden states after its first site: a ratio begins there, from the hidden states of s, which
the cache holds. Ratios of a batch are sorted by their first sites and go through the path in groups, each from the
first site of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.conditionals import (
    Terms,
    allowed,
    allowed_everywhere,
    amplitude,
    digits,
    inside,
    local_space,
    log_probabilities,
    log_product,
)
from nqs_hpc.ansatz.full_evaluation import apply_move
from nqs_hpc.ansatz.in_order import in_order
from nqs_hpc.ansatz.layers import Dense, dense_apply, dense_init, real_parameters
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.recurrent import Cell, Path, apply, gated_init, gru_init
from nqs_hpc.ansatz.tails import from_first_changed, of_groups, ratio_of_tails, tail_sums
from nqs_hpc.ansatz.tape import affine, tape
from nqs_hpc.types import Ansatz, Conditionals, Layered, Move, Stage


class RNNParams(NamedTuple):
    cells: tuple[Cell, ...]
    head: Dense  # (F, outputs)


class Hidden(NamedTuple):
    """What the sites so far have left."""

    h: tuple[Array, ...]  # (slots, F) by layer
    digit: Array  # (slots,) int32; -1: none
    before: Array  # int32: the total of the digits so far


class RNNCache(NamedTuple):
    h: tuple[Array, ...]  # (N + 1, F) by layer: the hidden states of all sites, and 0
    tails: Array  # (N + 1,): the sums of the log-amplitudes of the conditionals from each site on
    is_zero: Array  # bool: psi(s) = 0


# the outputs for a site, its hidden states by layer, and what all products are of (`tape`)
Passed = tuple[Array, tuple[Array, ...], tuple[Array, ...]]


class Lane(NamedTuple):
    """One configuration on the way to its tail."""

    s_N: Array
    hidden: Hidden  # before the first changed site


class RNNRunning(NamedTuple):
    hidden: Hidden
    new: tuple[Array, ...]  # (F,) by layer: the hidden states of the site whose value is drawn next


def rnn(
    along: Path,
    *,
    layers: int,
    features: int,
    dtype: NumberName = "real",
    init_scale: float = 1.0,
    local_values: tuple[int, ...] = (1, -1),
    total: int | None = None,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A recurrent network of kind ``real`` or ``complex`` on a path, one- or two-dimensional as that is
    (`recurrent.line`, `recurrent.rows`); params are `RNNParams`, all real.

    Weights start LeCun-normal times ``init_scale``, biases at zero. ``total`` restricts psi to the configurations that
    have it. Raises ValueError for sizes below 1, local values that are not evenly spaced and totals that no
    configuration has.
    """
    n_sites, n_before = along.reads.shape
    if n_sites < 1 or layers < 1 or features < 1:
        raise ValueError(f"n_sites={n_sites}, layers={layers}, features={features}: each must be at least 1")
    space = local_space(n_sites, local_values, total)
    real_dtype = real_parameters(dtype, float_dtype)
    n_values, n_outputs = space.n_values, space.n_values * (2 if dtype == "complex" else 1)
    is_line = n_before == 1

    def init(key: Array) -> RNNParams:
        *of_cells, of_head = jax.random.split(key, layers + 1)
        cells: list[Cell] = []
        for layer, k in enumerate(of_cells):
            if is_line:
                cells.append(gru_init(k, features if layer else n_values, features, init_scale, real_dtype))
                continue
            alive = 3 * features if layer else 2 * (2 * features + 1)
            n_in = alive if layer else (2 * n_values - 1) * (2 * features + 1)
            cells.append(gated_init(k, n_in, alive, features, init_scale, real_dtype))
        return RNNParams(tuple(cells), dense_init(of_head, features, n_outputs, scale=init_scale, dtype=real_dtype))

    def nothing() -> Hidden:
        empty = jnp.zeros((along.n_slots, features), real_dtype)
        return Hidden((empty,) * layers, jnp.full(along.n_slots, -1, jnp.int32), jnp.int32(0))

    def passed(params: RNNParams, hidden: Hidden, site: Array, probes: tuple[Array, ...] = ()) -> Passed:
        reads = jnp.asarray(along.reads)[site]
        is_there = reads >= 0
        digit = jnp.where(is_there, read(hidden.digit, reads), -1)
        one_hot = (digit[:, None] == jnp.arange(n_values)[None]).astype(real_dtype)
        kept: list[Array] = []
        new: list[Array] = []
        for layer, cell in enumerate(params.cells):
            before = jnp.where(is_there[:, None], read(hidden.h[layer], reads), 0)
            if is_line:
                x = new[-1] if layer else one_hot[0]
            elif layer:
                x = jnp.concatenate([before.reshape(-1), new[-1]])
            else:
                states = jnp.concatenate([jnp.ones(1, real_dtype), before.reshape(-1)])
                values = jnp.concatenate([jnp.ones(1, real_dtype), one_hot[:, 1:].reshape(-1)])
                x = (values[:, None] * states[None]).reshape(-1)
            h, of_products = apply(cell, before, x, probes[2 * layer : 2 * layer + 2])
            new.append(h)
            kept += of_products
        outputs = dense_apply(params.head, new[-1])
        return outputs + probes[-1] if probes else outputs, tuple(new), (*kept, new[-1])

    def left(hidden: Hidden, site: Array, new: tuple[Array, ...], digit: Array, counts: Array | bool = True) -> Hidden:
        """``hidden`` after the site, where it ``counts``, else as it was."""
        slot = jnp.asarray(along.writes)[site]
        h = tuple(written(old, slot, x, counts) for old, x in zip(hidden.h, new, strict=True))
        digits_of = written(hidden.digit, slot, digit, counts)
        return Hidden(h, digits_of, hidden.before + jnp.where(counts, digit, 0))

    def outputs_of(params: RNNParams, s_N: Array, probes: tuple[Array, ...] = ()) -> Passed:
        """`passed` of all sites, (N, ...)."""

        def one(hidden: Hidden, given: tuple[Array, Array, tuple[Array, ...]]) -> tuple[Hidden, Passed]:
            site, digit, probes_of_site = given
            found = passed(params, hidden, site, probes_of_site)
            return left(hidden, site, found[1], digit), found

        sites = jnp.arange(n_sites, dtype=jnp.int32)
        found: Passed = jax.lax.scan(one, nothing(), (sites, digits(space, s_N), probes))[1]
        return found

    def log_psi(params: RNNParams, s_N: Array) -> Array:
        return log_product(space, outputs_of(params, s_N)[0], s_N)

    def probed(params: RNNParams, s_N: Array, probes: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        outputs, _, kept = outputs_of(params, s_N, probes)
        return log_product(space, outputs, s_N), kept

    def prepare(params: RNNParams, s_N: Array) -> RNNCache:
        outputs, new, _ = outputs_of(params, s_N)
        digits_N = digits(space, s_N)
        terms = amplitude(space, outputs, digits_N, allowed_everywhere(space, digits_N))
        h = tuple(jnp.pad(x, [(0, 1), (0, 0)]) for x in new)
        return RNNCache(h, tail_sums(terms), ~inside(space, digits_N))

    def attempt(params: RNNParams, s_N: Array, cache: RNNCache, move: Move) -> tuple[Array, RNNCache]:
        new = prepare(params, apply_move(s_N, move))
        return ratio_of_tails(new.tails[0], cache.tails[0], cache.is_zero, new.is_zero), new

    def one_site(params: RNNParams, lane: Lane, site: Array, counts: Array) -> tuple[Terms, Lane]:
        hidden = lane.hidden
        outputs, new, _ = passed(params, hidden, site)
        digit = digits(space, lane.s_N[site])
        terms = amplitude(space, outputs, digit, allowed(space, site, hidden.before))
        return terms, Lane(lane.s_N, left(hidden, site, new, digit, counts))

    tails = of_groups(one_site, n_sites)

    def log_ratio(params: RNNParams, s_N: Array, cache: RNNCache, move: Move) -> Array:
        s_new = apply_move(s_N, move)
        first, digits_N = from_first_changed(move, n_sites), digits(space, s_new)
        last = jnp.asarray(along.last)[first]
        h = tuple(of_layer[last] for of_layer in cache.h)
        digit = jnp.where(last < n_sites, digits_N[jnp.minimum(last, n_sites - 1)], -1)
        before = jnp.sum(jnp.where(jnp.arange(n_sites) < first, digits_N, 0))
        tail = tails(params, first, Lane(s_new, Hidden(h, digit, before)))
        return ratio_of_tails(tail, cache.tails[first], cache.is_zero, ~inside(space, digits_N))

    def begin(params: RNNParams) -> RNNRunning:
        del params
        return RNNRunning(nothing(), (jnp.zeros(features, real_dtype),) * layers)

    def step(params: RNNParams, running: RNNRunning, site: Array) -> tuple[Array, RNNRunning]:
        outputs, new, _ = passed(params, running.hidden, site)
        log_p_V = log_probabilities(outputs[:n_values], allowed(space, site, running.hidden.before))
        return log_p_V, RNNRunning(running.hidden, new)

    def extend(params: RNNParams, running: RNNRunning, site: Array, digit: Array) -> RNNRunning:
        del params
        return RNNRunning(left(running.hidden, site, running.new, digit), running.new)

    stages: list[Stage] = []
    for layer in range(layers):
        stages += [affine(2 * layer), affine(2 * layer + 1, bias=is_line)]
    stages.append(affine(2 * layers))
    shapes = [(n_sites, 2 * features), (n_sites, features)] * layers + [(n_sites, n_outputs)]
    made = complete(
        init,
        log_psi,
        dtype,
        prepare=prepare,
        attempt=attempt,
        layered=Layered(tape(probed, shapes, real_dtype, dtype), tuple(stages)),
        conditionals=Conditionals(begin, step, extend),
        whole=True,
    )
    ratios = jax.vmap(log_ratio, in_axes=(None, None, None, 0))
    return in_order(made._replace(log_ratio=log_ratio, log_ratios=ratios), along.order)


def read(x: Array, slots: Array) -> Array:
    """The entries of some slots, as slices: a gather reads one number at a time."""
    return jnp.stack([jax.lax.dynamic_index_in_dim(x, slot, keepdims=False) for slot in slots])


def written(x: Array, slot: Array, new: Array, counts: Array | bool) -> Array:
    """``x`` with ``new`` in a slot where it ``counts``, in place where it can be."""
    kept = jax.lax.dynamic_index_in_dim(x, slot, keepdims=False)
    return jax.lax.dynamic_update_index_in_dim(x, jnp.where(counts, new, kept), slot, 0)
