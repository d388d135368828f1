"""optimizer=minsr: stochastic reconfiguration in sample space, with SPRING's momentum (`update.minsr`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Float, key
from nqs_hpc.choices.optimizer._natural import (
    CG_MAX_ITERATIONS,
    CG_TOLERANCE,
    RCOND,
    Blocks,
    Natural,
    Preconditioner,
    blocks_key,
    preconditioner_key,
)
from nqs_hpc.inputs import checks
from nqs_hpc.types import Ansatz, Update

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm
    from nqs_hpc.update.cost import Size

MADE = (
    "number of parts in which minsr makes the Jacobian, for networks that need one (not rbm, mlp); auto: by memory_gib"
)


@dataclass(frozen=True)
class Minsr(Natural):
    by_coupling: ClassVar[bool] = True
    solver: Literal["auto", "cholesky", "eigh", "distributed", "cg"] = key(
        checks.choice("auto", "cholesky", "eigh", "distributed", "cg"),
        "solver of the linear system: cholesky, eigh on each rank; distributed: Cholesky by all ranks, each with rows "
        "of the kernel, without a fallback; cg: conjugate gradients with such rows; auto: cholesky, distributed from "
        "4096 rows",
        physics=False,
    )
    blocks: Blocks = blocks_key(MADE)
    rcond: float = key(checks.number(above=0, below=1), RCOND)
    cg_tolerance: float = key(checks.number(above=0, below=1), CG_TOLERANCE, physics=False)
    cg_max_iterations: int = key(checks.integer(), CG_MAX_ITERATIONS, physics=False)
    preconditioner: Preconditioner = preconditioner_key()
    momentum: float | None = key(
        checks.optional(checks.number(least=0, below=1)), "SPRING's mu (Goldshlager et al. 2024, arXiv:2401.10190)"
    )

    def check(self, context: Context) -> None:
        super().check(context)
        self.check_kernel(context, shared=self.solver not in ("cholesky", "eigh"))

    def asked_solver(self) -> str | None:
        return self.solver

    def asked_blocks(self) -> int | str | None:
        return self.blocks

    def chosen_solver(self, size: Size, wide: int, memory: float) -> str | None:
        from nqs_hpc.update.cost import exact

        if self.filters:
            return "filter"
        return exact(size.n_rows, wide, 2 * memory) if self.solver == "auto" else self.solver

    def make(
        self,
        ansatz: Ansatz,
        comm: Comm,
        *,
        solver: str | None,
        blocks: int | None,
        chunk: int | None,
        chain_length: int,
        solve_dtype: Float,
    ) -> Update:
        from nqs_hpc.update.minsr import minsr

        given = self.of_kernel(solver, chunk, blocks, solve_dtype)
        return self.trusted(partial(minsr, ansatz, comm), given | self.filter(chain_length))

    def of_kernel(
        self, solver: str | None, chunk: int | None, blocks: int | None, solve_dtype: Float
    ) -> dict[str, Any]:
        """The arguments that sample-space steps with momentum share."""
        return self.natural(chunk, blocks, solve_dtype) | {
            "solver": solver,
            "momentum": self.momentum,
            "cg_tolerance": self.cg_tolerance,
            "cg_max_iterations": self.cg_max_iterations,
            "preconditioner": self.preconditioner,
        }
