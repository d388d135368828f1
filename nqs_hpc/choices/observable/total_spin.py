"""The total spin (`observables.total_spin`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.observable._spins import check_spins
from nqs_hpc.choices.observable.base import Observable

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class TotalSpin(Observable):
    def resolved(self, context: Context, prefix: str) -> Self:
        check_spins(context, prefix, self.name, of_fermions=True)
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.total_spin import total_spin

        return total_spin(pieces.basis, chunk=pieces.chunk, memory=pieces.memory)
