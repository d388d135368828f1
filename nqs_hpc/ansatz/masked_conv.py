"""Autoregressive convolutional network in one or two dimensions.

    x_0 = s,   z_l(r) = b_l + sum_o W_l(o) x_(l-1)(r + o),   x_l = f(z_l),   z_L(r) = the outputs for site r

with offsets o to earlier sites, and in all layers but the first also to r itself (`receptive`), so that the outputs for
a site depend only on the sites before it; `conditionals` computes psi from them. In one dimension these are the
causal convolutions of WaveNet (van den Oord et al. 2016, arXiv:1609.03499) without dilation, in two the masked kernels
of PixelCNN (van den Oord et al. 2016, arXiv:1601.06759), as a neural quantum state in Sharir et al., Phys. Rev. Lett.
124, 020503 (2020), arXiv:1902.04057. In two dimensions they have PixelCNN's blind spot: a layer that goes up one row
goes at most k - 1 columns to the right, so at any depth only r (k - 1) columns to the right are seen r rows up.

A move changes each layer in a window behind its sites. Ratios follow the change through the layers, window by window;
the rest of the configuration is read from a cache. Windows of several changed sites may overlap: a place in several
windows is counted in the first of them, and its change is the sum of the contributions of all.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.activations import activation_function
from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.conditionals import (
    Terms,
    allowed,
    allowed_everywhere,
    amplitude,
    digits,
    inside,
    local_space,
    log_change,
    log_probabilities,
    log_product,
)
from nqs_hpc.ansatz.full_evaluation import apply_move
from nqs_hpc.ansatz.layers import Dense, dense_layers_init, real_parameters
from nqs_hpc.ansatz.names import Activation, FloatName, NumberName
from nqs_hpc.ansatz.receptive import causal_offsets, connections, relative, windows
from nqs_hpc.types import Ansatz, Conditionals, Move

Params = tuple[Dense, ...]


class ConvFrozen(NamedTuple):
    layers: Params
    bands: tuple[Array, ...]  # (W_l-1 C_l-1, W_l C_l): changes in the window of a layer -> changes of the next layer


class ConvCache(NamedTuple):
    z: tuple[Array, ...]  # (N, C_l) by layer
    x: tuple[Array, ...]  # f(z) of all but the last
    terms: Terms  # (N,): the log-amplitudes of the conditionals
    is_zero: Array  # bool: psi(s) = 0


class ConvChange(NamedTuple):
    """The changes of the cache by a move, by place; a place that occurs several times changes by 0 at all but one."""

    sites: tuple[Array, ...]  # (F W_l,) by layer
    z: tuple[Array, ...]  # (F W_l, C_l)
    x: tuple[Array, ...]  # of all but the last layer


class ConvRunning(NamedTuple):
    memory: tuple[Array, ...]  # (D, C_l): the inputs of layer l at the last D sites, 0 before the first
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

    ``layers`` includes the one to the outputs; the others have ``features`` channels. Weights start LeCun-normal times
    ``init_scale``, biases at zero; the parameters, a tuple of ``Dense``, are real either way. ``total`` restricts psi
    to the configurations that have it. Raises ValueError for sizes out of range, local values that are not evenly
    spaced and totals that no configuration has.
    """
    if len(extent) not in (1, 2) or layers < 1 or features < 1 or not 2 <= kernel <= min(extent):
        raise ValueError(
            f"extent={extent}, layers={layers}, features={features}, kernel={kernel}: one or two directions, at least "
            "1 layer of 1 feature, a kernel of at least 2 and at most the smallest extent"
        )
    nonlinear = activation_function(activation)
    shape = extent[::-1]  # rows first: site = x + Lx y is the order of the grid's memory
    n_sites = int(np.prod(shape))
    space = local_space(n_sites, local_values, total)
    real_dtype = real_parameters(dtype, float_dtype)

    n_outputs = space.n_values * (2 if dtype == "complex" else 1)
    channels = (1, *[features] * (layers - 1), n_outputs)
    kernels = [causal_offsets(len(shape), kernel, exclusive=layer == 0) for layer in range(layers)]
    reach = kernel - 1
    margins = [(reach, 0)] + [(reach, reach)] * (len(shape) - 1)  # zeros around the grid, for kernels at its edges
    # how many sites back each offset leads, and for each site whether that ends in the right row
    distances = [-offsets @ np.array([1, *shape[:0:-1]])[::-1] for offsets in kernels]
    longest = int(distances[0].max())
    columns = np.arange(n_sites)[:, None] % shape[-1]
    in_row = [
        (columns + offsets[None, :, -1] >= 0) & (columns + offsets[None, :, -1] < shape[-1]) for offsets in kernels
    ]
    coordinates = np.stack(np.unravel_index(np.arange(n_sites), shape), axis=-1).astype(np.int32)

    places = windows(shape, kernels)
    sources = [np.zeros_like(places[0].offsets[:1]), *(window.offsets for window in places[:-1])]
    # which weight leads from a place of one window to a place of the next
    weight_of = [
        connections(*each) for each in zip(sources, [window.offsets for window in places], kernels, strict=True)
    ]
    place_in = [relative(window.offsets, shape) for window in places]

    def init(key: Array) -> Params:
        sizes = [(len(seen) * n_in, n_out) for seen, (n_in, n_out) in zip(kernels, pairwise(channels), strict=True)]
        return dense_layers_init(key, sizes, scale=init_scale, dtype=real_dtype)

    def outputs_of(params: Params, s_N: Array) -> tuple[list[Array], list[Array]]:
        """z_l of all layers, (N, C_l), and f(z_l) of all but the last."""
        x, xs, zs = s_N.astype(real_dtype)[:, None], [], []
        for layer, offsets in zip(params, kernels, strict=True):
            around = seen(jnp.pad(x.reshape(*shape, -1), [*margins, (0, 0)]), offsets)
            # With the bias in the product, its result is the array that ratios read; a separate addition would be fused
            # into each ratio and recomputed there.
            inputs = jnp.concatenate([around, jnp.ones((n_sites, 1), real_dtype)], axis=1)
            zs.append(inputs @ jnp.concatenate([layer.weight, layer.bias[None]]))
            x = nonlinear(zs[-1])
            xs.append(x)
        return zs, xs[:-1]

    def seen(x: Array, offsets: np.ndarray) -> Array:
        """(N, n C): for each site the channels at all offsets from it, from a grid with margins."""
        corners = (offsets + np.array([low for low, _ in margins])).tolist()
        parts = [x[tuple(slice(c, c + n) for c, n in zip(corner, shape, strict=True))] for corner in corners]
        return jnp.concatenate(parts, axis=-1).reshape(n_sites, -1)

    def log_psi(params: Params, s_N: Array) -> Array:
        return log_product(space, outputs_of(params, s_N)[0][-1], s_N)

    def freeze(params: Params) -> ConvFrozen:
        bands = []
        for layer, number, n_in, n_out in zip(params, weight_of, channels[:-1], channels[1:], strict=True):
            blocks = jnp.pad(layer.weight.reshape(-1, n_in, n_out), [(0, 1), (0, 0), (0, 0)])  # the last: no connection
            bands.append(blocks[number].transpose(0, 2, 1, 3).reshape(number.shape[0] * n_in, number.shape[1] * n_out))
        return ConvFrozen(params, tuple(bands))

    def prepare(frozen: ConvFrozen, s_N: Array) -> ConvCache:
        zs, xs = outputs_of(frozen.layers, s_N)
        return cache_of(tuple(zs), tuple(xs), s_N)

    def cache_of(z: tuple[Array, ...], x: tuple[Array, ...], s_N: Array) -> ConvCache:
        digits_N = digits(space, s_N)
        terms = amplitude(space, z[-1], digits_N, allowed_everywhere(space, digits_N))
        return ConvCache(z, x, terms, ~inside(space, digits_N))

    def change(frozen: ConvFrozen, cache: ConvCache, move: Move) -> tuple[ConvChange, Array]:
        """The change of each layer in the windows of a move's sites, and which places of the last windows count."""
        n_moved = move.sites.shape[0]
        sites, dz, dx, counts = [], [], [], jnp.ones(0)
        d = move.deltas.astype(real_dtype)[:, None]  # (F, W C) of the layer below
        for layer, (window, band) in enumerate(zip(places, frozen.bands, strict=True)):
            u, counts = (at(jnp.asarray(table), move.sites) for table in (window.sites, window.on_grid))  # (F, W)
            d = (d @ band).reshape(*u.shape, -1)
            if n_moved > 1:
                d, counts = shared(layer, move.sites, u, counts, d)
            sites.append(u.reshape(-1))
            dz.append(jnp.where(counts[..., None], d, 0).reshape(u.size, -1))
            if layer + 1 < layers:
                d = jnp.where(counts[..., None], nonlinear(at(cache.z[layer], u) + d) - at(cache.x[layer], u), 0)
                dx.append(d.reshape(u.size, -1))
                d = d.reshape(n_moved, -1)
        return ConvChange(tuple(sites), tuple(dz), tuple(dx)), counts.reshape(-1)

    def shared(layer: int, moved_F: Array, u_FW: Array, on_grid_FW: Array, d_FWC: Array) -> tuple[Array, Array]:
        """The change by all moved sites at each place of their windows, and which places count: of each site the first
        place.
        """
        n_moved, n_places = u_FW.shape
        apart = (
            at(jnp.asarray(coordinates), u_FW)[:, :, None] - at(jnp.asarray(coordinates), moved_F)[None, None]
        )  # (F, W, F', D)
        place = jnp.asarray(place_in[layer])[tuple(apart[..., d] + (extent - 1) for d, extent in enumerate(shape))]
        place = jnp.where(on_grid_FW[..., None], place, n_places)
        of_all = jnp.pad(d_FWC, [(0, 0), (0, 1), (0, 0)])  # the last place: nothing
        earlier = np.tril(np.ones((n_moved, n_moved), bool), -1)[:, None]
        counts_FW = on_grid_FW & ~jnp.any((place < n_places) & earlier, axis=2)
        return jnp.sum(of_all[np.arange(n_moved)[None, None], place], axis=2), counts_FW

    def attempt(frozen: ConvFrozen, s_N: Array, cache: ConvCache, move: Move) -> tuple[Array, ConvChange]:
        changed, counts = change(frozen, cache, move)
        u = changed.sites[-1]
        outputs_u = at(cache.z[-1], u) + changed.z[-1]
        deltas_u = jnp.sum(jnp.where(u[:, None] == move.sites[None], move.deltas[None], 0), axis=1, dtype=jnp.int8)
        digits_u = digits(space, at(s_N, u) + deltas_u)
        if space.total is None:
            old = jax.tree.map(lambda x: at(x, u), cache.terms)
            return log_change(amplitude(space, outputs_u, digits_u, None), old, counts), changed
        # the totals after the first changed site are different, and so are the limits
        digits_N = digits(space, apply_move(s_N, move))
        limits = allowed_everywhere(space, digits_N)
        terms = amplitude(space, cache.z[-1], digits(space, s_N), limits)
        old, limits_u = jax.tree.map(lambda x: at(x, u), (terms, limits))
        ratio = log_change(terms, cache.terms) + log_change(
            amplitude(space, outputs_u, digits_u, limits_u), old, counts
        )
        ratio = jnp.where(inside(space, digits_N), ratio, -jnp.inf)
        return jnp.where(cache.is_zero, 0, ratio), changed

    def advance(
        frozen: ConvFrozen, s_N: Array, cache: ConvCache, move: Move, changed: ConvChange, accepted: Array | bool
    ) -> ConvCache:
        del frozen
        z, x = (
            tuple(
                old.at[sites].add(jnp.where(accepted, d, 0))
                for old, sites, d in zip(olds, changed.sites, changes, strict=False)
            )
            for olds, changes in ((cache.z, changed.z), (cache.x, changed.x))
        )
        return cache_of(z, x, apply_move(s_N, Move(move.sites, jnp.where(accepted, move.deltas, 0))))

    def begin(frozen: ConvFrozen) -> ConvRunning:
        del frozen
        return ConvRunning(tuple(jnp.zeros((longest, n), real_dtype) for n in channels[:-1]), jnp.int32(0))

    def step(frozen: ConvFrozen, running: ConvRunning, site: Array) -> tuple[Array, ConvRunning]:
        memory, z = list(running.memory), jnp.zeros(0)
        for i, (layer, back) in enumerate(zip(frozen.layers, distances, strict=True)):
            parts = [memory[i][longest - d] for d in back[back > 0]]
            if len(shape) > 1:  # offsets must not reach across the ends of rows
                inside_row = jnp.asarray(in_row[i])[site]
                parts = [jnp.where(inside_row[j], part, 0) for j, part in enumerate(parts)]
            if i > 0:
                x = nonlinear(z)
                parts.append(x)
                memory[i] = pushed(memory[i], x)
            z = jnp.concatenate(parts) @ layer.weight + layer.bias
        log_p_V = log_probabilities(z[: space.n_values], allowed(space, site, running.before))
        return log_p_V, ConvRunning(tuple(memory), running.before)

    def extend(frozen: ConvFrozen, running: ConvRunning, site: Array, digit: Array) -> ConvRunning:
        del frozen, site
        value = (space.first + space.spacing * digit).astype(real_dtype)
        return ConvRunning((pushed(running.memory[0], value[None]), *running.memory[1:]), running.before + digit)

    return complete(
        init,
        log_psi,
        dtype,
        freeze=freeze,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        conditionals=Conditionals(begin, step, extend),
    )


def pushed(memory: Array, x: Array) -> Array:
    """The last D entries of ``memory`` (D, C) and ``x`` (C,): with XLA this copy is faster than a write in place."""
    return jnp.concatenate([memory[1:], x[None]])


def at(x: Array, places: Array) -> Array:
    """Rows of ``x``, without checking in every ratio that the places are in bounds."""
    return x.at[places].get(mode="promise_in_bounds")
