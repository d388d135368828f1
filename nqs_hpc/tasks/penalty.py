"""Excited states by penalties on overlaps with states that are known.

The lowest energy of H + sum_j lambda_j P_j, with P_j = |phi_j><phi_j| / <phi_j|phi_j>, is that of the next level above
the phi_j, where these are eigenstates of H and each lambda_j is larger than the distance of that level from the energy
of phi_j. The penalty is the expectation value of an operator, so it enters through its local value,

    P_loc(s) = (phi(s) / psi(s)) E_(y ~ |phi|^2)[psi(y) / phi(y)],

and everything that follows from local energies follows from H_loc + sum_j lambda_j P_loc,j: the gradient, the natural
gradient, and that nothing fluctuates at the solution. The fidelity |<psi|phi>|^2 / (<psi|psi> <phi|phi>) is the mean of
P_loc over |psi|^2. The two means are of independent chains, so their product has no bias.

Overlaps through both ratios: Choo, Carleo, Regnault and Neupert, Phys. Rev. Lett. 121, 167204 (2018), arXiv:1807.03325.
Penalties on them: Pathak, Busemeyer, Rodrigues and Wagner, J. Chem. Phys. 154, 034101 (2021); with neural wave
functions Entwistle, Schaetzle, Erdman, Hermann and Noe, Nat. Commun. 14, 274 (2023), arXiv:2203.09472.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.operators.local_values import MEMORY, local_energies
from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.chains import widened
from nqs_hpc.stats.estimate import estimate
from nqs_hpc.stats.host import host_estimate
from nqs_hpc.tasks.measurement import Shared, gathered
from nqs_hpc.types import Ansatz, Batch, Operator, Sampler, Samples, Tree


class Lower(NamedTuple):
    """A wave function phi that stays as it is, and the penalty of the overlap with it."""

    ansatz: Ansatz
    sampler: Sampler  # of |phi|^2
    penalty: float  # lambda, in the unit of the energy


class Drawn(NamedTuple):
    """Samples of this rank: of |psi|^2, and of each |phi_j|^2 with the parameters of phi_j."""

    own: Samples
    lower: tuple[Samples, ...]
    params: tuple[Tree, ...]


class Overlaps(NamedTuple):
    """What overlaps are made from, of all ranks, chain by chain; J wave functions phi."""

    e_loc_A: Array  # only of H
    log_own_JA: Array  # complex128, log phi(s) / psi(s) of the samples of |psi|^2
    log_lower_JA: Array  # log psi(y) / phi(y) of the samples of |phi|^2
    w_lower_JA: Array  # their weights


class Fidelity(NamedTuple):
    value: float  # |<psi|phi>|^2 / (<psi|psi> <phi|phi>); an estimate, so it can be a little below 0 or above 1
    error: float  # standard error; 0 of exact sums


def penalised(
    ansatz: Ansatz,
    operator: Operator,
    lower: Sequence[Lower],
    comm: Comm,
    *,
    chain_length: int,
    chunk: int | None,
    memory: int = MEMORY,
    weighted: bool = False,
) -> Callable[..., tuple[Batch, Shared]]:
    """``(params, drawn, counts, rank=own) -> (Batch, Shared)`` as `tasks.evaluation`, of H + sum_j lambda_j P_j; two
    gathers. ``Shared.overlaps`` has the local energies of only H, and the ratios.
    """
    e_loc = local_energies(ansatz, operator, chunk=chunk, memory=memory)
    is_real = all(kind in ("real", "signed") for kind in (ansatz.kind, *(one.ansatz.kind for one in lower)))

    def log_values(of: Ansatz, params: Tree, s_BN: Array) -> Array:
        return chunked_map(lambda s_N: of.log_psi(params, s_N), s_BN, chunk).astype(jnp.complex128)

    def evaluate(
        params: Tree, drawn: Drawn, counts: dict[str, Array], rank: Array | int = comm.rank
    ) -> tuple[Batch, Shared]:
        samples = drawn.own
        energy_B = e_loc(ansatz.freeze(params), samples.s_BN)
        log_psi_B = log_values(ansatz, params, samples.s_BN)
        ratios, columns = [], []
        for one, fixed, beside in zip(lower, drawn.params, drawn.lower, strict=True):
            ratios.append(log_values(one.ansatz, fixed, samples.s_BN) - log_psi_B)
            back_B = log_values(ansatz, params, beside.s_BN) - log_values(one.ansatz, fixed, beside.s_BN)
            back_B = jnp.where(beside.w_B > 0, back_B, 0)
            columns += [beside.w_B, jnp.real(back_B), jnp.imag(back_B)]
        own, w_A, (energy_A, *ratios_A), shared = gathered(comm, params, samples, counts, [energy_B, *ratios])
        stacked = comm.gather(jnp.stack(columns))  # (#R, 3 J, B) -> (3 J, A)
        stacked = stacked.transpose(1, 0, 2).reshape(len(columns), -1)
        w_JA, back_JA = stacked[0::3], jax.lax.complex(stacked[1::3], stacked[2::3])

        whole_B, whole_A = own[0], energy_A
        for j, one in enumerate(lower):
            top, low = _largest(ratios_A[j], w_A), _largest(back_JA[j], w_JA[j])
            mean = jnp.sum(w_JA[j] * jnp.where(w_JA[j] > 0, jnp.exp(back_JA[j] - low), 0))
            factor = one.penalty * mean * jnp.exp(top + low)

            def local(ratio: Array, factor: Array = factor, top: Array = top) -> Array:
                value = factor * jnp.exp(ratio - top)
                return jnp.real(value) if is_real else value

            whole_B = whole_B + jnp.where(samples.w_B > 0, local(own[1 + j]), 0)
            whole_A = whole_A + jnp.where(w_A > 0, local(ratios_A[j]), 0)
        found = estimate(whole_A, w_A, chain_length, weighted)
        batch = Batch(jnp.asarray(rank, jnp.int32), samples, whole_B, whole_A, w_A, found, shared.counts)
        return batch, shared._replace(overlaps=Overlaps(energy_A, jnp.stack(ratios_A), back_JA, w_JA))

    return evaluate


def of_energy(batch: Batch, shared: Shared, chain_length: int, weighted: bool) -> Batch:
    """The batch with the local energies of only H."""
    assert shared.overlaps is not None
    energy_A = shared.overlaps.e_loc_A
    return batch._replace(e_loc_A=energy_A, estimate=_estimate_jit(energy_A, batch.w_A, chain_length, weighted))


def fidelities(calls: Sequence[Overlaps], weights: Sequence[Any], sampler: Sampler) -> list[Fidelity]:
    """The fidelity with each phi, from the samples of one or more calls of the samplers; ``weights``: w_A of each."""
    found = []
    for j in range(len(calls[0].log_own_JA)):
        own = [np.asarray(call.log_own_JA)[j] for call in calls]
        back = [np.asarray(call.log_lower_JA)[j] for call in calls]
        w_lower = [np.asarray(call.w_lower_JA)[j] for call in calls]
        found.append(_fidelity(own, [np.asarray(w_A) for w_A in weights], back, w_lower, sampler))
    return found


def overlap_line(found: Sequence[Fidelity]) -> dict[str, float]:
    """The fidelities as a line of metrics.jsonl has them."""
    line: dict[str, float] = {}
    for j, one in enumerate(found):
        line |= {f"overlap_{j}": one.value, f"overlap_{j}_error": one.error}
    return line


def _fidelity(
    own: list[np.ndarray], w: list[np.ndarray], back: list[np.ndarray], w_lower: list[np.ndarray], sampler: Sampler
) -> Fidelity:
    from nqs_hpc.tasks.final import in_chains

    scale, sides = 0.0, []
    for logs, weights in ((own, w), (back, w_lower)):
        log_A, weights_A, length = in_chains(logs, weights, sampler)
        top = np.max(log_A.real, where=weights_A > 0, initial=-np.inf)
        if not np.isfinite(top):  # no sample of one is where the other is not 0, or some are not finite
            return Fidelity(0.0 if top < 0 else float("nan"), 0.0 if length == 0 else float("nan"))
        ratio_A = np.where(weights_A > 0, np.exp(log_A - top), 0)
        sides.append((ratio_A, weights_A, length, host_estimate(ratio_A, weights_A, length)))
        scale += float(top)
    a, b = (one.mean for *_, one in sides)
    # of Re a b to first order, and the product of both deviations, which counts where the overlap is 0
    errors = []
    for (ratio_A, weights_A, length, _), other in zip(sides, (b, a), strict=True):
        values_A = (ratio_A * other).real
        errors.append(widened(host_estimate(values_A, weights_A, length).error, values_A, length, weights_A))
    is_real = all(np.ptp(ratio_A.imag) == 0 for ratio_A, *_ in sides)
    errors.append(sides[0][3].error * sides[1][3].error / (1 if is_real else np.sqrt(2)))
    return Fidelity(float((a * b).real * np.exp(scale)), float(np.linalg.norm(errors) * np.exp(scale)))


def _largest(log_A: Array, w_A: Array) -> Array:
    """The largest real part among states with a weight, 0 where none is finite."""
    top = jnp.max(jnp.where(w_A > 0, jnp.real(log_A), -jnp.inf))
    return jnp.where(jnp.isfinite(top), top, 0.0)


_estimate_jit = jax.jit(estimate, static_argnums=(2, 3))
