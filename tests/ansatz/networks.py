"""Networks as users bring them, for tests to name by import path. Needs flax and equinox."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp

from nqs_hpc.ansatz.activations import LOG_2, log_cosh

NOT_A_MODULE = 3


class FlaxRBM(nn.Module):
    """log psi = sum_j log 2 cosh theta_j + a s, as our own."""

    alpha: int = 1
    dtype: str = "float64"

    @nn.compact
    def __call__(self, s):
        n, init = s.shape[-1], nn.initializers.normal(0.2)
        theta = nn.Dense(self.alpha * n, param_dtype=self.dtype, kernel_init=init, bias_init=init)(s)
        a = self.param("a", init, (n,), self.dtype)
        return jnp.sum(log_cosh(theta) + LOG_2, axis=-1) + s @ a


class Modulus(FlaxRBM):
    """Complex parameters, and a log psi that is no holomorphic function of them."""

    @nn.compact
    def __call__(self, s):
        b = self.param("b", nn.initializers.zeros, (1,), self.dtype)
        return jnp.sum(s * jnp.abs(b) ** 2, axis=-1) + 0j


class Phase(nn.Module):
    """Real parameters, complex log psi; a list among the arguments."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, s):
        for width in self.widths:
            s = nn.tanh(nn.Dense(width, param_dtype="float64")(s))
        out = nn.Dense(2, param_dtype="float64")(s)
        return out[..., 0] + 1j * out[..., 1]


class WithState(nn.Module):
    @nn.compact
    def __call__(self, s):
        return jnp.sum(nn.BatchNorm(use_running_average=False)(s), axis=-1)


class Wide(nn.Module):
    @nn.compact
    def __call__(self, s):
        return nn.Dense(3)(s)


class EquinoxNet(eqx.Module):
    """Two layers, with what is no parameter: a function, an integer and integers in an array."""

    first: eqx.nn.Linear
    last: eqx.nn.Linear
    activation: object
    order: jax.Array
    times: int

    def __init__(self, n_sites, width, times=1, *, key):
        one, two = jax.random.split(key)
        self.first = eqx.nn.Linear(n_sites, width, key=one)
        self.last = eqx.nn.Linear(width, "scalar", key=two)
        self.activation, self.order, self.times = jnp.tanh, jnp.arange(n_sites)[::-1], times

    def __call__(self, s):
        return self.times * self.last(self.activation(self.first(s[self.order])))
