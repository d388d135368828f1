"""What several networks share: dense layers, dtypes of parameters, random initial parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from nqs_hpc.ansatz.names import FloatName, NumberName


class Dense(NamedTuple):
    """x -> x @ weight + bias."""

    weight: Array  # (in, out)
    bias: Array  # (out,)


def parameter_dtype(dtype: NumberName, float_dtype: FloatName) -> np.dtype:
    """The numpy dtype of parameters: float32, float64, complex64 or complex128.

    Raises ValueError for other names, and for float64 where jax would silently replace it by float32.
    """
    names = {
        ("real", "float32"): np.float32,
        ("real", "float64"): np.float64,
        ("complex", "float32"): np.complex64,
        ("complex", "float64"): np.complex128,
    }
    if (dtype, float_dtype) not in names:
        raise ValueError(f"dtype={dtype!r}, float_dtype={float_dtype!r}: real or complex, float32 or float64")
    if float_dtype == "float64" and not jax.config.read("jax_enable_x64"):
        raise ValueError("float_dtype='float64': jax_enable_x64 is off; turn it on, or take float32")
    return np.dtype(names[dtype, float_dtype])


def real_parameters(dtype: NumberName, float_dtype: FloatName) -> np.dtype:
    """The dtype of the parameters of a network that makes a real or complex log psi of real parameters: a real one.

    Its `kind` is then ``dtype`` itself. Raises as `parameter_dtype`.
    """
    parameter_dtype(dtype, float_dtype)
    return parameter_dtype("real", float_dtype)


def real_or_complex(x: Array, dtype: NumberName) -> Array:
    """log psi from the real outputs of a network: (1,), or (2,) with log |psi| and the phase."""
    return jax.lax.complex(x[0], x[1]) if dtype == "complex" else x[0]


def normal(key: Array, shape: tuple[int, ...], scale: float, dtype: DTypeLike) -> Array:
    """Normal numbers of standard deviation ``scale``; complex ones have E|z|^2 = scale^2 (jax's convention)."""
    return scale * jax.random.normal(key, shape, dtype)


def dense_init(key: Array, n_in: int, n_out: int, *, scale: float, dtype: DTypeLike) -> Dense:
    """LeCun-normal weights times ``scale`` (variance scale^2 / n_in; LeCun et al. 1998), biases zero."""
    return Dense(normal(key, (n_in, n_out), scale / n_in**0.5, dtype), jnp.zeros(n_out, dtype))


def dense_layers_init(
    key: Array, sizes: Sequence[tuple[int, int]], *, scale: float, dtype: DTypeLike
) -> tuple[Dense, ...]:
    """`dense_init` of several layers, from their numbers of inputs and outputs."""
    keys = jax.random.split(key, len(sizes))
    return tuple(
        dense_init(k, n_in, n_out, scale=scale, dtype=dtype) for k, (n_in, n_out) in zip(keys, sizes, strict=True)
    )


def dense_apply(layer: Dense, x: Array) -> Array:
    """(in,) -> (out,)."""
    return x @ layer.weight + layer.bias


def times_weight(s_N: Array, w: Array) -> Array:
    """s @ w for real s. A complex w is multiplied part by part: XLA would make s complex first."""
    s_N = s_N.astype(w.real.dtype)
    return s_N @ w if jnp.isrealobj(w) else jax.lax.complex(s_N @ w.real, s_N @ w.imag)
