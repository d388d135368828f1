"""What a step of stochastic reconfiguration costs in each of its three spaces: how ``solver=auto`` chooses.

With n rows of samples, P parameters, W numbers in the parts of a factored row, in floating-point operations of one rank

    parameter space   2 n P^2 (rank-k)        + P^3 / 3     S = X^dagger X, its Cholesky factor
    sample space      2 n^2 P (rank-k)        + n^3 / 3     X X^dagger, its Cholesky factor
                      2 n^2 W (product) + n^2 + n^3 / 3     the same from factors: Gram matrices, then entry by entry
    matrix-free       4 n P a product, ITERATIONS products  X^dagger (X v)

and n P entries of a Jacobian, wherever one is made. Products of matrices and Cholesky factors run at the speed of the
arithmetic, products with a vector and entries at that of the memory. The rates are those of one core, float64, fitted
by `benchmarks/solvers.py`, which holds the model against measured steps. Only their ratios matter, and they are
constants of the program, never measured at run time: the choice must be the same on every machine, because another
solver gives other bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

RATES = {  # a second
    "rank_k": 120e9,
    "product": 105e9,
    "factor": 44e9,
    "vector": 2.6e9,
    "factored_vector": 21e9,  # a factored product of a matrix and a vector is one of matrices for each layer
    "jacobian_entry": 0.13e9,
    "kernel_entry": 0.1e9,
}
ITERATIONS = 60.0  # of conjugate gradients, at shifts from 1e-2 to 1e-4


# Rows from which the ranks solve a system together (`update.over_ranks`). Below, one rank takes less than a second,
# and three collectives a block of rows are of no use.
TOGETHER_FROM = 4096


# Parameters of a block where S is taken by blocks; more are cut, so cost and memory grow as their number.
LARGEST_BLOCK = 1024


class Size(NamedTuple):
    n_rows: int  # samples of all ranks, twice for a complex ansatz
    n_parameters: int
    factored_width: int | None  # None without factors
    is_complex: bool  # four real operations for one


def operations(size: Size, iterations: float = ITERATIONS) -> dict[str, dict[str, float]]:
    """By solver (``cholesky`` in parameter space, ``minsr``, ``cg``) how much of each of RATES a step takes."""
    n, p, width = float(size.n_rows), float(size.n_parameters), size.factored_width
    work = 4 if size.is_complex else 1
    entries = {"jacobian_entry": work * n * p}
    cholesky = {"rank_k": work * 2 * n * p**2, "factor": work * p**3 / 3} | entries
    minsr = {"factor": work * n**3 / 3}
    product = work * iterations * 4 * n * p
    if width is None:
        minsr |= entries | {"rank_k": work * 2 * n**2 * p}
        return {"cholesky": cholesky, "minsr": minsr, "cg": {"vector": product} | entries}
    minsr |= {"product": work * 2 * n**2 * width, "kernel_entry": work * n**2}
    return {"cholesky": cholesky, "minsr": minsr, "cg": {"factored_vector": product}}


def seconds(size: Size) -> dict[str, float]:
    """The modelled time of one step by solver."""
    return {
        solver: sum(amount / RATES[name] for name, amount in terms.items())
        for solver, terms in operations(size).items()
    }


def bytes_held(size: Size, itemsize: int) -> dict[str, float]:
    """The largest matrices of each solver on one rank. A stored Jacobian does not count: it can come in blocks."""
    return {
        "cholesky": 3.0 * size.n_parameters**2 * itemsize,
        "minsr": 3.0 * size.n_rows**2 * itemsize,
        "cg": 0.0,
    }


def bytes_of_blocks(size: Size, itemsize: int) -> float:
    """At most, of the diagonal blocks of S and what comes of them on one rank."""
    return 3.0 * min(LARGEST_BLOCK, size.n_parameters) * size.n_parameters * itemsize


def exact(n_rows: int, itemsize: int = 8, memory: float = math.inf) -> str:
    """How a system of so many rows is solved by Cholesky: whole on every rank, or by all ranks together where it is
    large, or does not fit into ``memory`` bytes; whatever the number of ranks.
    """
    small = n_rows < TOGETHER_FROM and float(n_rows) ** 2 * itemsize <= memory
    return "cholesky" if small else "distributed"


def cheapest(size: Size, itemsize: int, memory: float, *, matrix_free: bool = True) -> str:
    """The fastest solver whose matrices fit in ``memory`` bytes; the least of them where none does."""
    times, held = seconds(size), bytes_held(size, itemsize)
    names = [name for name in times if matrix_free or name != "cg"]
    fitting = [name for name in names if held[name] <= memory]
    return min(fitting, key=times.__getitem__) if fitting else min(names, key=held.__getitem__)
