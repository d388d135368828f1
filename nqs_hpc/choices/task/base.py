"""What every task answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.optimizer.base import Optimizer

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Task as Functions
    from nqs_hpc.update.cost import Size


class Solving(Protocol):
    """How a choice wants linear systems solved: `choices.optimizer.base.Optimizer` says what each means."""

    def asked_solver(self) -> str | None: ...

    def asked_blocks(self) -> int | str | None: ...

    def chosen_solver(self, size: Size, wide: int, memory: float) -> str | None: ...


@dataclass(frozen=True)
class Task:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys under which contract tests try it, on a chain of six sites
    prefix: ClassVar[str] = ""  # of the name of its runs
    optimizes: ClassVar[bool] = True  # whether the optimizer has anything to do
    measures: ClassVar[bool] = False  # whether it measures observables
    source_key: ClassVar[str | None] = None  # which names a run whose system and wave function it takes over

    def resolved(self, context: Context) -> Self:
        """Every key in its final form; raises InputError where the task does not fit the rest."""
        del context
        return self

    def source(self) -> tuple[str, str] | None:
        """The key and the value that name the run whose configuration this job takes over; None: it takes none."""
        if self.source_key is None:
            return None
        return f"task.{self.source_key}", getattr(self, self.source_key)

    def others(self) -> tuple[tuple[str, Any], ...]:
        """Runs whose wave functions the job computes with: the path of each, and what it is made from
        (`config.lower.Wave`).
        """
        return ()

    def start(self) -> tuple[str, Any] | None:
        """The key and its value that say which state the job begins with, in place of random parameters and of those
        that ``init_from`` names; None: neither.
        """
        return None

    @property
    def level(self) -> int:
        """Which level of the sector it looks for, counted with multiplicity from 0."""
        return 0

    def solving(self, optimizer: Optimizer) -> Solving | None:
        """What answers how linear systems are solved; None where there are none."""
        return optimizer if self.optimizes else None

    @property
    def total_steps(self) -> int | None:
        """The lines of metrics.jsonl of a run that is done; None where that is not known beforehand."""
        raise NotImplementedError

    def is_met(self, summary: Mapping[str, Any]) -> bool:
        """Whether a run that ended with this summary.json (of any content) has nothing left to do for such a task;
        asked where ``total_steps`` is None.
        """
        del summary
        return True

    @property
    def samples_of_end(self) -> int | None:
        """The samples that what ends a run is computed from, for tasks that can do that again with more of them."""
        return None

    def make(self, pieces: Pieces) -> Functions:
        raise NotImplementedError
