"""An observable that is the magnetisation times a number, by its own local values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nqs_hpc.choices.keys import key
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs import checks

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Toy(Observable):
    times: float = key(checks.number(), "factor of the toy")

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.types import Local
        from nqs_hpc.types import Observable as Functions

        times = self.times
        return Functions(Local(lambda ansatz: lambda frozen, s_BN, time=None: times * s_BN.sum(axis=1, dtype=float)))
