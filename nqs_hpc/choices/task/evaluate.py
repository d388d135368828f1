"""task=evaluate: expectation values of a run's wave function, from fresh samples (`tasks.evaluate`)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, derived, inner_mapping, key
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.choices.task.base import Task
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, bad

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Task as Functions


@dataclass(frozen=True)
class Evaluate(Task):
    examples: ClassVar[Examples] = ()  # it needs a run
    prefix: ClassVar[str] = "evaluate-"
    source_key: ClassVar[str | None] = "run"
    optimizes: ClassVar[bool] = False
    run: str = key(
        Check("the folder of a run, or one of its checkpoints step_….h5", checks.path.read),
        "run folder or checkpoint file, whose wave function is evaluated: lattice, hamiltonian, ansatz, sampler, "
        "sector, seed, symmetrize and precision are those of the run where they are not given",
    )
    samples: int = key(checks.integer(), "samples, rounded up to whole calls of the sampler", physics=False)
    observables: dict[str, Observable] = inner_mapping(
        "observable",
        "task.observables",
        "what is measured beside the energy, {LABEL: {name: pauli, terms: [...]}, ...}; one key alone: "
        "task.observables.LABEL.terms",
    )
    n_steps: int = derived(physics=False)  # calls of the sampler

    def resolved(self, context: Context) -> Self:
        a_step = context.sampler.samples_a_step(context.hilbert)
        n_steps = 1 if context.sampler.is_exact else -(-self.samples // a_step)
        # the values of all samples are kept, twice while a step replaces them, and held by the host once more
        most = int(context.memory_gib * 2**30 / 64 / (1 + len(self.observables)))
        if n_steps * a_step > most:
            why = f"the local values of all samples are kept within memory_gib={context.memory_gib:g}"
            raise bad("task.samples", self.samples, f"at most {most}: {why}")
        measured = {
            label: one.resolved(context, f"task.observables.{label}") for label, one in self.observables.items()
        }
        return dataclasses.replace(self, n_steps=n_steps, observables=measured)

    @property
    def total_steps(self) -> int:
        return self.n_steps

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.tasks.evaluate import evaluate
        from nqs_hpc.tasks.final import System

        operator = pieces.operator
        return evaluate(
            pieces.ansatz,
            operator,
            {label: one.make(pieces) for label, one in self.observables.items()},
            pieces.sampler,
            pieces.comm,
            hilbert=pieces.hilbert,
            system=System(pieces.lattice.n_sites, operator.bounds, operator.e_infinity),
            n_steps=self.n_steps,
            seed=pieces.seed,
            chunk=pieces.chunk,
            memory=pieces.memory,
        )
