"""The velocity of the parameters in time: samples, local energies, a projection, and how well it does.

    S dtheta/dt = -x F,   x = i in real time, 1 in imaginary time,

which is the least-squares problem min ||X dtheta/dt + x eps||^2 (McLachlan's principle for real parameters): the
projection that ground states take (`update.sr`, `update.minsr`), of x times the local energies. Carleo et al. 2012,
doi:10.1038/srep00243; Yuan et al. 2019, arXiv:1812.08767. With

    r^2 = Var(O dtheta/dt + x E_loc) / Var(E_loc)

the state leaves the true one at most at the rate sqrt(r^2 Var(H)), a distance in Hilbert space a unit of time. Over the
samples that made the velocity r^2 is too small: it vanishes if there are as many parameters as samples. So the
velocity of one half of the chains is tried on the other (Hofmann et al., SciPost Phys. 12, 165 (2022),
arXiv:2105.01054), and its distance from that of all samples is the noise of the latter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import rows_per_sample
from nqs_hpc.gradient.rows import uncentred
from nqs_hpc.operators.local_values import MEMORY
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.tasks.measurement import Shared
from nqs_hpc.types import Ansatz, Batch, Estimate, Operator, Projection, Sampler, Samples, Tree


class Examined(NamedTuple):
    """How good a velocity is; the same on every rank."""

    r2: Array  # of samples that did not make it, if sums are not exact; 0 if Var(E_loc) is 0
    speed: Array  # ||dtheta/dt||_S, a distance in Hilbert space a unit of time
    noise: Array  # standard error of the velocity in the same norm; 0 of exact sums


class Velocity(NamedTuple):
    """Compiled functions. Times are numbers of the host."""

    fresh_chains: Callable[[np.ndarray], Tree]  # key
    draw: Callable[[np.ndarray, Tree, Tree], tuple[Tree, Samples, dict[str, Array]]]  # key, params, chains
    evaluate: Callable[[Tree, Samples, dict[str, Array], float], tuple[Batch, Shared]]  # params, samples, counts, time
    project: Callable[[Tree, Batch], tuple[Array, dict[str, Array]]]  # params, batch -> dtheta/dt (P,), info
    examine: Callable[[Tree, Batch, Array], Examined]  # params, batch, dtheta/dt
    length: Callable[[Tree, Batch, Array], Array]  # params, batch, v_P -> ||v||_S
    programs: Callable[[Tree, Tree], list[Program]]  # shapes of params and chains -> the large ones
    jitted: tuple[Any, ...]


def velocity(
    ansatz: Ansatz,
    operator: Operator,
    sampler: Sampler,
    projection: Projection,
    comm: Comm,
    *,
    factor: complex,
    chunk: int | None,
    memory: int = MEMORY,
) -> Velocity:
    """``factor``: x of the equation of motion."""
    rank = np.int32(comm.rank)
    is_exact = sampler.chain_length == 0
    draw, fresh_chains = jax.jit(sampler.sample), jax.jit(sampler.init)
    options: dict[str, Any] = {"chain_length": sampler.chain_length, "chunk": chunk, "memory": memory}
    options |= {"weighted": sampler.weighted}
    evaluate_jit = jax.jit(evaluation(ansatz, operator, comm, **options))
    x = factor.real if factor.imag == 0 else factor

    def projected(params: Tree, batch: Batch) -> tuple[Array, dict[str, Array]]:
        mean = batch.estimate._replace(mean=x * batch.estimate.mean)
        turned = batch._replace(e_loc_B=x * batch.e_loc_B, e_loc_A=x * batch.e_loc_A, estimate=mean)
        found = projection(params, turned, jnp.int32(0))
        info = found.info | {"force_norm": jnp.linalg.norm(found.force_P).astype(jnp.float64)}
        return -found.direction_P, info

    # The batch of half the chains is smaller, hence another program.
    project, project_half = jax.jit(projected), jax.jit(lambda params, half: projected(params, half)[0])
    halve = jax.jit(lambda batch: _half(batch, sampler))

    @jax.jit
    def examined(params: Tree, batch: Batch, velocity_P: Array, half_P: Array) -> Examined:
        changes = _changes(ansatz, params, batch.samples.s_BN, [velocity_P, half_P - velocity_P], chunk)
        w_B = batch.samples.w_B
        e_B, other_B = batch.e_loc_B - batch.estimate.mean, w_B * ~_in_half(batch, sampler)
        others = w_B if is_exact else other_B
        of_half = changes[0] if is_exact else changes[0] + changes[1]
        left_B = of_half + x * e_B
        sums = [*_sums(others, left_B), *_sums(others, e_B)[1:], *_sums(w_B, changes[0]), *_sums(w_B, changes[1])[1:]]
        left, energy, speed, noise = _variances(comm.sum(jnp.stack(sums)))
        r2 = jnp.where(energy > 0, left / jnp.where(energy > 0, energy, 1.0), 0.0)
        return Examined(r2, jnp.sqrt(speed), jnp.sqrt(noise))

    def examine(params: Tree, batch: Batch, velocity_P: Array) -> Examined:
        half_P = velocity_P if is_exact else project_half(params, halve(batch))
        return examined(params, batch, velocity_P, half_P)

    @jax.jit
    def length(params: Tree, batch: Batch, v_P: Array) -> Array:
        (change_B,) = _changes(ansatz, params, batch.samples.s_BN, [v_P], chunk)
        total, real, imaginary, square = comm.sum(jnp.stack(_sums(batch.samples.w_B, change_B)))
        return jnp.sqrt(jnp.maximum(square / total - (real**2 + imaginary**2) / total**2, 0.0))

    def evaluate(params: Tree, samples: Samples, counts: dict[str, Array], time: float) -> tuple[Batch, Shared]:
        return evaluate_jit(params, samples, counts, rank, np.float64(time))

    def programs(params: Tree, chains: Tree) -> list[Program]:
        key, time = jax.ShapeDtypeStruct((2,), np.uint32), jax.ShapeDtypeStruct((), np.float64)
        _, samples, counts = jax.eval_shape(draw, key, params, chains)
        batch, _ = jax.eval_shape(evaluate_jit, params, samples, counts, rank, time)
        v_P, _ = jax.eval_shape(project, params, batch)
        half = jax.eval_shape(halve, batch)
        return [
            Program(project, (params, batch)),
            *[Program(project_half, (params, half))] * (not is_exact),
            Program(evaluate_jit, (params, samples, counts, rank, time)),
            Program(draw, (key, params, chains)),
            Program(examined, (params, batch, v_P, v_P)),
        ]

    return Velocity(
        lambda key: fresh_chains(key, rank),
        draw,
        evaluate,
        project,
        examine,
        length,
        programs,
        (draw, fresh_chains, evaluate_jit, project, examined, length, *[halve, project_half] * (not is_exact)),
    )


def _changes(ansatz: Ansatz, params: Tree, s_BN: Array, vectors: list[Array], chunk: int | None) -> list[Array]:
    """(B,) O v of each vector: d log psi(s) / dt where the parameters move by v."""
    form = flat(params, ansatz.kind)
    raw = uncentred(ansatz, form, params, s_BN, chunk, form.dtype.type(0).real.dtype.name)
    if rows_per_sample(ansatz.kind) == 1:
        return [raw.times(v_P) for v_P in vectors]
    pairs = [raw.times(v_P).reshape(-1, 2) for v_P in vectors]
    return [jax.lax.complex(pair[:, 0], pair[:, 1]) for pair in pairs]


def _sums(w_B: Array, value_B: Array) -> list[Array]:
    """sum w, sum w Re z, sum w Im z, sum w |z|^2; what has no weight counts as 0."""
    value_B = jnp.where(w_B > 0, value_B, 0)
    return [
        jnp.sum(w_B),
        jnp.sum(w_B * jnp.real(value_B)),
        jnp.sum(w_B * jnp.imag(value_B)),
        jnp.sum(w_B * jnp.abs(value_B) ** 2),
    ]


def _variances(sums: Array) -> list[Array]:
    """Of four values, the first two with one sum of weights, the last two with another."""

    def one(total: Array, of: Array) -> Array:
        return jnp.maximum(of[2] / total - (of[0] ** 2 + of[1] ** 2) / total**2, 0.0)

    a, b = sums[0], sums[7]
    return [one(a, sums[1:4]), one(a, sums[4:7]), one(b, sums[8:11]), one(b, sums[11:14])]


def _in_half(batch: Batch, sampler: Sampler) -> Array:
    """(B,) whether each of this rank's samples is of a chain with an even number."""
    first = batch.rank * len(batch.samples.w_B)
    return _even(first + jnp.arange(len(batch.samples.w_B)), sampler)


