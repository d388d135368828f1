"""Stochastic reconfiguration in sample space (minSR), with the momentum of SPRING.

With X the weighted, centred Jacobian and eps the residuals, (X^dagger X + lambda)^-1 X^dagger eps equals

    d = X^dagger (X X^dagger + lambda)^-1 eps,

a system of one equation a sample row: Chen & Heyl 2024 (arXiv:2302.01941), Rende et al. 2024 (arXiv:2310.05715).
SPRING (Goldshlager, Abrahamsen & Lin 2024, arXiv:2401.10190) keeps the last direction where the samples do not speak:

    d_k = X^dagger (X X^dagger + lambda)^-1 (eps - mu X d_(k-1)) + mu d_(k-1).

How X X^dagger and X^dagger y come about over ranks is `gradient.sample_space`; every rank solves the same system.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.flat import flat, widened
from nqs_hpc.gradient.jacobian import residuals
from nqs_hpc.gradient.sample_space import sample_space
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Ansatz, Batch, Tree, Update
from nqs_hpc.update.solvers import cholesky, pseudo_inverse
from nqs_hpc.update.step_size import Schedule, scaled, value


def minsr(
    ansatz: Ansatz,
    comm: Comm,
    *,
    learning_rate: Schedule,
    diag_shift: Schedule,
    solver: Literal["cholesky", "eigh"],
    rcond: float = 1e-12,
    momentum: float | None = None,
    max_norm: float | None = None,
    chunk: int | None = None,
    blocks: int = 1,
    solve_dtype: str = "float64",
) -> Update:
    """minSR. Collectives a step: four from factors, three from a stored Jacobian, ``blocks`` + 2 from blocks of one.

    The state is the last direction, () without momentum.
    """

    def init(params: Tree) -> tuple:
        if momentum is None:
            return ()
        theta_P = flat(params, ansatz.kind).ravel(params)
        return (jnp.zeros_like(theta_P),)

    def step(params: Tree, state: tuple, batch: Batch, step: Array, scale: Array):
        form = flat(params, ansatz.kind)
        last_P = state[0] if momentum is not None else None
        space = sample_space(ansatz, form, params, batch, comm, v_P=last_P, chunk=chunk, blocks=blocks)
        eps_A = residuals(ansatz.kind, batch.e_loc_A, batch.w_A, batch.estimate.mean).astype(form.dtype)
        rhs = eps_A if space.image is None or momentum is None else eps_A - momentum * space.image

        solve = cholesky if solver == "cholesky" else pseudo_inverse
        shift = value(diag_shift, step).astype(solve_dtype)
        y_A, info = solve(widened(space.kernel, solve_dtype), widened(rhs, solve_dtype), shift, rcond)

        # the force rides along: its norm is logged
        direction_P, force_P = space.adjoint(jnp.stack([y_A.astype(form.dtype), eps_A]))
        if last_P is not None:
            direction_P = direction_P + momentum * last_P
        delta_P, sizes = scaled(direction_P, learning_rate=learning_rate, step=step, scale=scale, max_norm=max_norm)
        info |= sizes | {"grad_norm": jnp.linalg.norm(force_P).astype(jnp.float64)}
        return form.unravel(delta_P), (() if momentum is None else (direction_P,)), info

    return Update(init, step)
