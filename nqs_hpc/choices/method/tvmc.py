"""method=tvmc: the time-dependent variational principle (`tasks.dynamics`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nqs_hpc.choices.integrator.base import Integrator
from nqs_hpc.choices.method.base import Method

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Projection, Task


@dataclass(frozen=True)
class Tvmc(Method):
    def make(
        self, pieces: Pieces, projection: Projection, *, integrator: Integrator, least_shift: float, **options: Any
    ) -> Task:
        from nqs_hpc.tasks.dynamics import dynamics

        del least_shift
        parts = (pieces.ansatz, pieces.operator, pieces.sampler, projection, pieces.comm)
        return dynamics(*parts, integrator=integrator.make(), **options)
