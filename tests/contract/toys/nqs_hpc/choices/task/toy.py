"""task=toy (`tasks.toy`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.keys import key
from nqs_hpc.choices.task.base import Task
from nqs_hpc.inputs import checks

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Task as Functions


@dataclass(frozen=True)
class Toy(Task):
    prefix: ClassVar[str] = "toy-"
    optimizes: ClassVar[bool] = False
    n_steps: int = key(checks.integer(), "calls of the sampler", physics=False)

    @property
    def total_steps(self) -> int:
        return self.n_steps

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.tasks.toy import toy

        return toy(pieces.ansatz, pieces.sampler, pieces.comm, n_steps=self.n_steps, seed=pieces.seed)
