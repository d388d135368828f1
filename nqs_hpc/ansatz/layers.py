"""What several ansätze share: dense layers, activations, dtypes, complex normal numbers, ratios of several moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from nqs_hpc.types import Move, Tree

FloatName = Literal["float32", "float64"]
NumberName = Literal["real", "complex"]
Activation = Literal["gelu", "tanh", "relu", "silu", "log_cosh"]

LOG_2 = float(np.log(2.0))


class Dense(NamedTuple):
    """x -> x @ weight + bias."""

    weight: Array  # (in, out)
    bias: Array  # (out,)


def parameter_dtype(dtype: NumberName, float_dtype: FloatName) -> np.dtype:
    """The numpy dtype of parameters: float32, float64, complex64 or complex128.

    Raises ValueError for other names, and for float64 where jax would silently make float32 of it.
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


def normal(key: Array, shape: tuple[int, ...], scale: float, dtype: DTypeLike) -> Array:
    """Normal numbers of standard deviation ``scale``; complex ones have E|z|^2 = scale^2 (jax's convention)."""
    return scale * jax.random.normal(key, shape, dtype)


def dense_init(key: Array, n_in: int, n_out: int, *, scale: float, dtype: DTypeLike) -> Dense:
    """LeCun-normal weights times ``scale`` (variance scale^2 / n_in; LeCun et al. 1998), biases zero."""
    return Dense(normal(key, (n_in, n_out), scale / n_in**0.5, dtype), jnp.zeros(n_out, dtype))


def dense_apply(layer: Dense, x: Array) -> Array:
    """(in,) -> (out,)."""
    return x @ layer.weight + layer.bias


def log_cosh(x: Array) -> Array:
    """log cosh x, elementwise, without overflow, for real or complex x.

    With y = x or -x, whichever has Re y >= 0: log cosh x = y + log1p(exp(-2 y)) - log 2. At the zeros of cosh, which
    lie on the imaginary axis, the result is -inf + i phase.
    """
    if jnp.iscomplexobj(x):
        return _complex_log_cosh(x)
    y = jnp.where(x < 0, -x, x)
    return y + jnp.log1p(jnp.exp(-2 * y)) - LOG_2


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": jax.nn.gelu,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "log_cosh": log_cosh,
}


@jax.custom_jvp
def _complex_log_cosh(x: Array) -> Array:
    # in real planes: 1 + exp(-2 y) = u + i v, and XLA's complex functions are ten times as slow
    left = x.real < 0
    a, b = jnp.where(left, -x.real, x.real), jnp.where(left, -x.imag, x.imag)
    modulus = jnp.exp(-2 * a)
    u, v = 1 + modulus * jnp.cos(2 * b), -modulus * jnp.sin(2 * b)
    return jax.lax.complex(a + jnp.log(u * u + v * v) / 2 - LOG_2, b + jnp.arctan2(v, u))


@_complex_log_cosh.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _complex_log_cosh(primals[0]), tanh(primals[0]) * tangents[0]


def tanh(x: Array) -> Array:
    """The derivative of `log_cosh`, elementwise, without overflow, for real or complex x.

    With a = |Re x|, b = Im x and e = exp(-2 a), cosh and sinh of twice a times 2 e: tanh(a + i b) =
    ((1 - e) (1 + e) + 4 i e sin b cos b) / ((1 - e)^2 + 4 e cos^2 b). Real functions are several times as fast as XLA's
    complex ones on CPUs.
    """
    if jnp.isrealobj(x):
        return jnp.tanh(x)
    a, b = jnp.abs(x.real), x.imag
    rest = -jnp.expm1(-2 * a)  # 1 - e, also where e is near 1
    e, sine, cosine = 1 - rest, jnp.sin(b), jnp.cos(b)
    scale = 1 / (rest * rest + 4 * e * cosine * cosine)
    return jax.lax.complex(jnp.copysign(rest * (1 + e), x.real) * scale, 4 * e * sine * cosine * scale)


def times_weight(s_N: Array, w: Array) -> Array:
    """s @ w for real s: of a complex w the parts apart, which XLA would multiply with a complex s."""
    s_N = s_N.astype(w.real.dtype)
    return s_N @ w if jnp.isrealobj(w) else jax.lax.complex(s_N @ w.real, s_N @ w.imag)


def over_moves(log_ratio: Callable[[Tree, Array, Tree, Move], Array]) -> Callable[[Tree, Array, Tree, Move], Array]:
    """``log_ratios`` of an ansatz whose moves share no more than the cache: ``log_ratio`` of each of K moves."""
    return jax.vmap(log_ratio, in_axes=(None, None, None, 0))
