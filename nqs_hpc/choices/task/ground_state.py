"""task=ground_state: the lowest energy, then that energy from fresh samples (`tasks.ground_state`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Auto, Examples, key
from nqs_hpc.choices.pieces import Pieces
from nqs_hpc.choices.task._second import second_of
from nqs_hpc.choices.task.base import Task, check_series
from nqs_hpc.inputs import checks
from nqs_hpc.system.hilbert import degrees, places
from nqs_hpc.types import Task as Functions


@dataclass(frozen=True)
class GroundState(Task):
    measures: ClassVar[bool] = True
    shortens: ClassVar[bool] = True
    examples: ClassVar[Examples] = ({"n_steps": 3, "final_samples": 64},)
    n_steps: int = key(checks.integer(), "updates of the parameters", physics=False)
    final_samples: int = key(
        checks.integer(), "samples of the final evaluation, rounded up to whole chains of at least 64", physics=False
    )

    second_samples: int | Auto = key(
        checks.either("auto", checks.integer(least=0)),
        "samples of the second ensemble, with other starts and other moves, with which the final energy is compared; "
        "auto: a quarter of task.final_samples; at least 16 of each ladder; 0: none",
        physics=False,
    )

    def resolved(self, context: Context) -> Self:
        check_series(context, "task.final_samples", self.final_samples)
        return super().resolved(context)

    @property
    def total_steps(self) -> int:
        return self.n_steps

    @property
    def samples_of_end(self) -> int:
        return self.final_samples

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.tasks.ground_state import ground_state

        return ground_state(*self._positional(pieces), **self._options(pieces))

    @staticmethod
    def _positional(pieces: Pieces) -> tuple[Any, ...]:
        return pieces.ansatz, pieces.operator, pieces.sampler, pieces.update(), pieces.comm

    def _options(self, pieces: Pieces) -> dict[str, Any]:
        """The keyword arguments of `tasks.ground_state`."""
        from nqs_hpc.tasks.final import System

        second_samples = self.final_samples // 4 if self.second_samples == "auto" else self.second_samples
        operator, optimizer = pieces.operator, pieces.optimizer
        system = System(
            places(pieces.hilbert),
            operator.bounds,
            operator.e_infinity,
            is_averaged=optimizer.average is not None,
            signs_off=pieces.signs_off,
            n_degrees=degrees(pieces.hilbert),
        )
        return {
            "hilbert": pieces.hilbert,
            "system": system,
            "n_steps": self.n_steps,
            "final_chain_length": pieces.sampler_choice.final_chain_length(self.final_samples),
            "max_rejected": optimizer.max_rejected,
            "seed": pieces.seed,
            "chunk": pieces.chunk,
            "memory": pieces.memory,
            "average": optimizer.average,
            "broadcast": optimizer.broadcast,
            "observables": pieces.observables(),
            "every": pieces.every,
            "basis": pieces.basis,
            "second": second_of(pieces, second_samples),
            "no_second": "task.second_samples=0",
            "fractions": optimizer.line_search or (),
        }
