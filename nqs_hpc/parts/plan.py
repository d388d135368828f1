"""What ``auto`` chooses, from sizes alone."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nqs_hpc.config.schema import Config
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import rows_per_sample
from nqs_hpc.parallel.chunk import activations
from nqs_hpc.parts.shapes import parameter_shapes
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Ansatz, Tree
from nqs_hpc.update.cost import Size


class Plan(NamedTuple):
    """What ``auto`` chose, once, at step 0; kept in config.yaml and in every checkpoint, and reused on resume."""

    solver: str | None  # None for optimizers without one
    chunk_size: int | None
    blocks: int | None = None  # of the Jacobian; None for optimizers without one


def described(meta: dict[str, Any]) -> bool:
    """Whether a checkpoint's meta, as `run.record` writes it, holds what a start goes on from."""
    plan, seconds = meta.get("plan"), meta.get("seconds")
    return (
        isinstance(meta.get("physics"), dict)
        and isinstance(plan, dict)
        and {"solver", "chunk_size"} <= set(plan) <= set(Plan._fields)
        and (plan["solver"] is None or isinstance(plan["solver"], str))
        and all(plan.get(name) is None or (type(plan[name]) is int and plan[name] > 0) for name in _SIZES)
        and isinstance(seconds, int | float)
        and all(type(meta.get(name)) is int for name in ("n_ranks", "threads"))
    )


_SIZES = ("chunk_size", "blocks")


def make_plan(config: Config, ansatz: Ansatz, hilbert: Hilbert) -> Plan:
    """Decide what is ``auto`` from sizes and ``memory_gib`` alone: never from the rank count or a clock.

    solver: sr takes the cheapest of parameter space, sample space and matrix-free whose matrices fit in half the memory
    (`update.cost`); minsr Cholesky. blocks: as many as bring the Jacobian, twice over, down to half the memory; one
    where factors do instead of it. chunk_size: the largest power of two of samples whose activations (the tape of an
    ansatz that is differentiated layer by layer), and Jacobian rows where there are no factors, twice over, fit in an
    eighth of the memory; null where that is all samples.
    """
    memory = config.memory_gib * 2**30
    solving, held = config.task.solving(config.optimizer), 2
    if solving is not None and solving.needs_jacobian:
        ansatz, held = ansatz._replace(factors=None), 3  # and its columns once more, scaled
    factors = ansatz.factors
    params = parameter_shapes(ansatz)
    form = flat(params, ansatz.kind)
    itemsize = form.dtype.itemsize
    s_N = jax.ShapeDtypeStruct((hilbert.n_sites,), np.int8)
    n_samples = config.sampler.samples_a_step(hilbert) * (config.task.n_points if config.sampler.is_exact else 1)
    n_rows = n_samples * rows_per_sample(ansatz.kind)

    solver = None if solving is None else solving.asked_solver()
    if solver == "auto" and solving is not None:
        width = None
        if factors is not None:
            width = sum(part.size for part in jax.eval_shape(factors.parts, params, s_N))
        size = Size(n_rows, form.n_parameters, width, ansatz.kind == "holomorphic")
        wide = max(itemsize, np.dtype(config.precision.solve).itemsize * (2 if form.dtype.kind == "c" else 1))
        solver = solving.chosen_solver(size, wide, memory / 2)

    blocks: Any = None if solving is None else solving.asked_blocks()
    if blocks == "auto":
        whole = held * n_rows * form.n_parameters * itemsize
        blocks = 1 if factors is not None else max(1, math.ceil(whole / (memory / 2)))

    chunk: Any = config.chunk_size
    if chunk == "auto":
        cache = jax.eval_shape(lambda params, s_N: ansatz.prepare(ansatz.freeze(params), s_N), params, s_N)
        # of a sum over a group more than is evaluated at once
        in_cache = sum(leaf.size for leaf in jax.tree.leaves(cache))
        if ansatz.layered is None:
            made = of_one_more(ansatz, params, s_N)
        else:
            made = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(ansatz.layered.tape, params, s_N)))
        numbers = 2 * max(in_cache, made)
        if factors is None:
            numbers += 2 * rows_per_sample(ansatz.kind) * form.n_parameters
        chunk = 2 ** int(np.log2(max(1, memory / 8 / (numbers * itemsize))))
        if chunk >= n_samples:
            chunk = None
    return Plan(solver, chunk, blocks)


def of_one_more(ansatz: Ansatz, params: Tree, s_N: Any) -> int:
    """The numbers that log psi of one more configuration makes, or its gradient where there are no factors to have it
    from: without those that all of them share.
    """
    function = ansatz.log_psi
    if ansatz.factors is None:
        function = jax.grad(lambda params, s_N: jnp.real(ansatz.log_psi(params, s_N)))
    mapped = jax.vmap(function, in_axes=(None, 0))
    two, three = (
        activations(jax.make_jaxpr(mapped)(params, jax.ShapeDtypeStruct((n, *s_N.shape), s_N.dtype)).jaxpr)
        for n in (2, 3)
    )
    return three - two
