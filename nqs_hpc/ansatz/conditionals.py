"""What autoregressive wave functions share: psi(s) as a product of normalised conditional amplitudes.

    psi(s) = prod_i sqrt(p_i(s_i | s_<i)) exp(i phi_i(s_i | s_<i)),    p_i(v | s_<i) = exp(2 a_v) / sum_v' exp(2 a_v')

in the order of the sites. For site i a network computes log-amplitudes a_v and phases phi_v from the sites before it
(Sharir et al., Phys. Rev. Lett. 124, 020503 (2020), arXiv:1902.04057). So sum_s |psi(s)|^2 = 1, and a sample is
drawn site by site.

In the sector of a fixed total, values from which the total could no longer be reached get probability 0, and the sum
over v' runs over the others. With digits d_i = 0 ... V-1 of the local values, their total T, and n sites after site i:

    max(0, T - sum_(j<i) d_j - n (V - 1))  <=  d_i  <=  min(V - 1, T - sum_(j<i) d_j).

A configuration satisfies this at every site if and only if it is in the sector: the support of psi is the sector.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

GROUP = 16  # factors multiplied before their logarithm: 128**16 is a float32
Range = tuple[Array, Array] | None  # smallest and largest digit allowed; None: all are


class LocalSpace(NamedTuple):
    """The values of the sites and what their total must be, in digits: value = first + spacing * digit."""

    n_sites: int
    first: int
    spacing: int  # negative where the values are given from the largest down
    n_values: int
    total: int | None  # of the digits


def local_space(n_sites: int, local_values: tuple[int, ...], total: int | None) -> LocalSpace:
    """Raises ValueError if ``local_values``, in the order given, are not evenly spaced, or no state has the total."""
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
    """Whether a configuration has the total; True if none is given."""
    return jnp.bool_(True) if space.total is None else jnp.sum(digits_N) == space.total


def allowed(space: LocalSpace, site: Array, before: Array) -> Range:
    """The digits that ``site`` may have if those of the sites before it sum to ``before``; elementwise.

    All digits if the sector can no longer be reached: psi of such a configuration is set to 0 as a whole.
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
    return allowed(space, jnp.arange(space.n_sites, dtype=jnp.int32), before_N)


def log_probabilities(a_V: Array, limits: Range) -> Array:
    """log p of all values (..., V) from log-amplitudes (..., V); -inf outside the limits (...,)."""
    n_values = a_V.shape[-1]
    if limits is None:
        columns = [log_probability(a_V, jnp.int32(v), None) for v in range(n_values)]
    else:
        # the digit is clipped to the range first, so that no derivative of an infinity is ever formed
        columns = [
            jnp.where((limits[0] <= v) & (v <= limits[1]), log_probability(a_V, jnp.clip(v, *limits), limits), -jnp.inf)
            for v in range(n_values)
        ]
    return jnp.stack(columns, axis=-1)


def log_probability(a_V: Array, digit: Array, limits: Range) -> Array:
    """log p (...,) of one value each, which lies within its limits, from log-amplitudes (..., V)."""
    part, factor = probability(a_V, digit, limits)
    return part - jnp.log(factor)


def probability(a_V: Array, digit: Array, limits: Range) -> tuple[Array, Array]:
    """`log_probability` as part - log(factor) with factor from 1 to V: many factors then share one logarithm."""
    if a_V.shape[-1] == 2:
        gap = 2 * (a_V[..., 1] - a_V[..., 0])
        gap = jnp.where(digit == 0, gap, -gap)
        part, factor = -jnp.maximum(gap, 0), 1 + jnp.exp(-jnp.abs(gap))
        if limits is None:
            return part, factor
        free = limits[0] < limits[1]
        return jnp.where(free, part, 0), jnp.where(free, factor, 1)
    doubled, values = 2 * a_V, along_last(a_V)
    if limits is not None:
        is_allowed = (limits[0][..., None] <= values) & (values <= limits[1][..., None])
        doubled = jnp.where(is_allowed, doubled, -jnp.inf)
    top = jax.lax.stop_gradient(jnp.max(doubled, axis=-1))
    return 2 * pick(a_V, digit) - top, jnp.sum(jnp.exp(doubled - top[..., None]), axis=-1)


def sum_of_logs(factors_n: Array) -> Array:
    """sum log of factors between 1/128 and 128, by logarithms of products of a few of them, which stay in range."""
    groups = jnp.pad(factors_n, (0, -factors_n.shape[0] % GROUP), constant_values=1).reshape(-1, GROUP)
    return jnp.sum(jnp.log(jnp.prod(groups, axis=1)))


def pick(x_V: Array, digit: Array) -> Array:
    """The entry of each row (..., V) at its digit (...,), as a sum: the derivative of an index would be a scatter."""
    return jnp.sum(jnp.where(along_last(x_V) == digit[..., None], x_V, 0), axis=-1)


def along_last(x_V: Array) -> np.ndarray:
    """0 ... V-1 along the last axis, of the rank of ``x_V``."""
    return np.arange(x_V.shape[-1]).reshape((1,) * (x_V.ndim - 1) + (-1,))


class Terms(NamedTuple):
    """Log-amplitudes of conditionals, 1/2 (part - log(factor)) + i phase; the phase is None if psi is real."""

    part: Array
    factor: Array
    phase: Array | None


def amplitude(space: LocalSpace, outputs: Array, digit: Array, limits: Range) -> Terms:
    """Of one value each (...,), from outputs (..., V), or (..., 2 V) with the phases last."""
    n_values = space.n_values
    phase = None if outputs.shape[-1] == n_values else pick(outputs[..., n_values:], digit)
    return Terms(*probability(outputs[..., :n_values], digit, limits), phase)


def log_product(space: LocalSpace, outputs_NO: Array, s_N: Array) -> Array:
    """log psi of one configuration from the network's outputs for all sites; -inf outside the sector."""
    digits_N = digits(space, s_N)
    terms = amplitude(space, outputs_NO, digits_N, allowed_everywhere(space, digits_N))
    # a logarithm of each factor: the derivative of a product costs more than the logarithms
    log_psi = with_phase(0.5 * jnp.sum(terms.part - jnp.log(terms.factor)), terms.phase)
    return log_psi if space.total is None else jnp.where(inside(space, digits_N), log_psi, -jnp.inf)


def log_change(new: Terms, old: Terms, counts: Array | None = None) -> Array:
    """The sum of new - old log-amplitudes (n,), over those where ``counts`` is true."""

    def kept(x: Array, otherwise: float) -> Array:
        return x if counts is None else jnp.where(counts, x, otherwise)

    modulus = jnp.sum(kept(new.part - old.part, 0)) + sum_of_logs(kept(old.factor / new.factor, 1))
    if new.phase is None or old.phase is None:
        return 0.5 * modulus
    return with_phase(0.5 * modulus, kept(new.phase - old.phase, 0))


def with_phase(modulus: Array, phase_n: Array | None) -> Array:
    return modulus if phase_n is None else jax.lax.complex(modulus, jnp.sum(phase_n))
