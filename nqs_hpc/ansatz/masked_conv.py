"""Autoregressive convolutional network in one or two dimensions.

    x_0 = s,   z_l(r) = b_l + sum_o W_l(o) x_(l-1)(r + o),   x_l = f(z_l),   z_L(r) = the outputs for site r

with offsets o that lead to earlier sites, and in all layers but the first to r itself (`receptive`), so that the outputs
for a site know the sites before it alone; `conditionals` makes psi of them. In one dimension these are the causal
convolutions of WaveNet (van den Oord et al. 2016, arXiv:1609.03499) without dilation, in two the masked kernels of
PixelCNN (van den Oord et al. 2016, arXiv:1601.06759), as a neural quantum state in Sharir et al., Phys. Rev. Lett. 124,
020503 (2020), arXiv:1902.04057. In two dimensions they have PixelCNN's blind spot: each row further up opens only
k - 1 columns more to the right, so that site (y - m (k-1), x + c) is seen only for c <= m (k - 1), at any depth.

A move changes each layer in a window behind its sites. Ratios follow the change through the layers, window by window;
the rest of the configuration is read from a cache. Windows of several changed sites may overlap: a place that lies in
several belongs to the first of them, and its change is the sum of what comes from all.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.conditionals import (
    ACTIVATIONS,
    Activation,
    Planes,
    Range,
    allowed,
    allowed_everywhere,
    digits,
    inside,
    join,
    local_space,
    log_amplitude,
    log_probabilities,
    log_product,
)
from nqs_hpc.ansatz.full_evaluation import apply_move
from nqs_hpc.ansatz.layers import Dense, FloatName, NumberName, dense_init, over_moves, parameter_dtype
from nqs_hpc.ansatz.receptive import causal_offsets, connections, relative, windows
from nqs_hpc.types import Ansatz, Conditionals, Move

Params = tuple[Dense, ...]


class ConvFrozen(NamedTuple):
    layers: Params
    bands: tuple[Array, ...]  # (W_l-1 C_l-1, W_l C_l): changes in the window of a layer -> those of the next


class ConvCache(NamedTuple):
    """Of one configuration; sites have a row more, of zeros, for places off the grid."""

    z: tuple[Array, ...]  # (N + 1, C_l) by layer
    terms: Planes  # (N + 1,): the log-amplitudes of the conditionals
    log_psi: Array


class ConvChange(NamedTuple):
    """What a move makes of the cache: changes at places, each of which is named once or changes by 0."""

    sites: tuple[Array, ...]  # (F W_l,) by layer
    z: tuple[Array, ...]  # (F W_l, C_l)


class ConvRunning(NamedTuple):
    x: tuple[Array, ...]  # inputs of the layers, (*padded grid, C_l), zero where not yet known
    before: Array  # int32: the total of the digits so far


def masked_conv(
    extent: tuple[int, ...],
    *,
    layers: int,
    features: int,
    kernel: int,
    activation: Activation = "selu",
    dtype: NumberName = "real",
    init_scale: float = 1.0,
    local_values: tuple[int, ...] = (1, -1),
    total: int | None = None,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A convolutional autoregressive network on ``extent`` = (Lx,) or (Lx, Ly) sites, of kind ``real`` or ``complex``.

    ``layers`` counts the one to the outputs; the others have ``features`` channels. Weights start LeCun-normal times
    ``init_scale``, biases at zero; the parameters, a tuple of ``Dense``, are real either way. ``total`` restricts psi
    to the configurations that have it. Raises ValueError for sizes out of range, local values that are not evenly
    spaced and totals that no configuration has.
    """
    if len(extent) not in (1, 2) or layers < 1 or features < 1 or kernel < 2:
        raise ValueError(
            f"extent={extent}, layers={layers}, features={features}, kernel={kernel}: one or two directions, at least "
            "1 layer of 1 feature, a kernel of at least 2"
        )
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r}: one of {', '.join(ACTIVATIONS)}")
    shape = extent[::-1]  # rows first: site = x + Lx y is the order of the grid's memory
    n_sites = int(np.prod(shape))
    space = local_space(n_sites, local_values, total)
    is_complex = parameter_dtype(dtype, float_dtype).kind == "c"
    real_dtype = parameter_dtype("real", float_dtype)
    nonlinear = ACTIVATIONS[activation]

    n_outputs = space.n_values * (2 if is_complex else 1)
    channels = (1, *[features] * (layers - 1), n_outputs)
    kernels = [causal_offsets(len(shape), kernel, exclusive=layer == 0) for layer in range(layers)]
    reach = kernel - 1
    margins = [(reach, 0)] + [(reach, reach)] * (len(shape) - 1)  # around the grid, for kernels at its edges
    block = (kernel, *[2 * reach + 1] * (len(shape) - 1))  # what all kernels see
    places_ND = np.stack(np.unravel_index(np.arange(n_sites), shape), axis=-1).astype(np.int32)

    reached = windows(shape, kernels)
    # the last window with the site itself in front, whose own conditional is asked for another value
    own = np.concatenate([np.arange(n_sites, dtype=np.int32)[:, None], reached[-1].sites], axis=1)
    window_sites = [*(window.sites for window in reached[:-1]), own]
    window_offsets = [*(window.offsets for window in reached[:-1]), np.pad(reached[-1].offsets, [(1, 0), (0, 0)])]
    steps_to = [
        connections(source, target, offsets)
        for source, target, offsets in zip(
            [np.zeros_like(places_ND[:1]), *window_offsets[:-1]], window_offsets, kernels, strict=True
        )
    ]
    place_in = [relative(offsets, shape) for offsets in window_offsets]

    def init(key: Array) -> Params:
        return tuple(
            dense_init(k, len(offsets) * n_in, n_out, scale=init_scale, dtype=real_dtype)
            for k, offsets, n_in, n_out in zip(
                jax.random.split(key, layers), kernels, channels[:-1], channels[1:], strict=True
            )
        )

    def padded(x: Array) -> Array:
        return jnp.pad(x, [*margins, (0, 0)])

    def seen(x: Array, offsets: np.ndarray, size: tuple[int, ...]) -> Array:
        """(*size, n C): beside each place of a padded grid (or block) the channels at all offsets from it."""
        corners = offsets + np.array([low for low, _ in margins])
        parts = [x[tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))] for corner in corners.tolist()]
        return jnp.concatenate(parts, axis=-1)

    def outputs_of(params: Params, s_N: Array) -> list[Array]:
        """z_l of all layers, (N, C_l)."""
        x, z = s_N.astype(real_dtype).reshape(*shape, 1), []
        for layer, offsets in zip(params, kernels, strict=True):
            if z:
                x = nonlinear(z[-1]).reshape(*shape, -1)
            z.append(seen(padded(x), offsets, shape).reshape(n_sites, -1) @ layer.weight + layer.bias[None])
        return z

    def log_psi(params: Params, s_N: Array) -> Array:
        return log_product(space, outputs_of(params, s_N)[-1], s_N)

    def freeze(params: Params) -> ConvFrozen:
        bands = []
        for layer, steps, n_in, n_out in zip(params, steps_to, channels[:-1], channels[1:], strict=True):
            blocks = jnp.pad(layer.weight.reshape(-1, n_in, n_out), [(0, 1), (0, 0), (0, 0)])  # the last: no connection
            bands.append(blocks[steps].transpose(0, 2, 1, 3).reshape(steps.shape[0] * n_in, steps.shape[1] * n_out))
        return ConvFrozen(params, tuple(bands))

    def with_pad(x: Array) -> Array:
        return jnp.pad(x, [(0, 1)] + [(0, 0)] * (x.ndim - 1))

    def prepare(frozen: ConvFrozen, s_N: Array) -> ConvCache:
        return from_outputs(tuple(with_pad(z) for z in outputs_of(frozen.layers, s_N)), s_N)

    def from_outputs(z: tuple[Array, ...], s_N: Array) -> ConvCache:
        digits_N = digits(space, s_N)
        terms = log_amplitude(space, z[-1][:-1], digits_N, allowed_everywhere(space, digits_N))
        total = join(tuple(jnp.sum(plane) for plane in terms))
        total = jnp.where(inside(space, digits_N), total, -jnp.inf) if space.total is not None else total
        return ConvCache(z, tuple(with_pad(plane) for plane in terms), total)

    def change(frozen: ConvFrozen, cache: ConvCache, move: Move) -> tuple[ConvChange, Array]:
        """The change of each layer in the windows of a move's sites, and which places of the last window count."""
        n_moved = move.sites.shape[0]
        at_FD = jnp.asarray(places_ND)[move.sites]
        dx = move.deltas.astype(real_dtype)[:, None]  # (F, W C) of the layer below
        sites, dz, counts = [], [], jnp.ones(0)
        for layer, band in enumerate(frozen.bands):
            n_out = channels[layer + 1]
            u = jnp.asarray(window_sites[layer])[move.sites]  # (F, W)
            n_places = u.shape[1]
            d = (dx @ band).reshape(n_moved, n_places, n_out)
            counts = u < n_sites
            if n_moved > 1:
                there = jnp.asarray(places_ND)[jnp.minimum(u, n_sites - 1)]
                apart = there[:, :, None] - at_FD[None, None]  # (F, W, F', D)
                index = tuple(apart[..., d] + (extent - 1) for d, extent in enumerate(shape))
                place = jnp.asarray(place_in[layer])[index]
                place = jnp.where(counts[..., None], place, n_places)
                of_all = jnp.pad(d, [(0, 0), (0, 1), (0, 0)])  # the last: nothing
                d = jnp.sum(of_all[np.arange(n_moved)[None, None], place], axis=2)
                earlier = np.tril(np.ones((n_moved, n_moved), bool), -1)[:, None, :]
                counts = counts & ~jnp.any((place < n_places) & earlier, axis=2)
            d = jnp.where(counts[..., None], d, 0)
            sites.append(u.reshape(-1))
            dz.append(d.reshape(-1, n_out))
            if layer + 1 < layers:
                old = cache.z[layer][u]
                dx = (nonlinear(old + d) - nonlinear(old)).reshape(n_moved, -1)
        return ConvChange(tuple(sites), tuple(dz)), counts.reshape(-1)

    def attempt(frozen: ConvFrozen, s_N: Array, cache: ConvCache, move: Move) -> tuple[Array, ConvChange]:
        changed, counts = change(frozen, cache, move)
        u, new = changed.sites[-1], cache.z[-1][changed.sites[-1]] + changed.z[-1]
        s_new = apply_move(s_N, move)
        digits_N = digits(space, s_new)
        limits = allowed_everywhere(space, digits_N)
        terms = cache.terms
        if limits is not None:  # the totals behind the first changed site are others
            terms = tuple(
                with_pad(plane) for plane in log_amplitude(space, cache.z[-1][:-1], digits(space, s_N), limits)
            )
        at_u = jnp.minimum(u, n_sites - 1)
        limits_u: Range = None if limits is None else (limits[0][at_u], limits[1][at_u])
        new_terms = log_amplitude(space, new, digits_N[at_u], limits_u)
        ratio = join(
            tuple(
                jnp.sum(jnp.where(counts, after - plane[u], 0))
                for after, plane in zip(new_terms, terms, strict=True)
            )
        )
        if space.total is not None:
            ratio = ratio + join(
                tuple(jnp.sum(plane - old) for plane, old in zip(terms, cache.terms, strict=True))
            )
            ratio = jnp.where(inside(space, digits_N), ratio, -jnp.inf)
            ratio = jnp.where(jnp.isneginf(cache.log_psi.real), 0, ratio)
        return ratio, changed

    def log_ratio(frozen: ConvFrozen, s_N: Array, cache: ConvCache, move: Move) -> Array:
        return attempt(frozen, s_N, cache, move)[0]

    def advance(
        frozen: ConvFrozen,
        s_N: Array,
        cache: ConvCache,
        move: Move,
        attempted: ConvChange | None = None,
        accepted: Array | bool = True,
    ) -> ConvCache:
        changed = change(frozen, cache, move)[0] if attempted is None else attempted
        z = tuple(
            old.at[sites].add(jnp.where(accepted, d, 0))
            for old, sites, d in zip(cache.z, changed.sites, changed.z, strict=True)
        )
        return from_outputs(z, apply_move(s_N, Move(move.sites, jnp.where(accepted, move.deltas, 0))))

    def begin(frozen: ConvFrozen) -> ConvRunning:
        del frozen
        return ConvRunning(
            tuple(padded(jnp.zeros((*shape, n), real_dtype)) for n in channels[:-1]), jnp.int32(0)
        )

    def step(frozen: ConvFrozen, running: ConvRunning, site: Array) -> tuple[Array, ConvRunning]:
        place = jnp.asarray(places_ND)[site]
        x, planes = jnp.zeros(0), list(running.x)
        for layer, offsets in zip(range(layers), kernels, strict=True):
            if layer > 0:
                planes[layer] = put(planes[layer], x, place)
            around = jax.lax.dynamic_slice(planes[layer], (*place, np.int32(0)), (*block, channels[layer]))
            z = seen(around, offsets, (1,) * len(shape)).reshape(-1) @ frozen.layers[layer].weight
            z = z + frozen.layers[layer].bias
            x = nonlinear(z)
        log_p = log_probabilities(z[: space.n_values], allowed(space, site, running.before))
        return log_p, ConvRunning(tuple(planes), running.before)

    def put(plane: Array, x: Array, place: Array) -> Array:
        corner = [place[d] + low for d, (low, _) in enumerate(margins)]
        return jax.lax.dynamic_update_slice(plane, x.reshape((1,) * len(shape) + (-1,)), (*corner, np.int32(0)))

    def extend(frozen: ConvFrozen, running: ConvRunning, site: Array, digit: Array) -> ConvRunning:
        del frozen
        value = (space.first + space.spacing * digit).astype(real_dtype)
        first = put(running.x[0], value, jnp.asarray(places_ND)[site])
        return ConvRunning((first, *running.x[1:]), running.before + digit)

    return Ansatz(
        init=init,
        log_psi=log_psi,
        kind="complex" if is_complex else "real",
        freeze=freeze,
        prepare=prepare,
        log_ratio=log_ratio,
        log_ratios=over_moves(log_ratio),
        attempt=attempt,
        advance=advance,
        conditionals=Conditionals(begin, step, extend),
    )
