"""Exact evolution of a state vector, real or imaginary time, of operators that may depend on time.

    d psi / dt = x H(t) psi,     H(t) = sum_k f_k(t) M_k,     x = -i, or -1 in imaginary time, where the norm is kept.

Host side, with sparse matrices M_k. A step is the Taylor series of psi in time: with f_k(t + u dt) = sum_j F_kj u^j and
psi(t + u dt) = sum_n c_n u^n,

    c_(n+1) = x dt / (n + 1) sum_k M_k sum_j F_kj c_(n-j),

summed until its terms vanish. So each order costs a product with each M_k, however the f_k move, and of a constant H it
is the series of the exponential. Of such series in general: A. Jorba and M. Zou, Exp. Math. 14, 99 (2005). Steps are as
long as a fixed fraction of 1 / |H|, and as the polynomials fit; a kink is closed in by halving.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Operator

REACH = 5.0  # |H - center| dt of a step: terms of the series grow to exp(5), and lose as much of 1e-16
VANISHED = 1e-17  # of the norm, two terms in a row
DEGREES = (0, 1, 8)  # of the polynomials that are tried for the f_k
FIT = 1e-13  # of the largest f_k
SHORTEST = 1e-7  # of all times: a kink of f in a step of this length leaves an error of its square

Vector = NDArray[np.complex128]


class Instant(NamedTuple):
    """The state at a time."""

    time: float
    psi_D: Vector  # normalised, in the order of `system.hilbert.codes`
    energy: float  # <H(t)>


class OutOfTime(RuntimeError):
    """The evolution has taken longer than it may."""


class _Sum(NamedTuple):
    """H(t) = sum_k f_k(t) M_k."""

    matrices: list[csr_matrix]
    factors: Callable[[NDArray[np.floating]], NDArray[np.float64]]  # times (T,) -> f_k (K, T)

    def mean(self, time: float, psi_D: Vector) -> float:
        weights_K = self.factors(np.array([time]))[:, 0]
        parts = [np.sum((psi_D.conj() * (matrix @ psi_D)).real) for matrix in self.matrices]
        return float(np.sum(weights_K * parts))


def evolution(
    operator: Operator,
    hilbert: Hilbert,
    psi_D: ArrayLike,
    times: Sequence[float],
    *,
    imaginary: bool = False,
    deadline: float | None = None,
) -> Iterator[Instant]:
    """The state at each of ``times``, which go up; ``psi_D`` (D,), of any norm, is that at the first of them.

    ``deadline``: of ``time.monotonic()``, after which OutOfTime is raised. Raises ValueError as ``sparse_matrix`` does,
    and for an operator that is not Hermitian.
    """
    if not operator.is_hermitian:
        raise ValueError("evolution of an operator that is not Hermitian does not keep the norm")
    whole = _sum_of(operator, hilbert)
    psi: Vector = np.asarray(psi_D, dtype=np.complex128)
    psi = psi / _norm(psi)
    now, shortest = times[0], SHORTEST * (times[-1] - times[0])
    low, high, before_K = 0.0, 0.0, np.zeros(0)
    for time in times:
        while now < time:
            if deadline is not None and clock.monotonic() > deadline:
                raise OutOfTime
            weights_K = whole.factors(np.array([now]))[:, 0]
            if not np.array_equal(weights_K, before_K):
                (low, high), before_K = _levels(whole, weights_K), weights_K
            dt = min(time - now, 2 * REACH / max(high - low, 1e-300))
            while (coefficients_Kj := _polynomials(whole, now, dt)) is None and dt > shortest:
                dt /= 2
            if coefficients_Kj is None:  # a kink, or worse
                coefficients_Kj = _secants(whole, now, dt)
            center = (low + high) / 2
            psi = _step(whole, coefficients_Kj, center, -dt if imaginary else -1j * dt, psi)
            psi = psi / _norm(psi)
            if not imaginary:
                psi = psi * np.exp(-1j * center * dt)
            now = time if time - now <= dt * (1 + 1e-12) else now + dt
        yield Instant(time, psi, whole.mean(time, psi))


def _step(whole: _Sum, coefficients_Kj: NDArray[np.float64], center: float, x_dt: complex, psi_D: Vector) -> Vector:
    """psi at u = 1 of the series that begins with psi, of H - center."""
    terms = [psi_D]  # c_n, c_(n-1), ... as far back as the polynomials reach
    total, n, size = psi_D.copy(), 0, 1.0
    while True:
        before, size = size, 0.0
        slope = -center * terms[0]
        for matrix, F_j in zip(whole.matrices, coefficients_Kj, strict=True):
            mixed = F_j[0] * terms[0]
            for F, term in zip(F_j[1:], terms[1:], strict=False):
                mixed += F * term
            slope += matrix @ mixed
        n += 1
        terms = [slope * (x_dt / n), *terms[: coefficients_Kj.shape[1] - 1]]
        total += terms[0]
        size = _norm(terms[0])
        if max(before, size) < VANISHED:
            return total


def _polynomials(whole: _Sum, start: float, dt: float) -> NDArray[np.float64] | None:
    """F_kj of the f_k over a step, of the lowest of ``DEGREES`` that is exact; None if none is."""
    u_T = (1 - np.cos(np.pi * np.arange(2 * DEGREES[-1] + 1) / (2 * DEGREES[-1]))) / 2
    f_KT = whole.factors(start + dt * u_T)
    for degree in DEGREES:
        series = chebyshev.chebfit(2 * u_T - 1, f_KT.T, degree)  # well conditioned, unlike powers of u
        left_KT = chebyshev.chebval(2 * u_T - 1, series) - f_KT
        if np.abs(left_KT).max() <= FIT * np.abs(f_KT).max():
            return np.array([_in_powers(column) for column in series.T])
    return None


def _in_powers(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """The coefficients of u^j of a series in the Chebyshev polynomials of 2u - 1."""
    found = np.polynomial.Polynomial(chebyshev.cheb2poly(series))(np.polynomial.Polynomial([-1.0, 2.0])).coef
    return np.pad(found, (0, len(series) - len(found)))


def _secants(whole: _Sum, start: float, dt: float) -> NDArray[np.float64]:
    ends_K2 = whole.factors(np.array([start, start + dt]))
    return np.stack([ends_K2[:, 0], ends_K2[:, 1] - ends_K2[:, 0]], axis=1)


def _levels(whole: _Sum, weights_K: NDArray[np.float64]) -> tuple[float, float]:
    """Between which numbers the eigenvalues of sum_k w_k M_k lie, by the sums of its rows (Gershgorin)."""
    matrix = sum(weight * one for weight, one in zip(weights_K, whole.matrices, strict=True))
    diagonal_D = matrix.diagonal().real
    around_D = np.asarray(abs(matrix).sum(axis=1)).ravel() - np.abs(diagonal_D)
    return float((diagonal_D - around_D).min()), float((diagonal_D + around_D).max())


def _sum_of(operator: Operator, hilbert: Hilbert) -> _Sum:
    if operator.at is None:
        return _Sum([_matrix(operator, hilbert)], lambda times_T: np.ones((1, len(times_T))))
    terms = operator.terms
    assert terms, "an operator that depends on time is a sum"
    of_one = jax.jit(jax.vmap(lambda time: jnp.stack([jnp.real(jnp.asarray(factor(time))) for factor, _ in terms])))
    matrices = [_matrix(term, hilbert) for _, term in terms]
    return _Sum(matrices, lambda times_T: np.asarray(of_one(jnp.asarray(times_T, jnp.float64))).T)


def _matrix(operator: Operator, hilbert: Hilbert) -> csr_matrix:
    """Complex: SciPy would make a real one complex in each product with a complex vector."""
    return sparse_matrix(operator, hilbert).astype(np.complex128)


def _norm(psi_D: Vector) -> float:
    """Without BLAS, whose threads get in the way of each other where other ranks wait on the same cores."""
    return float(np.sqrt(np.sum(psi_D.real**2 + psi_D.imag**2)))
