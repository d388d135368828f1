"""MARCH: the momentum of SPRING in a metric of the past fluctuations of each parameter.

With X the weighted, centred Jacobian, eps the residuals and phi = mu d_(k-1),

    d_k = argmin_d ||X d - eps||^2 + lambda ||V_k^(1/4) (d - phi)||^2
        = V_k^(-1/2) X^dagger (X V_k^(-1/2) X^dagger + lambda)^-1 (eps - X phi) + phi,

    V_(k+1) = beta V_k + (1 - beta) |d_k - d_(k-1)|^2  for each parameter, divided by 1 - beta^k as in Adam.

Gu, Li, Lin, Zhan et al. 2025, "Solving the Hubbard model with neural quantum states" (arXiv:2507.02644); SPRING:
Goldshlager, Abrahamsen and Lin 2024 (arXiv:2401.10190). In the first step V is 1, so that it is minSR's. A sum in
place of the mean of squares multiplies V by a constant, which lambda takes up. Parameters that hardly moved have their
V^(1/2) raised to ``FLOOR`` times the mean: a weight is at most 1 / FLOOR times the typical one.

The weights do not factorise over the two vectors whose product is the log-derivative of a dense layer, so the kernel
needs a Jacobian, of ansaetze with factors too; where it does not fit it comes in blocks (`gradient.sample_space`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.flat import flat
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Ansatz, Batch, Tree, Update
from nqs_hpc.update.minsr import in_samples
from nqs_hpc.update.step_size import Schedule, promised, scaled

FLOOR = 1e-4


class Moments(NamedTuple):
    """The state; the same on every rank."""

    last_P: Array  # d_(k-1), of the dtype of the flat parameters
    square_P: Array  # V without its correction, real
    steps: Array  # int32, how many steps are in it


def metric(moments: Moments, beta: float) -> Array:
    """(P,) V^(-1/2), of the real dtype of V."""
    correction = 1.0 - beta ** moments.steps.astype(moments.square_P.dtype)
    root_P = jnp.sqrt(moments.square_P / jnp.where(moments.steps > 0, correction, 1.0))
    root_P = jnp.maximum(root_P, FLOOR * jnp.mean(root_P))
    return jnp.where(root_P > 0, 1.0 / jnp.where(root_P > 0, root_P, 1.0), 1.0)


def march(
    ansatz: Ansatz,
    comm: Comm,
    *,
    learning_rate: Schedule,
    momentum: float,
    beta: float,
    max_norm: float | None = None,
    predict: bool = False,
    **options: Any,
) -> Update:
    """``momentum``: mu; ``beta``: decay of V. ``options`` are those of `update.minsr.in_samples`, as are the
    collectives from a Jacobian. ``predict``: info has the change of energy that the step promises.
    """
    project = in_samples(ansatz, comm, momentum=momentum, **options)

    def init(params: Tree) -> Moments:
        theta_P = flat(params, ansatz.kind).ravel(params)
        return Moments(jnp.zeros_like(theta_P), jnp.zeros_like(theta_P.real), jnp.int32(0))

    def step(params: Tree, state: Moments, batch: Batch, step: Array, scale: Array):
        direction_P, force_P, info = project(params, batch, step, state.last_P, metric(state, beta))
        delta_P, sizes = scaled(direction_P, learning_rate=learning_rate, step=step, scale=scale, max_norm=max_norm)
        info |= (
            sizes | {"grad_norm": jnp.linalg.norm(force_P).astype(jnp.float64)} | promised(force_P, delta_P, predict)
        )
        moved_P = jnp.abs(direction_P - state.last_P) ** 2
        square_P = beta * state.square_P + (1.0 - beta) * moved_P
        return flat(params, ansatz.kind).unravel(delta_P), Moments(direction_P, square_P, state.steps + 1), info

    return Update(init, step)
