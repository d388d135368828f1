"""Multilayer perceptron: dense layers with a pointwise nonlinearity.

    x_0 = s,   x_{l+1} = f(W_l x_l + b_l),   log psi(s) = last dense layer of x,

with one output (real: psi > 0) or two (complex: log |psi| and the phase, from real parameters). As a neural quantum
state: Cai and Liu, Phys. Rev. B 97, 035116 (2018), arXiv:1704.05148; a linear layer to the output as in NetKet's MLP
(Vicentini et al., SciPost Phys. Codebases 7 (2022), arXiv:2112.10526).

A move changes the input of the first layer at a few sites: the cache holds that layer's output before the nonlinearity,
and a ratio adds a few rows of W_0 to it instead of a matrix product. The other layers are recomputed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.activations import activation_function
from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.layers import Dense, dense_apply, dense_layers_init, real_or_complex, real_parameters
from nqs_hpc.ansatz.names import Activation, FloatName, NumberName
from nqs_hpc.types import Ansatz, Factors, Move


class MLPCache(NamedTuple):
    first: Array  # W_0 s + b_0
    log_psi: Array


def mlp(
    n_sites: int,
    *,
    widths: tuple[int, ...],
    activation: Activation = "gelu",
    dtype: NumberName = "real",
    init_scale: float = 1.0,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A perceptron of hidden layers ``widths``, of kind ``real`` or ``complex``; params are a tuple of ``Dense``.

    Weights start LeCun-normal times ``init_scale``, biases at zero; ``dtype`` is that of psi, the parameters are always
    real. Raises ValueError for an unknown name, no hidden layer, or a width below 1.
    """
    nonlinear = activation_function(activation)
    if not widths or min(widths) < 1:
        raise ValueError(f"widths={widths}: at least one hidden layer, each of at least 1 unit")
    is_complex = dtype == "complex"
    param_dtype = real_parameters(dtype, float_dtype)
    sizes = list(pairwise((n_sites, *widths, 2 if is_complex else 1)))

    def init(key: Array) -> tuple[Dense, ...]:
        return dense_layers_init(key, sizes, scale=init_scale, dtype=param_dtype)

    def from_first(params: tuple[Dense, ...], first: Array) -> Array:
        """log psi from the first layer's output before its nonlinearity."""
        x = first
        for layer in params[1:]:
            x = dense_apply(layer, nonlinear(x))
        return real_or_complex(x, dtype)

    def first_layer(params: tuple[Dense, ...], s_N: Array) -> Array:
        return dense_apply(params[0], s_N.astype(param_dtype))

    def log_psi(params: tuple[Dense, ...], s_N: Array) -> Array:
        return from_first(params, first_layer(params, s_N))

    def prepare(params: tuple[Dense, ...], s_N: Array) -> MLPCache:
        first = first_layer(params, s_N)
        return MLPCache(first, from_first(params, first))

    def moved(params: tuple[Dense, ...], first: Array, move: Move) -> Array:
        rows = params[0].weight.at[move.sites].get(mode="promise_in_bounds")
        return first + move.deltas.astype(param_dtype) @ rows

    def attempt(params: tuple[Dense, ...], s_N: Array, cache: MLPCache, move: Move) -> tuple[Array, Array]:
        del s_N
        new = from_first(params, moved(params, cache.first, move))
        return new - cache.log_psi, new

    def advance(
        params: tuple[Dense, ...], s_N: Array, cache: MLPCache, move: Move, new: Array, accepted: Array | bool
    ) -> MLPCache:
        del s_N
        taken = Move(move.sites, jnp.where(accepted, move.deltas, 0))
        return MLPCache(moved(params, cache.first, taken), jnp.where(accepted, new, cache.log_psi))

    def parts(params: tuple[Dense, ...], s_N: Array) -> tuple[Array, ...]:
        """The inputs x_l of all layers, then d log psi / d output_l of all layers."""

        def forward(shifts: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
            x, inputs = s_N.astype(param_dtype), []
            for layer, shift in zip(params[:-1], shifts, strict=True):
                inputs.append(x)
                x = nonlinear(dense_apply(layer, x) + shift)
            return dense_apply(params[-1], x), (*inputs, x)

        zeros = tuple(jnp.zeros_like(layer.bias) for layer in params[:-1])
        out, pullback, inputs = jax.vjp(forward, zeros, has_aux=True)
        rows = jnp.eye(len(out), dtype=param_dtype)
        back = [(*pullback(row)[0], row) for row in rows]
        if is_complex:
            back = [tuple(jax.lax.complex(re, im) for re, im in zip(*back, strict=True))]
        return (*inputs, *back[0])

    n_layers = len(sizes)
    leaves = tuple(leaf for i in range(n_layers) for leaf in ((i, n_layers + i), (n_layers + i,)))
    return complete(
        init,
        log_psi,
        dtype,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        factors=Factors(parts, leaves),
        whole=len(widths) > 1,  # a ratio saves only the first layer
    )
