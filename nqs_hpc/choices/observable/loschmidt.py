"""The Loschmidt echo of a trajectory (`observables.loschmidt`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.observable.base import Observable

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Loschmidt(Observable):
    of_sites: ClassVar[bool] = False
    examples: ClassVar[Examples] = ()  # a single state has none
    few_values: ClassVar[int] = 0
    of_trajectories: ClassVar[bool] = True

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.loschmidt import loschmidt

        return loschmidt(pieces.hilbert, chunk=pieces.chunk)
