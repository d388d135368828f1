"""Stochastic reconfiguration in sample space (minSR), with the momentum of SPRING.

With X the weighted, centred Jacobian and eps the residuals, (X^dagger X + lambda)^-1 X^dagger eps equals

    d = X^dagger (X X^dagger + lambda)^-1 eps,

a system of one equation a sample row: Chen & Heyl 2024 (arXiv:2302.01941), Rende et al. 2024 (arXiv:2310.05715).
SPRING (Goldshlager, Abrahamsen & Lin 2024, arXiv:2401.10190) keeps the last direction where the samples do not speak:

    d_k = X^dagger (X X^dagger + lambda)^-1 (eps - mu X d_(k-1)) + mu d_(k-1).

Over ranks: each has all parameters of its samples and needs all samples of its share of the parameters, (#samples, P)
-> (samples, #P) in one all-to-all; then means and kernels are local sums over parameters, reduced once.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import centre, jacobian, residuals, row_means, rows_per_sample, weigh
from nqs_hpc.gradient.qgt import pack, unpack
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Ansatz, Batch, Tree, Update
from nqs_hpc.update.solvers import cholesky, pseudo_inverse, widened
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
    solve_dtype: str = "float64",
) -> Update:
    """minSR. Collectives a step: all-to-all of the Jacobian, sum of the packed kernel, gather of the direction.

    The state is the last direction, () without momentum.
    """

    def init(params: Tree) -> tuple:
        if momentum is None:
            return ()
        theta_P = flat(params, ansatz.kind).ravel(params)
        return (jnp.zeros_like(theta_P),)

    def step(params: Tree, state: tuple, batch: Batch, step: Array, scale: Array):
        form = flat(params, ansatz.kind)
        n_parameters = form.n_parameters
        share = -(-n_parameters // comm.size)

        def my_share(v_P: Array) -> Array:
            padded = jnp.pad(v_P, (0, share * comm.size - n_parameters))
            return padded.reshape(comm.size, share)[comm.rank]

        jac = jacobian(ansatz, form, params, batch.samples.s_BN, chunk)
        jac = jnp.pad(jac, ((0, 0), (0, share * comm.size - n_parameters)))
        # (#rows, P) -> (rows, #P); rank order is the order of chains, as in e_loc_A
        blocks = comm.all_to_all(jac.reshape(-1, comm.size, share).transpose(1, 0, 2))
        jac_block = blocks.reshape(-1, share)

        w_rows = weigh(ansatz.kind, batch.w_A)
        x_block = centre(jac_block, w_rows, row_means(jac_block, w_rows, rows_per_sample(ansatz.kind)))
        eps_A = residuals(ansatz.kind, batch.e_loc_A, batch.w_A, batch.estimate.mean).astype(x_block.dtype)
        last_block = my_share(state[0]) if momentum is not None else jnp.zeros_like(x_block[0])

        n_rows = len(eps_A)
        buffer = pack(x_block @ x_block.conj().T)
        if momentum is not None:
            buffer = jnp.concatenate([buffer, x_block @ last_block])
        buffer = comm.sum(buffer)
        kernel = unpack(buffer[: n_rows * (n_rows + 1) // 2], n_rows)
        rhs = eps_A if momentum is None else eps_A - momentum * buffer[-n_rows:]

        solve = cholesky if solver == "cholesky" else pseudo_inverse
        shift = value(diag_shift, step).astype(solve_dtype)
        y_A, info = solve(widened(kernel, solve_dtype), widened(rhs, solve_dtype), shift, rcond)

        d_block = x_block.conj().T @ y_A.astype(x_block.dtype)
        if momentum is not None:
            d_block = d_block + momentum * last_block
        # the force rides along: its norm is logged
        gathered = comm.gather(jnp.stack([d_block, x_block.conj().T @ eps_A]))
        direction_P, force_P = gathered.transpose(1, 0, 2).reshape(2, -1)[:, :n_parameters]

        delta_P, sizes = scaled(direction_P, learning_rate=learning_rate, step=step, scale=scale, max_norm=max_norm)
        info |= sizes | {"grad_norm": jnp.linalg.norm(force_P).astype(jnp.float64)}
        return form.unravel(delta_P), (() if momentum is None else (direction_P,)), info

    return Update(init, step)
