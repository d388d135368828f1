"""What a step of stochastic reconfiguration costs in each of its three spaces: how ``solver=auto`` chooses.

With n rows of samples, P parameters, W numbers in the parts of a factored row, in floating-point operations of one rank

    parameter space   2 n P^2           + P^3 / 3            S = X^dagger X, its Cholesky factor
    sample space      2 n^2 (P or W)    + n^3 / 3            X X^dagger, its Cholesky factor
    matrix-free       4 n P a product, ITERATIONS products   X^dagger (X v)

A product of matrices and a Cholesky factor run at the speed of the arithmetic, a product with a vector at that of the
memory. The rates below are those of one core, float64; `benchmarks/solvers.py` holds the model against measured steps
and fits them anew. Only their ratios matter, and they are constants of the program, never measured at run time: the
choice must be the same on every machine, for another solver means other bits.
"""

from __future__ import annotations

from typing import NamedTuple

PRODUCT = 35e9  # operations a second: matrix times matrix
FACTOR = 18e9  # Cholesky
VECTOR = 2.5e9  # matrix times vector
# A factored product of a matrix and a vector is a product of matrices, one for each layer.
FACTORED_VECTOR = 20e9
ITERATIONS = 60  # of conjugate gradients, at shifts from 1e-2 to 1e-4


class Size(NamedTuple):
    n_rows: int  # samples of all ranks, twice for a complex ansatz
    n_parameters: int
    factored_width: int | None  # None without factors
    is_complex: bool  # four real operations for one


def seconds(size: Size) -> dict[str, float]:
    """The modelled time of one step by solver: ``cholesky`` in parameter space, ``minsr``, ``cg``."""
    n, p, work = size.n_rows, size.n_parameters, 4 if size.is_complex else 1
    width = p if size.factored_width is None else size.factored_width
    rate = VECTOR if size.factored_width is None else FACTORED_VECTOR
    return {
        "cholesky": work * (2 * n * p**2 / PRODUCT + p**3 / 3 / FACTOR),
        "minsr": work * (2 * n**2 * width / PRODUCT + n**3 / 3 / FACTOR),
        "cg": work * ITERATIONS * 4 * n * p / rate,
    }


def bytes_held(size: Size, itemsize: int) -> dict[str, float]:
    """The largest matrices of each solver on one rank. A stored Jacobian does not count: it can come in blocks."""
    return {
        "cholesky": 3.0 * size.n_parameters**2 * itemsize,
        "minsr": 3.0 * size.n_rows**2 * itemsize,
        "cg": 0.0,
    }


def cheapest(size: Size, itemsize: int, memory: float, *, matrix_free: bool = True) -> str:
    """The fastest solver whose matrices fit in ``memory`` bytes; the least of them where none does."""
    times, held = seconds(size), bytes_held(size, itemsize)
    names = [name for name in times if matrix_free or name != "cg"]
    fitting = [name for name in names if held[name] <= memory]
    return min(fitting, key=times.__getitem__) if fitting else min(names, key=held.__getitem__)
