"""Direct sampling of matrix product states with open ends: conditionals from environments.

    p(v | s_<i) = l A_i^v rho_{i+1} (l A_i^v)^+ / (the sum over v),      rho_i = sum_v A_i^v rho_{i+1} A_i^v+,

with l the product of the matrices of the sites before i, and rho_i the density matrix that the sites from i on leave on
the bond before them. Ferris and Vidal, Phys. Rev. B 85, 165146 (2012), arXiv:1201.3974; no canonical form is needed.

In the sector of a fixed total the sites from i on have what is left of it, so there is a rho_i for each total that they
can have: the sum over v joins rho_i(T) with rho_{i+1}(T - v). The conditionals are then those of the projected state.

A density matrix is nearly singular, and rounding of it is lost against small probabilities. So it is float64 always,
and so are probabilities: rounding of a row of float32 counts only as much as the amplitude is small.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.conditionals import LocalSpace
from nqs_hpc.ansatz.segments import rescaled


class Running(NamedTuple):
    left: Array  # (chi,): the product of the matrices so far, scaled
    rest: Array  # int32: the total of the digits that the other sites have; 0 if there is none


def densities(space: LocalSpace, tensors_NVcc: Array, end_c: Array) -> Array:
    """rho (N + 1, T + 1, chi, chi) in float64, each site up to a factor; T = 0 where there is no total."""
    tensors_NVcc, end_c = (x.astype(jnp.promote_types(x.dtype, jnp.float64)) for x in (tensors_NVcc, end_c))
    n_totals = 1 if space.total is None else space.total + 1
    chi = tensors_NVcc.shape[-1]
    last = jnp.outer(end_c, jnp.conj(end_c))
    first = jnp.zeros((n_totals, chi, chi), tensors_NVcc.dtype).at[0].set(last)

    def site(rho_Tcc: Array, a_Vcc: Array) -> tuple[Array, Array]:
        total = jnp.zeros_like(rho_Tcc)
        for v in range(space.n_values):
            part = a_Vcc[v] @ rho_Tcc @ jnp.conj(a_Vcc[v]).T
            if space.total is None:
                total = total + part
            elif v < n_totals:
                total = total.at[v:].add(part[: n_totals - v])
        total, _ = rescaled(total, (0, 1, 2))
        return total, total

    _, rho = jax.lax.scan(site, first, tensors_NVcc, reverse=True)
    return jnp.concatenate([rho, first[None]])


def begin(space: LocalSpace, end_c: Array) -> Running:
    return Running(end_c, jnp.int32(0 if space.total is None else space.total))


def weights(space: LocalSpace, rho_Tcc: Array, rows_Vc: Array, rest: Array) -> Array:
    """What the probabilities (V,) of a site are proportional to: ``rows_Vc`` are l A^v, ``rho_Tcc`` that after it."""
    if space.total is None:
        return of_row(rows_Vc, jnp.broadcast_to(rho_Tcc, (space.n_values, *rho_Tcc.shape[1:])))
    left_V = rest - jnp.arange(space.n_values)
    known_V = jnp.clip(left_V, 0, space.total)
    return jnp.where(left_V >= 0, of_row(rows_Vc, rho_Tcc[known_V]), 0)


def of_row(rows_Vc: Array, rho_Vcc: Array) -> Array:
    """l rho l^+, which rounding must not make negative."""
    rows_Vc = rows_Vc.astype(rho_Vcc.dtype)
    return jnp.maximum(jnp.sum((jnp.einsum("va,vab->vb", rows_Vc, rho_Vcc) * jnp.conj(rows_Vc)).real, axis=1), 0)


def log_probabilities(weights_V: Array) -> Array:
    """(V,), -inf where a value cannot be; uniform where none can, which no state that is drawn comes to."""
    total = jnp.sum(weights_V)
    empty = total <= 0
    share_V = jnp.where(empty, 1 / weights_V.shape[0], weights_V / jnp.where(empty, 1, total))
    return jnp.where(share_V > 0, jnp.log(jnp.where(share_V > 0, share_V, 1)), -jnp.inf)


def taken(space: LocalSpace, running: Running, row_c: Array, digit: Array) -> Running:
    """After a site that has ``digit``, whose row l A is ``row_c``."""
    left, _ = rescaled(row_c, (0,))
    return Running(left, running.rest if space.total is None else running.rest - digit)
