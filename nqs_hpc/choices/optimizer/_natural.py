"""What natural-gradient steps share: a shift that leaves their systems solvable, a kernel that fits into memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Auto, Float, key
from nqs_hpc.choices.optimizer.base import Optimizer, step_schedule
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.schedules import Schedule, lowest, schedule

RCOND = "eigh drops eigenvalues below this times the largest"
CG_TOLERANCE = "relative residual at which cg stops"
CG_MAX_ITERATIONS = "iterations after which cg stops"


@dataclass(frozen=True)
class Natural(Optimizer):
    solves: ClassVar[bool] = True
    diag_shift: Schedule = key(
        schedule(zero=True), "added to the diagonal, a number or a schedule; 0 needs solver=eigh", physics=False
    )

    def check(self, context: Context) -> None:
        solver = self.asked_solver()
        if solver != "eigh" and lowest(self.diag_shift) == 0:
            value: Any = dict(self.diag_shift.arguments)
            if self.diag_shift.kind == "constant":
                value = value["value"]
            raise bad("optimizer.diag_shift", value, f"above 0 throughout, or optimizer.solver=eigh (it is {solver})")

    def most_samples(self, context: Context, n_ranks: int) -> int:
        """Samples whose kernel fits into the memory of so many ranks."""
        width = (8 if context.solve_dtype == "float64" else 4) * context.ansatz.row_size()
        return int((context.memory_gib * 2**30 * n_ranks / width) ** 0.5)

    def check_kernel(self, context: Context, *, shared: bool) -> None:
        """Raise InputError where the kernel of minsr is too large: every rank holds that of all samples, or where it is
        ``shared`` its part, and a slip here would end in the machine running out of memory.
        """
        n_ranks = context.n_ranks if shared else 1
        most = self.most_samples(context, n_ranks)
        why = f"at most {most}: minsr holds the square of it in numbers, and memory_gib={context.memory_gib:g}"
        if n_ranks > 1:
            why += f" on each of {n_ranks} ranks"
        elif not shared and context.n_ranks > 1:
            why += ", or optimizer.solver=distributed, which shares them out"
        context.sampler.check_samples(most, context.hilbert, why)

    def natural(self, chunk: int | None, blocks: int | None, solve_dtype: Float) -> dict[str, Any]:
        """The arguments that `update.sr` and `update.minsr` share."""
        return self.common(chunk) | {
            "diag_shift": step_schedule(self.diag_shift),
            "blocks": blocks,
            "rcond": self.rcond,  # type: ignore[attr-defined]  # of each
            "solve_dtype": solve_dtype,
        }


def blocks_key(doc: str) -> Any:
    return key(checks.either("auto", checks.integer()), doc, physics=False)


def preconditioner_key() -> Any:
    """It changes a step within the tolerance of cg alone, as the solver does within rounding."""
    return key(
        checks.optional(checks.either("auto", checks.integer())),
        "random columns whose products make the preconditioner of cg (Frangella et al. 2023, arXiv:2110.02820); auto: "
        "an eighth of the rows, at most 1024; null: none",
        physics=False,
    )


Blocks = int | Auto
Preconditioner = int | Auto | None
