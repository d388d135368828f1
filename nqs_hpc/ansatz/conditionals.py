"""What autoregressive wave functions share: psi(s) as a product of normalised conditional amplitudes.

    psi(s) = prod_i sqrt(p_i(s_i | s_<i)) exp(i phi_i(s_i | s_<i)),    p_i(v | s_<i) = exp(2 a_v) / sum_v' exp(2 a_v')

in the order of the sites, with log-amplitudes a_v and phases phi_v that a network makes for site i of the sites before
it (Sharir et al., Phys. Rev. Lett. 124, 020503 (2020), arXiv:1902.04057). So sum_s |psi(s)|^2 = 1, and a sample is drawn
site by site.

In the sector of a fixed total the values from which the total could no longer be reached get probability 0 and the sum
goes over the others. With digits d_i = 0 ... V-1 of the local values, their total T, and n sites after site i:

    max(0, T - sum_(j<i) d_j - n (V - 1))  <=  d_i  <=  min(V - 1, T - sum_(j<i) d_j).

Every configuration that keeps to it is in the sector, and every one in the sector does: the support is the sector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.layers import log_cosh

Activation = Literal["selu", "gelu", "tanh", "relu", "silu", "log_cosh"]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "selu": jax.nn.selu,
    "gelu": jax.nn.gelu,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "log_cosh": log_cosh,
}

Planes = tuple[Array, ...]  # (x,) where x is real, (Re x, Im x) where it is complex
Range = tuple[Array, Array] | None  # least and largest digit allowed; None: all are


class LocalSpace(NamedTuple):
    """The values of the sites and what their total must be, in digits: value = first + spacing * digit."""

    n_sites: int
    first: int
    spacing: int  # negative where the values are given from the largest down
    n_values: int
    total: int | None  # of the digits


def local_space(n_sites: int, local_values: tuple[int, ...], total: int | None) -> LocalSpace:
    """Of ``local_values`` in the order given, which must be evenly spaced; ValueError where they are not."""
    steps = set(np.diff(local_values).tolist())
    if len(steps) != 1 or 0 in steps:
        raise ValueError(f"local_values={local_values}: at least two values, rising or falling in equal steps")
    (spacing,) = steps
    first = local_values[0]
    if total is not None:
        total, rest = divmod(total - n_sites * first, spacing)
        if rest or not 0 <= total <= n_sites * (len(local_values) - 1):
            raise ValueError(f"total={total}: no configuration of {n_sites} sites with values {local_values} has it")
    return LocalSpace(n_sites, first, spacing, len(local_values), total)


def digits(space: LocalSpace, s: Array) -> Array:
    """Which of the local values each of ``s`` is, int32."""
    return (s.astype(jnp.int32) - space.first) // space.spacing


def inside(space: LocalSpace, digits_N: Array) -> Array:
    """Whether a configuration has the total; always, where there is none."""
    return jnp.bool_(True) if space.total is None else jnp.sum(digits_N) == space.total


def allowed(space: LocalSpace, site: Array, before: Array) -> Range:
    """The digits that ``site`` may have where those of the sites before it sum to ``before``; elementwise.

    All where nothing leads into the sector any more: such configurations are given psi = 0 as a whole.
    """
    if space.total is None:
        return None
    top = space.n_values - 1
    left, after = space.total - before, space.n_sites - 1 - site
    least, most = jnp.maximum(0, left - after * top), jnp.minimum(top, left)
    lost = least > most
    return jnp.where(lost, 0, least), jnp.where(lost, top, most)


def allowed_everywhere(space: LocalSpace, digits_N: Array) -> Range:
    """`allowed` of all sites of one configuration: (N,) each."""
    before_N = jnp.cumsum(digits_N) - digits_N
    return allowed(space, np.arange(space.n_sites, dtype=np.int32), before_N)


def log_probabilities(a_V: Array, limits: Range) -> Array:
    """log p of all values (..., V) from log-amplitudes (..., V); -inf outside the limits (...,)."""
    n_values = a_V.shape[-1]
    if limits is None:
        columns = [log_probability(a_V, np.int32(v), None) for v in range(n_values)]
    else:
        # the value is brought inside first, so that no derivative of an infinity is ever formed
        columns = [
            jnp.where((limits[0] <= v) & (v <= limits[1]), log_probability(a_V, jnp.clip(v, *limits), limits), -jnp.inf)
            for v in range(n_values)
        ]
    return jnp.stack(columns, axis=-1)


def log_probability(a_V: Array, digit: Array, limits: Range) -> Array:
    """log p (...,) of one value each, inside its limits, from log-amplitudes (..., V)."""
    if a_V.shape[-1] == 2:  # a logistic function: one exponential, one logarithm
        gap = 2 * (a_V[..., 1] - a_V[..., 0])
        gap = jnp.where(digit == 0, gap, -gap)
        free = -(jnp.maximum(gap, 0) + jnp.log1p(jnp.exp(-jnp.abs(gap))))
        return free if limits is None else jnp.where(limits[0] < limits[1], free, 0)
    values = along_last(a_V)
    if limits is None:
        terms = 2 * a_V
    else:
        is_allowed = (limits[0][..., None] <= values) & (values <= limits[1][..., None])
        terms = jnp.where(is_allowed, 2 * a_V, -jnp.inf)
    return 2 * pick(a_V, digit) - jax.nn.logsumexp(terms, axis=-1)


def pick(x_V: Array, digit: Array) -> Array:
    """The entry of each row (..., V) that its digit (...,) names: a sum, whose derivative is no scatter."""
    return jnp.sum(jnp.where(along_last(x_V) == digit[..., None], x_V, 0), axis=-1)


def along_last(x_V: Array) -> np.ndarray:
    """0 ... V-1 along the last axis, of the rank of ``x_V``."""
    return np.arange(x_V.shape[-1]).reshape((1,) * (x_V.ndim - 1) + (-1,))


def log_amplitude(space: LocalSpace, outputs: Array, digit: Array, limits: Range) -> Planes:
    """log of sqrt(p) exp(i phi), its planes (...,), from outputs (..., V), or (..., 2 V) with the phases behind."""
    modulus = 0.5 * log_probability(outputs[..., : space.n_values], digit, limits)
    if outputs.shape[-1] == space.n_values:
        return (modulus,)
    return modulus, pick(outputs[..., space.n_values :], digit)


def join(planes: Planes) -> Array:
    return planes[0] if len(planes) == 1 else jax.lax.complex(*planes)


def log_product(space: LocalSpace, outputs_NO: Array, s_N: Array) -> Array:
    """log psi of one configuration from the network's outputs for all sites; -inf outside the sector."""
    digits_N = digits(space, s_N)
    terms = log_amplitude(space, outputs_NO, digits_N, allowed_everywhere(space, digits_N))
    total = join(tuple(jnp.sum(plane) for plane in terms))
    return total if space.total is None else jnp.where(inside(space, digits_N), total, -jnp.inf)
