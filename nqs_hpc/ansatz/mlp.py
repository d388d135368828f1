"""Multilayer perceptron: dense layers with a pointwise nonlinearity.

    x_0 = s,   x_{l+1} = f(W_l x_l + b_l),   log psi(s) = last dense layer of x,

with one output (real: psi > 0) or two (complex: log |psi| and the phase, from real parameters). As a neural quantum
state: Cai and Liu, Phys. Rev. B 97, 035116 (2018), arXiv:1704.05148; a linear layer to the output as in NetKet's MLP
(Vicentini et al., SciPost Phys. Codebases 7 (2022), arXiv:2112.10526).

The general path: a ratio is a forward pass. A flip could save the first layer alone, a small part of the work in any
network with more than one hidden layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.layers import Dense, FloatName, NumberName, dense_apply, dense_init, log_cosh, parameter_dtype
from nqs_hpc.types import Ansatz

Activation = Literal["gelu", "tanh", "relu", "silu", "log_cosh"]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": jax.nn.gelu,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "log_cosh": log_cosh,
}


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

    Weights start LeCun-normal times ``init_scale``, biases at zero; ``dtype`` says what psi is, the parameters are real
    either way. Raises ValueError for an unknown name, no hidden layer, or a width below 1.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r}: one of {', '.join(ACTIVATIONS)}")
    if not widths or min(widths) < 1:
        raise ValueError(f"widths={widths}: at least one hidden layer, each of at least 1 unit")
    is_complex = parameter_dtype(dtype, float_dtype).kind == "c"
    param_dtype = parameter_dtype("real", float_dtype)
    nonlinear = ACTIVATIONS[activation]
    sizes = (n_sites, *widths, 2 if is_complex else 1)

    def init(key: Array) -> tuple[Dense, ...]:
        keys = jax.random.split(key, len(sizes) - 1)
        return tuple(
            dense_init(k, n_in, n_out, scale=init_scale, dtype=param_dtype)
            for k, n_in, n_out in zip(keys, sizes[:-1], sizes[1:], strict=True)
        )

    def log_psi(params: tuple[Dense, ...], s_N: Array) -> Array:
        x = s_N.astype(param_dtype)
        for layer in params[:-1]:
            x = nonlinear(dense_apply(layer, x))
        out = dense_apply(params[-1], x)
        return jax.lax.complex(out[0], out[1]) if is_complex else out[0]

    return full_evaluation(init, log_psi, "complex" if is_complex else "real")