def _even(sample: Array, sampler: Sampler) -> Array:
    return sample // max(sampler.chain_length, 1) % 2 == 0


def _half(batch: Batch, sampler: Sampler) -> Batch:
    """The batch of the chains with even numbers. Where a rank has an odd number of chains the others stay in it, with
    weight 0, for all ranks hold as many samples.
    """
    length = max(sampler.chain_length, 1)
    of_rank = len(batch.samples.w_B) // length
    w_A = batch.w_A * _even(jnp.arange(len(batch.w_A)), sampler)
    total = jnp.sum(w_A)
    w_B = batch.samples.w_B * _in_half(batch, sampler) / total
    samples, e_loc_B, e_loc_A, w_A = batch.samples._replace(w_B=w_B), batch.e_loc_B, batch.e_loc_A, w_A / total
    if of_rank % 2 == 0:

        def picked(of_samples: Array) -> Array:
            pairs = of_samples.reshape(-1, 2, length, *of_samples.shape[1:])
            return pairs[:, 0].reshape(-1, *of_samples.shape[1:])

        samples, e_loc_B, e_loc_A, w_A = jax.tree.map(picked, (samples, e_loc_B, e_loc_A, w_A))
    mean = jnp.sum(w_A * e_loc_A)
    variance = jnp.sum(w_A * jnp.abs(e_loc_A - mean) ** 2)
    found = Estimate(mean, batch.estimate.error, variance)
    return Batch(batch.rank, samples, e_loc_B, e_loc_A, w_A, found, batch.counts)
