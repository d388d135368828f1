"""method=ptvmc: projected evolution (`tasks.projected`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nqs_hpc.choices.integrator.base import Integrator
from nqs_hpc.choices.keys import key
from nqs_hpc.choices.method.base import Method
from nqs_hpc.inputs import checks

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Projection, Task


@dataclass(frozen=True)
class Ptvmc(Method):
    integrator: ClassVar[str] = "lpe"
    adapts: ClassVar[bool] = True
    infidelity: float = key(
        checks.number(above=0, below=1),
        "1 - fidelity at which the search of a substep ends; it also ends when steps no longer improve it",
    )
    iterations: int = key(checks.integer(least=2), "most evaluations in the search of a substep")

    def make(
        self, pieces: Pieces, projection: Projection, *, integrator: Integrator, least_shift: float, **options: Any
    ) -> Task:
        from nqs_hpc.tasks.projected import Goal, projected

        parts = (pieces.ansatz, pieces.operator, pieces.sampler, projection, pieces.comm)
        goal = Goal(self.infidelity, self.iterations)
        return projected(*parts, expansion=integrator.make(), goal=goal, least_shift=least_shift, **options)
