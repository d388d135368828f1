"""The log-derivatives of a convolution with a bias, from its input and what comes back to its output.

d log psi / d W_k = sum_o x_(o + k) (x) delta_o,     d log psi / d b = sum_o delta_o.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.convolution import places_of
from nqs_hpc.ansatz.tape import WIDEST
from nqs_hpc.types import Stage


def convolution_stages(
    record: int, extent: tuple[int, ...], pbc: tuple[bool, ...], kernel: tuple[int, ...], n_in: int, n_out: int
) -> list[Stage]:
    """Stages of ``kept`` (N, in) and ``back`` (N, out); the leaves are the kernel (K, in, out), then the bias (out,).

    Each of a few places of the kernel, so that none is much wider than `tape.WIDEST`.
    """
    n_kernel = math.prod(kernel)
    at_once = max(1, WIDEST // (n_in * n_out))
    starts = range(0, n_kernel, at_once)

    def stage(start: int) -> Stage:
        places = slice(start, min(start + at_once, n_kernel))

        def with_bias(weight: Array, back: Array) -> Array:
            return (
                jnp.concatenate([weight.ravel(), jnp.sum(back, axis=0)]) if places.stop == n_kernel else weight.ravel()
            )

        def rows(kept: Array, back: Array) -> Array:
            shifted = jnp.concatenate(places_of(extent, pbc, kernel, kept)[places], axis=1)
            return with_bias(shifted.T @ back, back)

        def total(kept: Array, back: Array) -> Array:
            # place by place: as many copies of all inputs as a kernel has places would be the largest array of a step
            flat = back.reshape(-1, n_out)
            weights = []
            for k in range(places.start, places.stop):
                x = jax.vmap(lambda x, k=k: places_of(extent, pbc, kernel, x)[k])(kept)
                weights.append(x.reshape(-1, n_in).T @ flat)
            return with_bias(jnp.stack(weights), flat)

        return Stage(record, rows, total)

    return [stage(start) for start in starts]
