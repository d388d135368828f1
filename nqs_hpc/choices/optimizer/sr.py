"""optimizer=sr: stochastic reconfiguration (`update.sr`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

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
from nqs_hpc.inputs.checks import bad
from nqs_hpc.types import Ansatz, Update

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm
    from nqs_hpc.update.cost import Size

STORED = "above 1, cg stores no Jacobian but evaluates the network again (rbm, mlp need none); auto: by memory_gib"


@dataclass(frozen=True)
class Sr(Natural):
    filtering: ClassVar[tuple[str, ...]] = ("auto", "minsr")
    takes_cg: ClassVar[bool] = True
    solver: Literal["auto", "cholesky", "eigh", "distributed", "cg", "minsr"] = key(
        checks.choice("auto", "cholesky", "eigh", "distributed", "cg", "minsr"),
        "in parameter space (on each rank, or distributed on all), matrix-free (cg) or in sample space (minsr); auto: "
        "the cheapest, decided at step 0, distributed from 4096 parameters",
        physics=False,
    )
    blocks: Blocks = blocks_key(STORED)
    rcond: float = key(checks.number(above=0, below=1), RCOND)
    cg_tolerance: float = key(checks.number(above=0, below=1), CG_TOLERANCE)
    cg_max_iterations: int = key(checks.integer(), CG_MAX_ITERATIONS)
    preconditioner: Preconditioner = preconditioner_key()
    block_diagonal: Literal["layers", "leaves"] | None = key(
        checks.optional(checks.choice("layers", "leaves")),
        "neglect matrix elements between layers (leaves of one parent in the tree of parameters), or between "
        "leaves, and solve each block separately; blocks have at most 1024 parameters; null: the whole matrix",
        physics="given",
    )

    def check(self, context: Context) -> None:
        super().check(context)
        if self.block_diagonal is not None:
            if self.solver not in ("auto", "cholesky", "eigh"):
                raise bad("optimizer.solver", self.solver, "auto, cholesky or eigh with optimizer.block_diagonal")
            if self.filters:
                valid = "null with optimizer.cut or optimizer.signal_to_noise, which need the whole matrix"
                raise bad("optimizer.block_diagonal", self.block_diagonal, valid)
        if self.solver == "cg" and self.broadcast:
            # each rank counts its own iterations, which can differ on mixed hardware
            raise bad("optimizer.broadcast", True, "false with optimizer.solver=cg")
        if self.solver == "minsr":
            from nqs_hpc.update.cost import TOGETHER_FROM

            # from this number of rows on ranks share a kernel; if one rank has no room for as many, no kernel may come
            # near it
            n_rows = self.most_samples(context, 1) * (2 if context.ansatz.row_size() == 4 else 1)
            self.check_kernel(context, shared=n_rows >= TOGETHER_FROM)

    def asked_solver(self) -> str | None:
        return self.solver

    def asked_blocks(self) -> int | str | None:
        return self.blocks

    def chosen_solver(self, size: Size, wide: int, memory: float) -> str | None:
        from nqs_hpc.update.cost import bytes_of_blocks, cheapest, exact

        if self.filters:  # for the smaller matrix
            return self.solver if self.solver != "auto" else "minsr" if size.n_rows < size.n_parameters else "filter"
        if self.block_diagonal is not None:
            if bytes_of_blocks(size, wide) > 2 * memory:
                valid = f"null: blocks of {size.n_parameters} parameters do not fit into memory_gib"
                raise bad("optimizer.block_diagonal", self.block_diagonal, valid)
            return "eigh" if self.solver == "eigh" else "cholesky"
        if self.solver != "auto":
            return self.solver
        # each rank counts the iterations of cg itself, and they can differ on mixed hardware
        name = cheapest(size, wide, memory, matrix_free=not self.broadcast)
        return exact(size.n_parameters, wide, 2 * memory) if name == "cholesky" else name

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
        from nqs_hpc.update.sr import sr

        shared, eigenvalues = self.natural(chunk, blocks, solve_dtype), self.filter(chain_length)
        if solver == "minsr":
            return self.trusted(partial(minsr, ansatz, comm), shared | {"solver": "auto"} | eigenvalues)
        own = {
            "solver": solver,
            "cg_tolerance": self.cg_tolerance,
            "cg_max_iterations": self.cg_max_iterations,
            "preconditioner": self.preconditioner,
            "block_diagonal": self.block_diagonal,
        }
        return self.trusted(partial(sr, ansatz, comm), shared | own | eigenvalues)
