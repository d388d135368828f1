"""Pointwise nonlinearities of the networks, by their names in a configuration."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.names import ACTIVATION_NAMES, Activation

LOG_2 = float(np.log(2.0))


def _artanh_series() -> list[float]:
    """Of (artanh(f) / f - 1) / f^2 in powers of f^2 for f in [0, 1/3], interpolated to 1e-15; lowest power first."""

    def of_square(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return sum((z**k / (2 * k + 3) for k in reversed(range(20))), np.zeros_like(z))

    polynomial = np.polynomial.Chebyshev.interpolate(of_square, 9, domain=[0, 1 / 9])
    return [float(c) for c in polynomial.convert(kind=np.polynomial.Polynomial).coef]


ARTANH = _artanh_series()


def activation_function(name: Activation) -> Callable[[Array], Array]:
    """The elementwise function of that name. Raises ValueError for an unknown name."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation={name!r}: one of {', '.join(ACTIVATION_NAMES)}")
    return ACTIVATIONS[name]


def selu(x: Array) -> Array:
    """Scaled exponential linear unit (Klambauer et al. 2017, arXiv:1706.02515), elementwise.

    With exp(x) - 1, which is exact to one rounding of 1 and takes half as long as expm1.
    """
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * jnp.where(x > 0, x, alpha * (jnp.exp(jnp.where(x > 0, 0, x)) - 1))


def log_cosh(x: Array) -> Array:
    """log cosh x, elementwise, without overflow, for real or complex x.

    With y = x or -x, whichever has Re y >= 0: log cosh x = y + log(1 + exp(-2 y)) - log 2. At the zeros of cosh, which
    lie on the imaginary axis, the result is -inf + i phase.
    """
    return _complex_log_cosh(x) if jnp.iscomplexobj(x) else _real_log_cosh(x)


@jax.custom_jvp
def _real_log_cosh(x: Array) -> Array:
    # log(1 + e) = 2 artanh(f), f = e / (2 + e) in [0, 1/3]: only products, a sixth of the time of XLA's log1p
    y = jnp.abs(x)
    e = jnp.exp(-2 * y)
    f = e / (2 + e)
    z = f * f
    series = jnp.full_like(z, ARTANH[-1])
    for coefficient in ARTANH[-2::-1]:
        series = series * z + coefficient
    return y + (2 * (f + f * (z * series)) - LOG_2)


@_real_log_cosh.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _real_log_cosh(primals[0]), jnp.tanh(primals[0]) * tangents[0]


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
    rest = -jnp.expm1(-2 * a)  # 1 - e, accurate also where e is near 1
    e, sine, cosine = 1 - rest, jnp.sin(b), jnp.cos(b)
    scale = 1 / (rest * rest + 4 * e * cosine * cosine)
    return jax.lax.complex(jnp.copysign(rest * (1 + e), x.real) * scale, 4 * e * sine * cosine * scale)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "selu": selu,
    "gelu": jax.nn.gelu,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "log_cosh": log_cosh,
}
