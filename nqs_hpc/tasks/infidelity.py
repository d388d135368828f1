"""The infidelity of psi with a target Phi that is one substep of time away from a known state phi, and its descent.

    Phi(s) = exp(-x b dt Z(s)) (1 - x a dt (H_loc(s) - c)) phi(s),    H_loc of phi,

of a product expansion (`integrators.product`); c, any number, moves a global phase alone, and keeps the expansion good
where it is the mean of H. With R = Phi / psi the fidelity is that of a ground state of -|Phi><Phi|, whose local
energy is

    e_loc(x) = -R(x) E_(y ~ |Phi|^2)[1 / R(y)],

and the projections of ground states give its natural gradient: near the minimum a step of length 1 is that of Gauss and
Newton. Samples y of |Phi|^2 are those of |phi|^2 with the weights |Phi / phi|^2. Far from the minimum, where R changes
by factors, its logarithm is the better model of what parameters do: steps that fit log R (``fitted``) agree with those
of the gradient to first order, and where log psi is linear in the parameters one of them is enough.

The value is estimated with the control variate of weight -1/2,

    1 - F = E_(x, y)[1 - Re A - (1 - |A|^2) / 2] = E_(x, y)[|A - 1|^2] / 2,    A = R(x) / R(y),

over all pairs: nothing fluctuates where psi = Phi. A. Sinibaldi, C. Giuliani, G. Carleo and F. Vicentini, Quantum 7,
1131 (2023), arXiv:2305.14294.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.operators.local_values import MEMORY, local_energies
from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.chains import widened
from nqs_hpc.stats.host import host_estimate
from nqs_hpc.tasks.measurement import Shared, gathered
from nqs_hpc.types import Ansatz, Batch, Estimate, Operator, Samples, Tree

SERIES = 1e-5  # below which the logarithm of 1 + u is its series to second order
FLOOR = -18.0  # of log |R / R_0|: a target that vanishes pulls psi down no faster than this in one step


class Known(NamedTuple):
    """What is known at configurations of this rank, complex128: all of a substep but its coefficients."""

    log_ratio_B: Array  # log phi - log psi
    local_B: Array  # H_loc of phi; where the diagonal is split off, without it
    diagonal_B: Array  # Z(s), 0 where it is not split off


class Substep(NamedTuple):
    """Numbers of a substep, complex128, on the host or traced."""

    a: Any  # x a dt
    b: Any  # x b dt
    mean: Any  # c


class Pairs(NamedTuple):
    """What the infidelity is made from, of all ranks, chain by chain, complex128.

    With R_0 the mean of R over |psi|^2: u = R / R_0 - 1 of the samples of |psi|^2, v = R_0 / R - 1 of those of |Phi|^2.
    """

    u_A: Array
    w_A: Array
    v_A: Array
    w_target_A: Array


class Measured(NamedTuple):
    """An infidelity with its standard error, 0 of exact sums."""

    value: float
    error: float


class Infidelity(NamedTuple):
    """Functions to be compiled; ``known`` has no collectives."""

    known: Callable[..., Known]  # params of psi, params of phi, s_BN, time
    mean: Callable[[Known, Samples], Array]  # of H_loc over samples of |phi|^2; one sum
    # params, known of own, known of target's, own samples, samples of |phi|^2, counts, Substep, rank; two gathers
    compare: Callable[..., tuple[Batch, Pairs, Shared]]


def infidelity(
    ansatz: Ansatz, operator: Operator, comm: Comm, *, split: bool, chunk: int | None, memory: int = MEMORY
) -> Infidelity:
    """psi and phi are the same ansatz. ``split``: the diagonal of H is exponentiated.

    The Batch of ``compare`` has e_loc without its mean, so that what is left of it near the minimum has all its digits.
    """
    e_loc = local_energies(ansatz, off_diagonal(operator) if split else operator, chunk=chunk, memory=memory)

    def known(params: Tree, fixed: Tree, s_BN: Array, time: Array) -> Known:
        def ratio(s_N: Array) -> Array:
            return (ansatz.log_psi(fixed, s_N) - ansatz.log_psi(params, s_N)).astype(jnp.complex128)

        now = operator if operator.at is None else operator.at(time)
        diagonal_B = chunked_map(now.diagonal, s_BN, chunk) if split else jnp.zeros(len(s_BN))
        local_B = e_loc(ansatz.freeze(fixed), s_BN, time)
        ratio_B = chunked_map(ratio, s_BN, chunk)
        return Known(ratio_B, local_B.astype(jnp.complex128), diagonal_B.astype(jnp.complex128))

    def mean(known: Known, samples: Samples) -> Array:
        return comm.sum(jnp.sum(samples.w_B * jnp.where(samples.w_B > 0, jnp.real(known.local_B), 0)))

    def compare(
        params: Tree,
        own: Known,
        beside: Known,
        samples: Samples,
        others: Samples,
        counts: dict[str, Array],
        substep: Substep,
        rank: Array | int = comm.rank,
    ) -> tuple[Batch, Pairs, Shared]:
        def step(known: Known) -> Array:
            return jnp.log(1.0 - substep.a * (known.local_B - substep.mean)) - substep.b * known.diagonal_B

        log_B, log_step_B = own.log_ratio_B + step(own), step(beside)
        (log_B,), w_A, (log_A,), shared = gathered(comm, params, samples, counts, [log_B])
        back_B = -(beside.log_ratio_B + log_step_B)
        columns = [others.w_B, jnp.real(back_B), jnp.imag(back_B), 2.0 * jnp.real(log_step_B)]
        w_other_A, real_A, imag_A, log_weight_A = comm.gather(jnp.stack(columns)).transpose(1, 0, 2).reshape(4, -1)
        w_target_A = weighed(w_other_A, log_weight_A)
        back_A = jax.lax.complex(real_A, imag_A)

        top = _largest(log_A, w_A)
        mean = jnp.sum(w_A * jnp.where(w_A > 0, _exp(log_A - top), 0))
        log_mean = top + jnp.log(mean)
        u_A = jnp.where(w_A > 0, _exp(log_A - log_mean) - 1.0, 0)
        u_B = jnp.where(samples.w_B > 0, _exp(log_B - log_mean) - 1.0, 0)
        v_A = jnp.where(w_target_A > 0, _exp(back_A + log_mean) - 1.0, 0)
        scale = 1.0 + jnp.sum(w_target_A * v_A)
        variance = jnp.sum(w_A * jnp.abs(u_A) ** 2) * jnp.abs(scale) ** 2
        found = Estimate(jnp.zeros((), jnp.complex128), jnp.zeros_like(variance), variance)
        batch = Batch(jnp.asarray(rank, jnp.int32), samples, -u_B * scale, -u_A * scale, w_A, found, shared.counts)
        return batch, Pairs(u_A, w_A, v_A, w_target_A), shared

    return Infidelity(known, mean, compare)


def fitted(batch: Batch, pairs: Pairs) -> Batch:
    """The batch whose projection fits log R instead of R."""
    scale = 1.0 + jnp.sum(pairs.w_target_A * pairs.v_A)
    log_A = jnp.where(pairs.w_A > 0, _log1p(pairs.u_A), 0)
    log_B = jnp.where(batch.samples.w_B > 0, _log1p(-batch.e_loc_B / scale), 0)
    mean = jnp.sum(pairs.w_A * log_A)
    variance = jnp.sum(pairs.w_A * jnp.abs(log_A - mean) ** 2)
    found = batch.estimate._replace(mean=jnp.zeros_like(mean), variance=variance)
    return batch._replace(e_loc_B=mean - log_B, e_loc_A=mean - log_A, estimate=found)


def measured(pairs: Pairs, chain_length: int) -> Measured:
    """The infidelity over all pairs of samples, on the host. Its error follows from what the mean over the others is of
    each sample, chain by chain.
    """
    u_A, w_A, v_A, w_target_A = (np.asarray(leaf) for leaf in pairs)
    u, v = complex(np.sum(w_A * u_A)), complex(np.sum(w_target_A * v_A))
    u2, v2 = float(np.sum(w_A * np.abs(u_A) ** 2)), float(np.sum(w_target_A * np.abs(v_A) ** 2))
    # |A - 1|^2 = |u + v (1 + u)|^2, the mean over one of the two
    of_own_A = (np.abs(u_A) ** 2 + np.abs(1 + u_A) ** 2 * v2 + 2 * (u_A.conj() * (1 + u_A) * v).real) / 2
    of_target_A = (u2 + (1 + 2 * u.real + u2) * np.abs(v_A) ** 2 + 2 * ((u.conjugate() + u2) * v_A).real) / 2
    value = float(np.sum(w_A * of_own_A))
    if chain_length == 0:
        return Measured(value, 0.0)
    errors = [
        widened(host_estimate(values_A, weights_A, chain_length).error, values_A, chain_length, weights_A)
        for values_A, weights_A in ((of_own_A, w_A), (of_target_A, w_target_A))
    ]
    return Measured(value, math.hypot(*errors))


def off_diagonal(operator: Operator) -> Operator:
    """The operator without its diagonal."""
    at = operator.at
    return operator._replace(
        diagonal=lambda s_N: jnp.zeros(()), at=None if at is None else lambda time: off_diagonal(at(time))
    )


def weighed(w_A: Array, log_A: Array) -> Array:
    """Weights times exp(log), normalised; 0 where either is."""
    top = jnp.max(jnp.where(w_A > 0, log_A, -jnp.inf))
    found = jnp.where(w_A > 0, w_A * jnp.exp(log_A - jnp.where(jnp.isfinite(top), top, 0.0)), 0)
    return found / jnp.sum(found)


def _largest(log_A: Array, w_A: Array) -> Array:
    top = jnp.max(jnp.where(w_A > 0, jnp.real(log_A), -jnp.inf))
    return jnp.where(jnp.isfinite(top), top, 0.0)


def _exp(log: Array) -> Array:
    """exp, 0 of what has the real part -inf whatever its phase."""
    return jnp.where(jnp.isneginf(jnp.real(log)), 0, jnp.exp(log))


def _log1p(u: Array) -> Array:
    """log(1 + u), with all digits of a small u; its real part at least FLOOR."""
    log = jnp.where(jnp.abs(u) < SERIES, u - u * u / 2.0, jnp.log(1.0 + u))
    return jax.lax.complex(jnp.maximum(jnp.real(log), FLOOR), jnp.imag(log))
