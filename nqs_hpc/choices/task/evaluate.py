"""task=evaluate: expectation values of a run's wave function, from fresh samples (`tasks.evaluate`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Auto, Examples, derived, key
from nqs_hpc.choices.task._second import second_of
from nqs_hpc.choices.task.base import Task, check_series
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, Invalid, bad
from nqs_hpc.system.hilbert import degrees, places

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Task as Functions


MOST_OF_SECOND = 8192  # samples: they resolve a hundredth of the standard deviation of the energy


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise Invalid
    return value


@dataclass(frozen=True)
class Evaluate(Task):
    examples: ClassVar[Examples] = ()  # it needs a run
    prefix: ClassVar[str] = "evaluate-"
    source_key: ClassVar[str | None] = "run"
    optimizes: ClassVar[bool] = False
    measures: ClassVar[bool] = True
    run: str = key(
        Check("the folder of a run, or one of its checkpoints step_….h5", checks.path.read, names="run"),
        "run folder or checkpoint whose wave function is evaluated: lattice, hamiltonian, ansatz, sampler, "
        "sector, seed, symmetrize and precision are those of the run unless they are given",
    )
    samples: int = key(
        checks.integer(), "largest number of samples, rounded up to whole calls of the sampler", physics=False
    )
    error: float | None = key(
        checks.optional(checks.positive), "standard error at which it ends earlier; null: none", physics=False
    )
    error_of: str = key(
        Check("energy, or the name of a number that is measured: LABEL or LABEL.OUTPUT", _name),
        "quantity with that error: energy, or an observable",
        physics=False,
    )
    second_samples: int | Auto = key(
        checks.either("auto", checks.integer(least=0)),
        "samples of the second ensemble, with other starts and other moves, with which the energy is compared at the "
        f"end; auto: a quarter of task.samples, at most {MOST_OF_SECOND}; 0: none",
        physics=False,
    )
    n_steps: int = derived(physics=False)  # largest number of calls of the sampler

    def resolved(self, context: Context) -> Self:
        a_step = context.sampler.samples_a_step(context.hilbert)
        n_steps = 1 if context.sampler.is_exact else -(-self.samples // a_step)
        check_series(context, "task.samples", self.samples, n_steps * a_step)
        label = self.error_of.partition(".")[0]
        if self.error_of != "energy" and label not in context.observables:
            raise bad("task.error_of", self.error_of, ", ".join(["energy", *context.observables]))
        return dataclasses.replace(self, n_steps=n_steps)

    @property
    def total_steps(self) -> int | None:
        return self.n_steps if self.error is None else None

    def is_met(self, summary: Mapping[str, Any]) -> bool:
        try:
            energy, measured = summary["energy"], summary.get("observables")
            found = energy if self.error_of == "energy" else measured[self.error_of]  # type: ignore[index]
            enough = float(summary["n_samples"]) >= self.samples
            return enough or (self.error is not None and float(found["error"]) <= self.error)
        except (KeyError, TypeError, ValueError):
            return False

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.tasks.evaluate import Goal, evaluate
        from nqs_hpc.tasks.final import System

        operator, observables = pieces.operator, pieces.observables()
        self._check_goal(observables)
        return evaluate(
            pieces.ansatz,
            operator,
            observables,
            pieces.sampler,
            pieces.comm,
            basis=pieces.basis,
            system=System(
                places(pieces.hilbert), operator.bounds, operator.e_infinity, n_degrees=degrees(pieces.hilbert)
            ),
            n_steps=self.n_steps,
            goal=None if self.error is None else Goal(self.error, self.error_of),
            seed=pieces.seed,
            chunk=pieces.chunk,
            memory=pieces.memory,
            second=second_of(pieces, self._second_samples()),
            no_second="task.second_samples=0",
        )

    def _second_samples(self) -> int:
        return min(self.samples // 4, MOST_OF_SECOND) if self.second_samples == "auto" else self.second_samples

    def _check_goal(self, observables: Mapping[str, Any]) -> None:
        """Raise InputError if task.error_of does not name a number with an error."""
        label = self.error_of.partition(".")[0]
        if self.error is None or self.error_of == "energy":
            return
        one = observables[label]
        numbers = [f"{label}.{output.name}" if output.name else label for output in one.outputs if output.shape == ()]
        if one.sums is not None:
            why = f"the error of {label} is not known"
            raise bad("task.error_of", self.error_of, f"energy, or another observable: {why}")
        if self.error_of not in numbers:
            raise bad("task.error_of", self.error_of, ", ".join(["energy", *numbers]))
