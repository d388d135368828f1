"""Autoregressive transformer over patches of sites.

    |psi(s)|^2 = prod_k p_k(v_k | v_<k),    p_k(v) = exp(2 a_v) / sum_v' exp(2 a_v'),

v_k the values of all sites of patch k. Place k sees the values of patch k - 1 and, through causal attention
(`causal`), those of all patches before; its outputs are the log-amplitudes a_v of the V^S values of its S sites, and
for a complex psi as many phases:

    x_k = E v_(k-1) + e + t_k  (v_(-1) = 0),   x <- blocks(x),   (a, phi)_k = W norm(x_k) + b

Sprague and Czischek, Commun. Phys. 7, 90 (2024), arXiv:2306.03921; here with positions t_k that are learned. Sites go
by patches, so attention is over N / S places, and correlations inside a patch are exact. The conditional of a single
site, for drawing, is a sum over the values that later sites of the patch may take. Of a fixed total, values of a patch
from which it cannot be reached have probability 0.

A sample costs one place a patch: keys and values of those before are kept. Ratios of many moves of one configuration
begin at the patch that is changed first, where keys and values of the unchanged patches are shared by all moves: moves
are sorted, and go in groups, each from one of a few places on.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.activations import activation_function
from nqs_hpc.ansatz.causal import Block, Layer, Norm, block_init, blocks, dense, norm_init, normalised, plain
from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.conditionals import Range, Terms, digits, inside, local_space, pick
from nqs_hpc.ansatz.full_evaluation import apply_move
from nqs_hpc.ansatz.in_order import in_order
from nqs_hpc.ansatz.layers import Dense, dense_init, normal, real_parameters
from nqs_hpc.ansatz.names import Activation, FloatName, NumberName
from nqs_hpc.ansatz.tails import log_amplitude, ratio_of_tails, tail_sums
from nqs_hpc.ansatz.tape import affine, scaling, tape
from nqs_hpc.parallel.chunk import of_batches
from nqs_hpc.system.patches import Patches
from nqs_hpc.types import Ansatz, Conditionals, Layered, Move, Stage

MOST = 1024  # values of a patch: each has an output
STARTS = 8  # places from which ratios begin
NUMBERS = 2**22  # of the configurations that go together, in their widest layer


class PatchedParams(NamedTuple):
    embedding: Dense  # (S, width)
    place: Array  # (n, width)
    blocks: tuple[Block, ...]
    norm: Norm
    head: Dense  # (width, V^S), or (width, 2 V^S)


class PatchedCache(NamedTuple):
    kv: tuple[Array, ...]  # (n, 2 width) by block
    tails: Array  # (n + 1,): sums of log-amplitudes from each patch on
    is_zero: Array


class PatchedRunning(NamedTuple):
    kv: tuple[Array, ...]  # (n, 2 width) by block; 0 of patches to come
    a_V: Array  # (V^S,): log-amplitudes of this patch
    alive_V: Array  # bool: the values that begin as the sites so far
    values_S: Array  # of this patch so far, of the last one behind
    before: Array  # int32: the total of the digits so far


def patched_transformer(
    patches: Patches,
    *,
    width: int,
    heads: int,
    layers: int,
    expansion: int = 4,
    activation: Activation = "gelu",
    dtype: NumberName = "real",
    init_scale: float = 0.3,
    local_values: tuple[int, ...] = (1, -1),
    total: int | None = None,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A transformer of ``layers`` blocks, of kind ``real`` or ``complex``; params are `PatchedParams`, all real.

    Weights start LeCun-normal, those of the head times ``init_scale``, biases at zero. ``total`` restricts psi to the
    configurations that have it. Raises ValueError for sizes below 1, heads that do not divide the width, more than 1024
    values of a patch, local values that are not evenly spaced and totals that no configuration has.
    """
    n_patches, size = patches.sites.shape
    if min(width, layers, expansion) < 1 or heads < 1 or width % heads:
        given = f"width={width}, heads={heads}, layers={layers}, expansion={expansion}"
        raise ValueError(f"{given}: each must be at least 1, and heads divide the width")
    n_values = len(local_values)
    if n_values**size > MOST:
        raise ValueError(
            f"patch: {size} sites of {n_values} values each have {n_values**size} values, more than {MOST}"
        )
    n_sites, n_kinds = n_patches * size, n_values**size
    space = local_space(n_sites, local_values, total)
    nonlinear = activation_function(activation)
    real_dtype = real_parameters(dtype, float_dtype)
    n_outputs = n_kinds * (2 if dtype == "complex" else 1)
    weights_S = n_values ** np.arange(size)[::-1]  # the first site is the highest digit
    digits_VS = np.arange(n_kinds)[:, None] // weights_S % n_values
    sums_V = digits_VS.sum(axis=1)
    causal = np.tril(np.ones((n_patches, n_patches), bool))

    def init(key: Array) -> PatchedParams:
        of_embedding, of_place, of_head, *of_blocks = jax.random.split(key, layers + 3)
        return PatchedParams(
            dense_init(of_embedding, size, width, scale=1.0, dtype=real_dtype),
            normal(of_place, (n_patches, width), 1.0, real_dtype),
            tuple(block_init(k, width, expansion, real_dtype) for k in of_blocks),
            norm_init(width, real_dtype),
            dense_init(of_head, width, n_outputs, scale=init_scale, dtype=real_dtype),
        )

    def through(
        params: PatchedParams,
        values_mS: Array,
        place_mW: Array,
        earlier: tuple[Array, ...],
        seen_mn: Array | np.ndarray,
        layer: Layer = plain,
    ) -> tuple[Array, tuple[Array, ...]]:
        """Outputs (m, O) of places that are given the values of the patches before them, and their keys and values."""
        x_mW = dense(params.embedding, values_mS, layer) + layer((), place_mW)
        x_mW, kv = blocks(params.blocks, x_mW, earlier, seen_mn, heads=heads, nonlinear=nonlinear, layer=layer)
        return dense(params.head, normalised(params.norm, x_mW, layer), layer), kv

    def shifted(s_N: Array) -> Array:
        """(n, S): what each place is given."""
        return jnp.pad(s_N.reshape(n_patches, size).astype(real_dtype), [(1, 0), (0, 0)])[:-1]

    def everywhere(params: PatchedParams, s_N: Array, layer: Layer = plain) -> tuple[Array, tuple[Array, ...]]:
        nothing = (jnp.zeros((0, 2 * width), real_dtype),) * layers
        return through(params, shifted(s_N), params.place, nothing, causal, layer)

    def reachable(patch: Array, before: Array) -> Range:
        """The totals that a patch may have, elementwise; all where the sector is lost (`conditionals.allowed`)."""
        if space.total is None:
            return None
        top = n_values - 1
        left, after = space.total - before, (n_patches - 1 - patch) * size
        least, most = jnp.maximum(0, left - after * top), jnp.minimum(size * top, left)
        lost = least > most
        return jnp.where(lost, 0, least), jnp.where(lost, size * top, most)

    def may_be(limits: Range) -> Array | None:
        if limits is None:
            return None
        sums = sums_V.reshape((1,) * limits[0].ndim + (-1,))
        return (limits[0][..., None] <= sums) & (sums <= limits[1][..., None])

    def terms_of(outputs_mO: Array, digits_mS: Array, patch_m: Array, before_m: Array) -> Terms:
        kind_m = jnp.sum(digits_mS * jnp.asarray(weights_S[None], jnp.int32), axis=-1)
        doubled, alive = 2 * outputs_mO[:, :n_kinds], may_be(reachable(patch_m, before_m))
        if alive is not None:
            doubled = jnp.where(alive, doubled, -jnp.inf)
        top = jax.lax.stop_gradient(jnp.max(doubled, axis=-1))
        phase = pick(outputs_mO[:, n_kinds:], kind_m) if dtype == "complex" else None
        # of psi itself, where the patch's own values cannot be: it is 0 as a whole
        part = 2 * pick(outputs_mO[:, :n_kinds], kind_m) - top
        return Terms(part, jnp.sum(jnp.exp(doubled - top[:, None]), axis=-1), phase)

    def terms_everywhere(outputs_nO: Array, s_N: Array) -> Terms:
        digits_nS = digits(space, s_N).reshape(n_patches, size)
        sums_n = jnp.sum(digits_nS, axis=1)
        return terms_of(outputs_nO, digits_nS, jnp.arange(n_patches, dtype=jnp.int32), jnp.cumsum(sums_n) - sums_n)

    def value(outputs_nO: Array, s_N: Array) -> Array:
        whole = jnp.sum(log_amplitude(terms_everywhere(outputs_nO, s_N)))
        return whole if space.total is None else jnp.where(inside(space, digits(space, s_N)), whole, -jnp.inf)

    def log_psi(params: PatchedParams, s_N: Array) -> Array:
        return value(everywhere(params, s_N)[0], s_N)

    def probed(params: PatchedParams, s_N: Array, probes: tuple[Array, ...]) -> tuple[Array, list[Array]]:
        kept: list[Array] = []

        def layer(inputs: Array, outputs: Array) -> Array:
            kept.append(inputs)
            return outputs + probes[len(kept) - 1]

        return value(everywhere(params, s_N, layer)[0], s_N), kept

    def prepare(params: PatchedParams, s_N: Array) -> PatchedCache:
        outputs, kv = everywhere(params, s_N)
        return PatchedCache(kv, tail_sums(terms_everywhere(outputs, s_N)), ~inside(space, digits(space, s_N)))

    def attempt(params: PatchedParams, s_N: Array, cache: PatchedCache, move: Move) -> tuple[Array, PatchedCache]:
        new = prepare(params, apply_move(s_N, move))
        return ratio_of_tails(new.tails[0], cache.tails[0], cache.is_zero, new.is_zero), new

    def tail(params: PatchedParams, kv: tuple[Array, ...], s_N: Array, start: int) -> Array:
        """The sum of the log-amplitudes from a patch on, with the keys and values of those before it."""
        known = tuple(x[:start] for x in kv)
        outputs, _ = through(params, shifted(s_N)[start:], params.place[start:], known, causal[start:])
        digits_nS = digits(space, s_N).reshape(n_patches, size)
        sums_n = jnp.sum(digits_nS, axis=1)
        before_m = (jnp.cumsum(sums_n) - sums_n)[start:]
        patch_m = jnp.arange(start, n_patches, dtype=jnp.int32)
        return jnp.sum(log_amplitude(terms_of(outputs, digits_nS[start:], patch_m, before_m)))

    starts = sorted({n_patches * i // STARTS for i in range(STARTS)})
    widest = n_patches * max(expansion * width, heads * n_patches, n_outputs)

    def ratios_of(params: PatchedParams, given: tuple[Array, PatchedCache, Move]) -> Array:
        """Of samples (b, N) and moves (b, K): (b, K)."""
        s_bN, cache_b, moves_bKF = given
        n_samples, n_moves = moves_bKF.sites.shape[:2]
        s_bKN = jax.vmap(jax.vmap(apply_move, in_axes=(None, 0)))(s_bN, moves_bKF)
        first_bK = jnp.min(jnp.where(moves_bKF.deltas != 0, moves_bKF.sites // size, n_patches - 1), axis=2)
        order_bK = jnp.argsort(first_bK, axis=1)
        group = max(1, min(-(-n_moves // STARTS), NUMBERS // (widest * n_samples)))
        places_bK = jnp.pad(order_bK, [(0, 0), (0, -n_moves % group)], mode="edge")
        rows_b = jnp.arange(n_samples)[:, None]

        def from_place(start: int, s_bgN: Array) -> Array:
            of_moves = jax.vmap(lambda kv, s_N: tail(params, kv, s_N, start), in_axes=(None, 0))
            return jax.vmap(of_moves)(cache_b.kv, s_bgN) - cache_b.tails[:, start][:, None]

        def of_group(places_bg: Array) -> Array:
            earliest = jnp.min(first_bK[rows_b, places_bg])
            which = jnp.sum(earliest >= jnp.asarray(starts)) - 1
            branches = [lambda s_bgN, start=start: from_place(start, s_bgN) for start in starts]
            return jax.lax.switch(which, branches, s_bKN[rows_b, places_bg])

        found = jax.lax.map(of_group, places_bK.reshape(n_samples, -1, group).transpose(1, 0, 2))
        found_bK = found.transpose(1, 0, 2).reshape(n_samples, -1)[:, :n_moves]
        changed_bK = jnp.zeros_like(found_bK).at[rows_b, order_bK].set(found_bK, unique_indices=True)
        is_zero_bK = jax.vmap(jax.vmap(lambda s_N: ~inside(space, digits(space, s_N))))(s_bKN)
        return ratio_of_tails(changed_bK, jnp.zeros((), changed_bK.dtype), cache_b.is_zero[:, None], is_zero_bK)

    of_samples = of_batches(ratios_of, max(1, NUMBERS // (16 * widest)))

    def log_ratios(params: PatchedParams, s_N: Array, cache: PatchedCache, moves_KF: Move) -> Array:
        return of_samples(params, (s_N, cache, moves_KF))

    def begin(params: PatchedParams) -> PatchedRunning:
        del params
        return PatchedRunning(
            (jnp.zeros((n_patches, 2 * width), real_dtype),) * layers,
            jnp.zeros(n_kinds, real_dtype),
            jnp.ones(n_kinds, bool),
            jnp.zeros(size, real_dtype),
            jnp.int32(0),
        )

    def step(params: PatchedParams, running: PatchedRunning, site: Array) -> tuple[Array, PatchedRunning]:
        patch, j = site // size, site % size

        def next_patch() -> tuple[Array, tuple[Array, ...], Array]:
            earlier = jnp.arange(n_patches) < patch
            seen = jnp.append(earlier, True)[None]
            outputs, new = through(params, running.values_S[None], params.place[patch][None], running.kv, seen)
            alive = may_be(reachable(patch, running.before))
            alive = jnp.ones(n_kinds, bool) if alive is None else alive
            return outputs[0, :n_kinds], tuple(x[0] for x in new), alive

        def same_patch() -> tuple[Array, tuple[Array, ...], Array]:
            return running.a_V, tuple(x[patch] for x in running.kv), running.alive_V

        # what a branch returns is copied: not the keys and values of all patches
        a_V, new, alive_V = jax.lax.cond(j == 0, next_patch, same_patch)
        kv = tuple(old.at[patch].set(x) for old, x in zip(running.kv, new, strict=True))
        log_p_V = marginals(a_V, alive_V, jnp.asarray(digits_VS.T, jnp.int32)[j])
        return log_p_V, PatchedRunning(kv, a_V, alive_V, running.values_S, running.before)

    def marginals(a_V: Array, alive_V: Array, digit_V: Array) -> Array:
        """log p of the values of one site, given those of the patch that are possible and the site's digit in each."""
        doubled = jnp.where(alive_V, 2 * a_V, -jnp.inf)
        top = jnp.max(doubled)
        # after a value of probability 0 nothing is possible: all values alike
        p_V = jnp.exp(doubled - jnp.where(jnp.isneginf(top), 0, top))
        p = jnp.stack([jnp.sum(jnp.where(digit_V == v, p_V, 0)) for v in range(n_values)])
        p = jnp.where(jnp.isneginf(top), 1, p)
        return jnp.log(p) - jnp.log(jnp.sum(p))

    def extend(params: PatchedParams, running: PatchedRunning, site: Array, digit: Array) -> PatchedRunning:
        del params
        j = site % size
        alive_V = running.alive_V & (jnp.asarray(digits_VS.T, jnp.int32)[j] == digit)
        value_of = (space.first + space.spacing * digit).astype(real_dtype)
        return running._replace(
            alive_V=alive_V, values_S=running.values_S.at[j].set(value_of), before=running.before + digit
        )

    one = (n_patches, width)
    shapes, stages = [one, one], [affine(0), added(1)]
    for number in range(layers):
        at = 2 + 6 * number
        shapes += [one, (n_patches, 3 * width), one, one, (n_patches, expansion * width), one]
        stages += [scaling(at), affine(at + 1, bias=False), affine(at + 2)]
        stages += [scaling(at + 3), affine(at + 4), affine(at + 5)]
    stages += [scaling(len(shapes)), affine(len(shapes) + 1)]
    shapes += [one, (n_patches, n_outputs)]
    made = complete(
        init,
        log_psi,
        dtype,
        prepare=prepare,
        attempt=attempt,
        log_ratios=log_ratios,
        layered=Layered(tape(probed, shapes, real_dtype, dtype), tuple(stages)),
        conditionals=Conditionals(begin, step, extend),
        whole=True,
    )
    return in_order(made, patches.sites.ravel())


def added(record: int) -> Stage:
    """The stage of an array that is added as it is: ``back`` of its shape."""
    return Stage(record, lambda kept, back: back.ravel(), lambda kept, back: jnp.sum(back, axis=0).ravel())
