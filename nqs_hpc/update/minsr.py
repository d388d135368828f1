"""Stochastic reconfiguration in sample space (minSR), with the momentum of SPRING.

With X the weighted, centred Jacobian and eps the residuals, (X^dagger X + lambda)^-1 X^dagger eps equals

    d = X^dagger (X X^dagger + lambda)^-1 eps,

a system of one equation a sample row: Chen & Heyl 2024 (arXiv:2302.01941), Rende et al. 2024 (arXiv:2310.05715).
SPRING (Goldshlager, Abrahamsen & Lin 2024, arXiv:2401.10190) keeps the last direction where the samples do not speak:

    d_k = X^dagger (X X^dagger + lambda)^-1 (eps - mu X d_(k-1)) + mu d_(k-1).

MARCH, which adds a metric, is `update.march`. How X X^dagger and X^dagger y come about over ranks is
`gradient.sample_space`; every rank solves the same system, or all of them solve it together (`update.over_ranks`).
"""

from __future__ import annotations

from typing import Any, Literal

import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.by_coupling import energies_A
from nqs_hpc.gradient.flat import flat, widened
from nqs_hpc.gradient.jacobian import residuals, rows_per_sample
from nqs_hpc.gradient.planes import product
from nqs_hpc.gradient.sample_space import sample_space
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.cyclic import Layout
from nqs_hpc.types import Ansatz, Batch, Projected, Projection, Tree, Update
from nqs_hpc.update import nystrom, over_ranks
from nqs_hpc.update.cost import exact
from nqs_hpc.update.over_ranks import layout_of
from nqs_hpc.update.solvers import cholesky, pseudo_inverse
from nqs_hpc.update.spectral import Cut, error_of_sums, filtered
from nqs_hpc.update.step_size import Schedule, promised, scaled, value


def in_samples(
    ansatz: Ansatz,
    comm: Comm,
    *,
    diag_shift: Schedule,
    solver: Literal["auto", "cholesky", "eigh", "distributed", "cg", "filter"],
    rcond: float = 1e-12,
    cut: Cut | None = None,
    momentum: float | None = None,
    cg_tolerance: float = 1e-8,
    cg_max_iterations: int = 500,
    preconditioner: int | Literal["auto"] | None = "auto",
    chunk: int | None = None,
    blocks: int = 1,
    solve_dtype: str = "float64",
) -> Projection:
    """The direction of minSR; with ``momentum`` that of SPRING, of the last one. ``filter`` takes X X^dagger as ``cut``
    says (`update.spectral`), with the shift. ``distributed`` is Cholesky by all ranks together, each with rows of
    X X^dagger, whose step is not finite where X X^dagger + lambda is not positive definite; ``auto`` is what
    `cost.exact` says of the rows. ``cg`` has each rank make such rows and multiply by them (`update.nystrom`, where
    ``preconditioner`` is explained). A ``metric_P`` (P,) M of the parameters, real, makes the direction
    M X^dagger (X M X^dagger + lambda)^-1 (..), for `update.march`.

    Collectives: four from factors, three from a stored Jacobian, ``blocks`` + 2 from blocks of one. ``distributed`` and
    ``cg``: those of `sample_space` by rows, those of `over_ranks.solve` or `nystrom.conjugate_gradient`, and one.
    """

    def project(
        params: Tree, batch: Batch, step: Array, last_P: Array | None = None, metric_P: Array | None = None
    ) -> Projected:
        form = flat(params, ansatz.kind)
        n_rows = len(batch.w_A) * rows_per_sample(ansatz.kind)
        chosen = exact(n_rows) if solver == "auto" else solver
        by_rows = layout_of(n_rows, comm) if chosen in ("distributed", "cg") else None
        kind: dict[str, Any] = {"layout": by_rows, "whole": chosen == "cg", "metric_P": metric_P}
        space = sample_space(ansatz, form, params, batch, comm, v_P=last_P, chunk=chunk, blocks=blocks, **kind)
        eps_A = residuals(ansatz.kind, batch.e_loc_A, batch.w_A, energies_A(batch)).astype(form.dtype)
        rhs = eps_A if space.image is None or momentum is None else eps_A - momentum * space.image

        kernel, rhs = widened(space.kernel, solve_dtype), widened(rhs, solve_dtype)
        shift = value(diag_shift, step).astype(solve_dtype)
        if chosen == "distributed" and by_rows is not None:
            y_A, info = over_ranks.solve(kernel, rhs, shift, by_rows, batch.rank, comm)
        elif chosen == "distributed":
            y_A, info = over_ranks.of_whole(kernel, rhs, shift)
        elif solver == "filter":
            assert cut is not None
            n = rows_per_sample(ansatz.kind) * cut.chain_length

            def sigma(vectors: Array) -> Array:
                terms = vectors.conj() * rhs[:, None]
                return error_of_sums(jnp.sum(terms.reshape(-1, n, terms.shape[1]), axis=1))

            cut_now = cut._replace(shift=shift)
            y_A, info = filtered(kernel, rhs, cut_now, sigma if cut.chain_length else None)
        elif solver == "cg":
            lay = by_rows or Layout(n_rows, 1, n_rows)
            if by_rows is None:  # whole, of which the upper triangle counts
                kernel = jnp.where(jnp.tri(n_rows, k=-1, dtype=bool), kernel.conj().T, kernel)
            y_A, info = nystrom.conjugate_gradient(
                lambda v_A: product(kernel, lay.pad(v_A)),
                rhs,
                shift,
                lay,
                comm,
                rank=batch.rank,
                step=step,
                sketch=nystrom.columns(preconditioner, n_rows),
                tolerance=cg_tolerance,
                max_iterations=cg_max_iterations,
            )
        else:
            solve = cholesky if chosen == "cholesky" else pseudo_inverse
            y_A, info = solve(kernel, rhs, shift, rcond)

        # the force rides along: its norm is logged
        direction_P, force_P = space.adjoint(jnp.stack([y_A.astype(form.dtype), eps_A]))
        if metric_P is not None:
            direction_P = metric_P * direction_P
        if last_P is not None and momentum is not None:
            direction_P = direction_P + momentum * last_P
        return Projected(direction_P, force_P, info)

    return project


def minsr(
    ansatz: Ansatz,
    comm: Comm,
    *,
    learning_rate: Schedule,
    max_norm: float | None = None,
    momentum: float | None = None,
    predict: bool = False,
    **options: Any,
) -> Update:
    """Steps along `in_samples`, which takes the ``options``. The state is the last direction, () without momentum.
    ``predict``: info has the change of energy that the step promises.
    """
    project = in_samples(ansatz, comm, momentum=momentum, **options)

    def init(params: Tree) -> tuple:
        if momentum is None:
            return ()
        theta_P = flat(params, ansatz.kind).ravel(params)
        return (jnp.zeros_like(theta_P),)

    def step(params: Tree, state: tuple, batch: Batch, step: Array, scale: Array):
        direction_P, force_P, info = project(params, batch, step, state[0] if momentum is not None else None)
        delta_P, sizes = scaled(direction_P, learning_rate=learning_rate, step=step, scale=scale, max_norm=max_norm)
        info |= (
            sizes | {"grad_norm": jnp.linalg.norm(force_P).astype(jnp.float64)} | promised(force_P, delta_P, predict)
        )
        state = () if momentum is None else (direction_P,)
        return flat(params, ansatz.kind).unravel(delta_P), state, info

    return Update(init, step)
