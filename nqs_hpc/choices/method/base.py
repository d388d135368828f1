"""What every method of time evolution answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nqs_hpc.choices.integrator.base import Integrator
from nqs_hpc.choices.keys import Examples

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Projection, Task


@dataclass(frozen=True)
class Method:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys under which contract tests try it
    integrator: ClassVar[str] = "heun"  # of a task that names none
    adapts: ClassVar[bool] = False  # whether it gives the projection a shift in place of the number of a step

    def make(
        self, pieces: Pieces, projection: Projection, *, integrator: Integrator, least_shift: float, **options: Any
    ) -> Task:
        """``least_shift``: of one that adapts it, the least; ``options``: what all methods take."""
        raise NotImplementedError
