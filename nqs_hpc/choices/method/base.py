"""The facts and methods of every method of time evolution."""

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
    examples: ClassVar[Examples] = ({},)  # keys with which contract tests run it
    integrator: ClassVar[str] = "heun"  # default of task.integrator
    adapts: ClassVar[bool] = False  # whether it passes a shift to the projection instead of the number of a step

    def make(
        self, pieces: Pieces, projection: Projection, *, integrator: Integrator, least_shift: float, **options: Any
    ) -> Task:
        """``least_shift``: the smallest shift, for methods that adapt it; ``options``: arguments of all methods."""
        raise NotImplementedError
