"""Stochastic reconfiguration in parameter space: theta <- theta - eta (S + lambda)^-1 F.

Sorella 1998 (doi:10.1103/PhysRevLett.80.4558), Sorella, Casula & Rocca 2007 (arXiv:0705.3979); the natural gradient of
Amari 1998 in Hilbert space. For fewer parameters than samples; `minsr` is the same step computed in sample space.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.diagonal_blocks import By, diagonal_blocks, put_together, summed
from nqs_hpc.gradient.flat import Flat, flat, widened
from nqs_hpc.gradient.jacobian import residuals
from nqs_hpc.gradient.qgt import dense_qgt
from nqs_hpc.gradient.rows import Rows, centred_rows, gram_by_rows, gram_of_blocks, gram_of_parameters, sums_of_chains
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.cyclic import Layout
from nqs_hpc.types import Ansatz, Batch, Projected, Projection, Samples, Tree, Update
from nqs_hpc.update import nystrom, over_ranks
from nqs_hpc.update.cost import LARGEST_BLOCK
from nqs_hpc.update.over_ranks import layout_of
from nqs_hpc.update.solvers import cholesky, conjugate_gradient, pseudo_inverse
from nqs_hpc.update.spectral import Cut, error_of_sums, filtered
from nqs_hpc.update.step_size import Schedule, promised, scaled, value

AT_ONCE = 16  # columns that X is multiplied by at a time


def in_parameters(
    ansatz: Ansatz,
    comm: Comm,
    *,
    diag_shift: Schedule,
    solver: Literal["cholesky", "eigh", "distributed", "cg", "filter"],
    rcond: float = 1e-12,
    cut: Cut | None = None,
    cg_tolerance: float = 1e-8,
    cg_max_iterations: int = 500,
    preconditioner: int | Literal["auto"] | None = None,
    chunk: int | None = None,
    blocks: int = 1,
    solve_dtype: str = "float64",
    block_diagonal: By | None = None,
) -> Projection:
    """d = (S + lambda)^-1 F with the dense S (cholesky, eigh), made some samples at a time, or matrix-free (cg);
    ``filter`` takes S as ``cut`` says (`update.spectral`), with the shift; one more reduction where it asks for
    the noise. ``distributed`` is Cholesky by all ranks together, each with rows of S, whose step is not finite where
    S + lambda is not positive definite.

    Reductions: the means of the log-derivatives; then S and F in one, or F and one more for each CG iteration.
    ``distributed``: F, and the exchanges of `gram_by_rows` and collectives of `over_ranks.solve`.
    With a ``preconditioner`` (`update.nystrom`) ranks share the vectors of cg, and reductions are those of
    `nystrom.conjugate_gradient`, with one all-to-all a product. ``blocks`` above 1: cg makes each product again from
    the network where there are no factors, and holds no Jacobian. ``block_diagonal``: of S the blocks of
    `gradient.diagonal_blocks`, each solved on its own (cholesky, eigh), with the reductions of S.
    """

    def project(params: Tree, batch: Batch, step: Array, last_P: Array | None = None) -> Projected:
        assert last_P is None, "a last direction is of use only in sample space"
        form = flat(params, ansatz.kind)
        samples = batch.samples
        eps_B = residuals(ansatz.kind, batch.e_loc_B, samples.w_B, batch.estimate.mean).astype(form.dtype)
        shift = value(diag_shift, step).astype(solve_dtype)

        if block_diagonal is not None:
            assert solver in ("cholesky", "eigh")
            layers = diagonal_blocks(params, form, block_diagonal, LARGEST_BLOCK)
            parts = gram_of_blocks(ansatz, form, params, samples, comm, eps_B, layers, chunk=chunk)
            s_blocks, force_P = summed(*parts, comm)
            solve = cholesky if solver == "cholesky" else pseudo_inverse
            solved = [
                solve(widened(s_ll, solve_dtype), widened(block.of(force_P), solve_dtype), shift, rcond)
                for s_ll, block in zip(s_blocks, layers, strict=True)
            ]
            direction_P = put_together(tuple(x for x, _ in solved), layers, force_P)
            name, merge = ("fallback", jnp.max) if solver == "cholesky" else ("rank", jnp.sum)
            info = {name: merge(jnp.stack([one[name] for _, one in solved]))}
        elif solver == "cg":
            rows = centred_rows(ansatz, form, params, samples, comm, chunk=chunk, stored=blocks == 1, dtype=solve_dtype)

            force_P = widened(comm.sum(rows.adjoint(eps_B)), solve_dtype)
            bounds: dict[str, Any] = {"tolerance": cg_tolerance, "max_iterations": cg_max_iterations}
            if sketch := nystrom.columns(preconditioner, form.n_parameters):
                lay = Layout(form.n_parameters, comm.size, -(-form.n_parameters // comm.size))
                of_ranks: dict[str, Any] = {"rank": batch.rank, "step": step, "sketch": sketch}
                shared = shared_product(rows, lay, comm, solve_dtype)
                direction_P, info = nystrom.conjugate_gradient(shared, force_P, shift, lay, comm, **of_ranks, **bounds)
            else:

                def product(v_P: Array) -> Array:
                    return widened(comm.sum(rows.adjoint(rows.times(v_P))), solve_dtype) + shift * v_P

                direction_P, info = conjugate_gradient(product, force_P, **bounds)
        elif solver == "distributed" and (layout := layout_of(form.n_parameters, comm)) is not None:
            s_rows, force_P = gram_by_rows(ansatz, form, params, samples, comm, eps_B, layout, chunk=chunk)
            s_rows, rhs_P = widened(s_rows, solve_dtype), widened(force_P, solve_dtype)
            direction_P, info = over_ranks.solve(s_rows, rhs_P, shift, layout, batch.rank, comm)
        else:
            local = gram_of_parameters(ansatz, form, params, samples, comm, eps_B, chunk=chunk)
            s_PP, force_P = dense_qgt(*local, comm)
            s_PP, rhs_P = widened(s_PP, solve_dtype), widened(force_P, solve_dtype)
            if solver == "filter":
                assert cut is not None

                def sigma(vectors_PP: Array) -> Array:
                    return noise_of_force(ansatz, form, params, samples, comm, eps_B, vectors_PP, cut.chain_length)

                cut_now = cut._replace(shift=shift)
                direction_P, info = filtered(s_PP, rhs_P, cut_now, sigma if cut.chain_length else None)
                return Projected(direction_P.astype(form.dtype), force_P, info)
            if solver == "distributed":
                direction_P, info = over_ranks.of_whole(s_PP, rhs_P, shift)
            else:
                solve = cholesky if solver == "cholesky" else pseudo_inverse
                direction_P, info = solve(s_PP, rhs_P, shift, rcond)
        return Projected(direction_P.astype(form.dtype), force_P, info)

    return project


def shared_product(rows: Rows, layout: Layout, comm: Comm, dtype: str) -> nystrom.Product:
    """S V of one or more columns V (P,) or (P, k), of which each rank gets its share of the P. One all-to-all."""

    def product(v: Array) -> Array:
        def one(v_P: Array) -> Array:
            return rows.adjoint(rows.times(v_P))

        local = one(v) if v.ndim == 1 else jax.lax.map(one, v.T, batch_size=AT_ONCE).T
        # (all P, of this rank's samples) -> (a share of P, of all samples)
        terms = layout.pad(local).reshape(layout.size, layout.block, *v.shape[1:])
        return widened(jnp.sum(comm.all_to_all(terms), axis=0), dtype)

    return product


def noise_of_force(
    ansatz: Ansatz,
    form: Flat,
    params: Tree,
    samples: Samples,
    comm: Comm,
    eps_B: Array,
    vectors_PP: Array,
    chain_length: int,
) -> Array:
    """(P,) standard errors of V^dagger F, from the spread of what each chain adds to it. Two reductions."""
    terms_CP = sums_of_chains(ansatz, form, params, samples, comm, eps_B, vectors_PP, chain_length)
    return error_of_sums(comm.gather(terms_CP).reshape(-1, terms_CP.shape[1]))


def sr(
    ansatz: Ansatz,
    comm: Comm,
    *,
    learning_rate: Schedule,
    max_norm: float | None = None,
    predict: bool = False,
    **options: Any,
) -> Update:
    """Steps along `in_parameters`, which takes the ``options``. ``predict``: info has the change of energy that the
    step promises.
    """
    project = in_parameters(ansatz, comm, **options)

    def step(params: Tree, state: tuple[()], batch: Batch, step: Array, scale: Array):
        direction_P, force_P, info = project(params, batch, step)
        delta_P, sizes = scaled(direction_P, learning_rate=learning_rate, step=step, scale=scale, max_norm=max_norm)
        info |= (
            sizes | {"grad_norm": jnp.linalg.norm(force_P).astype(jnp.float64)} | promised(force_P, delta_P, predict)
        )
        return flat(params, ansatz.kind).unravel(delta_P), state, info

    return Update(lambda params: (), step)
