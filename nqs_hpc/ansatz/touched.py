"""Ratios of convolutional networks by the touched patch: after a move, only outputs that it reaches are evaluated.

After l convolutions with kernels of extent k the change of one site has reached l (k - 1) + 1 sites along a direction.
The cache holds the input of each convolution, and what is added to its output, on all sites. A ratio evaluates each
layer on the sites that the move reaches, writes these into a copy of the cache, and goes on with the next layer. No sum
is accumulated along a chain, so rounding does not grow.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.convolution import (
    PER_COPY,
    PER_OPERATION,
    Batched,
    Convolution,
    places,
    reach_of,
    sources,
)
from nqs_hpc.ansatz.full_evaluation import apply_move
from nqs_hpc.types import Ansatz, Kind, Move, Tree

# Fitted like those of `convolution`, for an activation with one exponential.
_PER_ACTIVATION = 2.5e-9  # seconds
_PER_ROW = 20e-9  # seconds to write the features of one site into the copy


class Steps(NamedTuple):
    """The steps of a network, which are evaluated on all sites or only on those that a move reaches."""

    convolve: Callable[[int, Array], Array]  # i, x on all sites -> rows: the i-th convolution on the sites evaluated
    at: Callable[[int, Array], Array]  # i, x on all sites -> its rows on these sites
    keep: Callable[[int, Array], Array]  # i, rows on these sites -> on all sites, the others as before
    head: Callable[[Array, Array], Array] = operator.matmul  # the sum over sites, the weights of the last layer


Network = Callable[[Tree, Array, Steps], Array]  # params, s_N, steps -> log psi


class NetworkFrozen(NamedTuple):
    params: Tree
    matrices: tuple[Array, ...]  # of the convolutions, in order


class TouchedCache(NamedTuple):
    kept: tuple[Array, ...]  # each (N, features)
    log_psi: Array


def everywhere(convolve: Callable[[int, Array], Array], kept: list[Array] | None = None) -> Steps:
    """The steps on all sites; ``keep`` appends to ``kept``."""

    def keep(i: int, rows: Array) -> Array:
        del i
        if kept is not None:
            kept.append(rows)
        return rows

    return Steps(convolve, lambda i, x: x, keep)


def touched_ratios(
    init: Callable[[Array], Tree],
    log_psi: Callable[[Tree, Array], Array],
    kind: Kind,
    freeze: Callable[[Tree], NetworkFrozen],
    network: Network,
    kernels: Callable[[Tree], Sequence[Array]],
    convolutions: Sequence[Convolution],
    extent: tuple[int, ...],
    pbc: tuple[bool, ...],
    kernel: tuple[int, ...],
) -> Ansatz:
    """An ansatz with ratios by the touched patch; its log psi is that of ``network``.

    ``kernels(params)`` are those of the convolutions, in order, all of extent ``kernel``.
    """
    sites_NT = [_reached(extent, pbc, kernel, i + 1) for i in range(len(convolutions))]
    # inputs beyond an open side are read from an additional site of zeros
    beyond, n_sites = 0 if all(pbc) else 1, math.prod(extent)
    inputs_NK = sources(extent, pbc, [reach_of(size) for size in kernel]).T.astype(np.int32)
    inputs_NK = np.pad(inputs_NK, ((0, beyond), (0, 0)), constant_values=n_sites)

    def prepare(frozen: NetworkFrozen, s_N: Array) -> TouchedCache:
        kept: list[Array] = []
        steps = everywhere(lambda i, x: convolutions[i].times(frozen.matrices[i], x), kept)
        value = network(frozen.params, s_N, steps)
        return TouchedCache(tuple(kept), value)

    def attempt(frozen: NetworkFrozen, s_N: Array, cache: TouchedCache, move: Move) -> tuple[Array, TouchedCache]:
        weights = kernels(frozen.params)
        before, kept = iter(cache.kept), []

        def convolve(i: int, x: Array) -> Array:
            patches = jnp.pad(x, ((0, beyond), (0, 0)))[jnp.asarray(inputs_NK)[reached(i)]]
            weight = weights[i]
            return patches.reshape(-1, weight.shape[0] * weight.shape[1]) @ weight.reshape(-1, weight.shape[2])

        def at(i: int, x: Array) -> Array:
            return x.at[reached(i)].get(mode="clip")  # rows beyond an open side are dropped in `keep`

        def keep(i: int, rows: Array) -> Array:
            # A scatter instead of a choice by place, which XLA would fuse into the patches of the next layer, with the
            # activation before it, and recompute for each entry of the kernel.
            kept.append(next(before).at[reached(i)].set(rows, mode="drop"))
            return kept[-1]

        def reached(i: int) -> Array:
            return jnp.asarray(sites_NT[i])[move.sites].ravel()

        value = network(frozen.params, apply_move(s_N, move), Steps(convolve, at, keep))
        return value - cache.log_psi, TouchedCache(tuple(kept), value)

    return complete(init, log_psi, kind, freeze=freeze, prepare=prepare, attempt=attempt, whole=True)


def touching_pays(
    extent: tuple[int, ...],
    pbc: tuple[bool, ...],
    kernel: tuple[int, ...],
    features: int,
    whole_layers: Sequence[Batched],
) -> bool:
    """Whether the touched patch costs no more than a whole evaluation, on average over moves of one and two sites."""
    n_sites, n_kernel = math.prod(extent), math.prod(kernel)
    whole = sum(conv.seconds for conv in whole_layers) + len(whole_layers) * n_sites * features * _PER_ACTIVATION
    patch = 0.0
    for i in range(len(whole_layers)):
        rows = 1.5 * math.prod(len(r) for r in _reach(extent, pbc, kernel, i + 1))
        copied = rows * n_kernel * (1 if i == 0 else features)
        patch += copied * (PER_COPY + 2 * features * PER_OPERATION) + rows * (features * _PER_ACTIVATION + _PER_ROW)
    return patch <= whole


def _reached(extent: tuple[int, ...], pbc: tuple[bool, ...], kernel: tuple[int, ...], depth: int) -> NDArray[np.int32]:
    """(N, T): for each changed site the T outputs of the ``depth``-th convolution it reaches; N beyond an open side."""
    n_sites = math.prod(extent)
    place_NN = places(sources(extent, pbc, _reach(extent, pbc, kernel, depth)))
    n_reached = math.prod(len(r) for r in _reach(extent, pbc, kernel, depth))
    sites_NT = np.full((n_sites, n_reached + 1), n_sites, np.int32)
    sites_NT[np.arange(n_sites)[:, None], place_NN] = np.arange(n_sites)[None]
    return sites_NT[:, :n_reached]


def _reach(extent: tuple[int, ...], pbc: tuple[bool, ...], kernel: tuple[int, ...], depth: int) -> list[range]:
    """For each direction, the offsets from an output to the inputs ``depth`` convolutions before it; no site twice."""
    reach = []
    for length, side, size in zip(extent, pbc, kernel, strict=True):
        one = reach_of(size)
        low, high = depth * one.start, depth * (one.stop - 1)
        if side:
            reach.append(range(low, min(high, low + length - 1) + 1))
        else:
            reach.append(range(max(low, 1 - length), min(high, length - 1) + 1))
    return reach
