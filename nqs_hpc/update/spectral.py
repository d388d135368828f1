"""Regularised solutions of S d = F from eigenvalues, for the equations of motion of t-VMC.

S = V diag(s) V^dagger, rho = V^dagger F:  d = sum_k V_k f_k rho_k / (s_k + shift), with the filter

    f_k = 1 / (1 + (r s_max / s_k)^6)              a smooth cut at r: Medvidovic & Sels, PRX Quantum 4, 040302 (2023)
    f_k = f_k / (1 + (q sigma_k / |rho_k|)^6)      signal to noise at least q: Schmitt & Heyl, PRL 125, 100503 (2020)

and f_k = 0 of s_k <= 0. sigma_k is the standard error of rho_k. A hard cut would make the right side of the equation of
motion rough, and integrators lose their order. In sample space the same filter of the eigenvalues of X X^dagger, whose
rotated residuals are rho_k / sqrt(s_k), gives the same d.

Without a cut by noise f is a rational function, and unless r is very small no eigenvectors are needed:
`update.tridiagonal`. Then f of s_k <= 0, which only rounding makes, is s_k^6 / (s_k^6 + (r s_max)^6), and 1 without a
smooth cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel import foreign
from nqs_hpc.update.tridiagonal import LEAST, filtered_solution

SHARPNESS = 6


class Cut(NamedTuple):
    """How eigenvalues are regularised; the same on all ranks."""

    relative: float | None = None  # r, of the largest eigenvalue; None: no smooth cut
    shift: float | Array = 0.0  # added to the eigenvalues, absolute; solvers put that of the step here
    signal_to_noise: float | None = None  # q; None: no cut by noise
    chain_length: int = 0  # of the samples, whose chains tell the noise; 0: exact sums, which have none


def filtered(
    matrix: Array, rhs: Array, cut: Cut, sigma: Callable[[Array], Array] | None = None
) -> tuple[Array, dict[str, Array]]:
    """x of a Hermitian, positive semidefinite matrix, of which the upper triangle counts; info: rank, the sum of f.

    ``sigma(vectors) -> (n,)``: the standard error of each of vectors^dagger rhs; asked where the cut needs it.
    """
    by_noise = cut.signal_to_noise is not None and sigma is not None
    is_low = cut.relative is not None and cut.relative < LEAST

    def without_vectors(matrix: Array, rhs: Array, shift: float | Array) -> tuple[Array, dict[str, Array]]:
        x, values = filtered_solution(matrix, rhs, cut.relative or 0.0, shift)
        return x, {"rank": jnp.sum(_kept(values, cut)).astype(jnp.float64)}

    def by_vectors(matrix: Array, rhs: Array, shift: float | Array) -> tuple[Array, dict[str, Array]]:
        return _by_vectors(matrix, rhs, cut._replace(shift=shift), sigma)

    arguments = (matrix, rhs, cut.shift)
    if by_noise or is_low:
        return by_vectors(*arguments)
    return foreign.by_platform(len(rhs), without_vectors, by_vectors, *arguments)


def _by_vectors(
    matrix: Array, rhs: Array, cut: Cut, sigma: Callable[[Array], Array] | None
) -> tuple[Array, dict[str, Array]]:
    values, vectors = jnp.linalg.eigh(matrix, UPLO="U", symmetrize_input=False)
    rotated = vectors.conj().T @ rhs
    positive = values > 0
    kept = _kept(values, cut)
    if cut.signal_to_noise is not None and sigma is not None:
        size = jnp.abs(rotated)
        noise = cut.signal_to_noise * sigma(vectors) / jnp.where(size > 0, size, 1.0)
        kept = jnp.where(size > 0, kept / (1.0 + noise**SHARPNESS), 0.0)
    inverse = jnp.where(positive, kept / (jnp.where(positive, values, 1.0) + cut.shift), 0.0)
    return vectors @ (inverse * rotated), {"rank": jnp.sum(kept).astype(jnp.float64)}


def _kept(values: Array, cut: Cut) -> Array:
    """f of the smooth cut."""
    positive = values > 0
    kept = jnp.where(positive, 1.0, 0.0)
    if cut.relative is not None:
        kept = kept / (1.0 + (cut.relative * values[-1] / jnp.where(positive, values, 1.0)) ** SHARPNESS)
    return kept


def error_of_sums(terms_Ck: Array) -> Array:
    """(k,) standard errors of sums over C independent terms, from the spread of the terms."""
    n = terms_Ck.shape[0]
    spread = jnp.sum(jnp.abs(terms_Ck - jnp.mean(terms_Ck, axis=0, keepdims=True)) ** 2, axis=0)
    return jnp.sqrt(spread * n / max(n - 1, 1))
