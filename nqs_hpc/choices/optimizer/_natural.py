"""What natural-gradient steps share: a shift that makes the linear system solvable, a kernel that fits into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Auto, Float, key
from nqs_hpc.choices.optimizer.base import Optimizer, step_schedule
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.schedules import Schedule, lowest, schedule
from nqs_hpc.types import Update

RCOND = "eigh drops eigenvalues below this fraction of the largest"
CG_TOLERANCE = "relative residual at which cg stops"
CG_MAX_ITERATIONS = "iterations after which cg stops"


@dataclass(frozen=True)
class Natural(Optimizer):
    solves: ClassVar[bool] = True
    filtering: ClassVar[tuple[str, ...]] = ("auto",)  # solvers that allow a cut of eigenvalues
    takes_cg: ClassVar[bool] = False  # whether ``auto`` may choose cg
    diag_shift: Schedule = key(
        schedule(zero=True),
        "added to the diagonal, a number or a schedule; 0 needs solver=eigh or a cut",
        physics=False,
    )

    cut: float | None = key(
        checks.optional(checks.number(above=0, below=1)),
        "eigenvalues below this fraction of the largest are smoothly suppressed; null: none",
        physics="given",
    )
    signal_to_noise: float | None = key(
        checks.optional(checks.positive),
        "directions with a force below this many errors are smoothly suppressed (Schmitt & Heyl 2020); null: none",
        physics="given",
    )
    trust_region: Literal["shift", "step"] | None = key(
        checks.optional(checks.choice("shift", "step")),
        "raise the shift, or shorten the step, after significant increases of the energy, and take that back "
        "after steps that lower the energy as predicted; null: neither",
        physics="given",
    )

    @property
    def filters(self) -> bool:
        """Whether eigenvalues are suppressed, so that all of them have to be computed."""
        return self.cut is not None or self.signal_to_noise is not None

    def check(self, context: Context) -> None:
        self.check_search(context)
        if self.line_search is not None and self.trust_region is not None:
            valid = "null with optimizer.line_search: both set the length of a step"
            raise bad("optimizer.trust_region", self.trust_region, valid)
        solver = self.asked_solver()
        if solver != "eigh" and self.cut is None and lowest(self.diag_shift) == 0:
            value = self.diag_shift.plain()
            others = f"or optimizer.solver=eigh (it is {solver}), or an optimizer.cut"
            raise bad("optimizer.diag_shift", value, f"above 0 throughout, {others}")
        if self.trust_region == "shift" and self.diag_shift.kind == "constant" and lowest(self.diag_shift) == 0:
            valid = "step or null where optimizer.diag_shift is 0, which it would multiply"
            raise bad("optimizer.trust_region", "shift", valid)
        self._check_preconditioner(solver)
        if self.filters and solver not in self.filtering:
            given = "optimizer.cut" if self.cut is not None else "optimizer.signal_to_noise"
            raise bad(
                "optimizer.solver", solver, f"{' or '.join(self.filtering)} with {given}, which needs all eigenvalues"
            )
        if self.signal_to_noise is not None and context.sampler.is_exact:
            valid = f"null with sampler={context.sampler.name}, whose sums have no noise"
            raise bad("optimizer.signal_to_noise", self.signal_to_noise, valid)
        if self.signal_to_noise is not None and context.task.swept:
            valid = f"null with task={context.task.name}, whose chains are of several wave functions"
            raise bad("optimizer.signal_to_noise", self.signal_to_noise, valid)

    def _check_preconditioner(self, solver: str | None) -> None:
        columns = self.preconditioner  # type: ignore[attr-defined]  # of each
        may = ("cg", "auto") if self.takes_cg else ("cg",)
        if isinstance(columns, int) and solver not in may:
            valid = f"auto or null: it is of optimizer.solver=cg, and the solver is {solver}"
            raise bad("optimizer.preconditioner", columns, valid)

    def most_samples(self, context: Context, n_ranks: int) -> int:
        """The number of samples whose kernel fits into the memory of this many ranks."""
        width = (8 if context.solve_dtype == "float64" else 4) * context.ansatz.row_size()
        return int((context.memory_gib * 2**30 * n_ranks / width) ** 0.5)

    def check_kernel(self, context: Context, *, shared: bool) -> None:
        """Raise InputError if the kernel of minsr is too large. Every rank holds the kernel of all samples, or its part
        if it is ``shared``; without this check the machine could run out of memory.
        """
        n_ranks = context.n_ranks if shared and not self.filters else 1  # eigenvalues need the whole kernel
        most = self.most_samples(context, n_ranks)
        if context.sampler.is_exact:  # a sum over all states for each of the wave functions
            most //= context.task.n_points
        why = f"at most {most}: minsr holds the square of it in numbers, and memory_gib={context.memory_gib:g}"
        if n_ranks > 1:
            why += f" on each of {n_ranks} ranks"
        elif not shared and not self.filters and context.n_ranks > 1:
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

    def filter(self, chain_length: int) -> dict[str, Any]:
        """The arguments for the suppression of eigenvalues, if requested."""
        if not self.filters:
            return {}
        from nqs_hpc.update.spectral import Cut

        length = chain_length if self.signal_to_noise is not None else 0
        return {"solver": "filter", "cut": Cut(self.cut, signal_to_noise=self.signal_to_noise, chain_length=length)}

    def trusted(self, make: Callable[..., Update], arguments: dict[str, Any]) -> Update:
        """``make(**arguments)`` with clipped local energies and in a trust region, if requested. The trust region is
        the outer one, because it needs unclipped energies with known errors.
        """
        if self.trust_region is None:
            return self.clipped(make(**arguments))
        from nqs_hpc.update.trust_region import trust_region

        others = {name: value for name, value in arguments.items() if name != "diag_shift"}
        return trust_region(
            lambda shift: self.clipped(make(diag_shift=shift, predict=True, **others)),
            diag_shift=arguments["diag_shift"],
            adapts=self.trust_region,
        )


def blocks_key(doc: str) -> Any:
    return key(checks.either("auto", checks.integer()), doc, physics=False)


def preconditioner_key() -> Any:
    """It changes a step only within the tolerance of cg, as the solver does within rounding."""
    return key(
        checks.optional(checks.either("auto", checks.integer())),
        "random columns whose products make the preconditioner of cg (Frangella et al. 2023, arXiv:2110.02820); auto: "
        "an eighth of the rows, at most 1024; null: none",
        physics=False,
    )


Blocks = int | Auto
Preconditioner = int | Auto | None
