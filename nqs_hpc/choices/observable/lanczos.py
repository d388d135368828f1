"""The energy after one Lanczos step (`observables.lanczos`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.observable.base import Observable

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Lanczos(Observable):
    of_sites: ClassVar[bool] = False
    of_hamiltonian: ClassVar[bool] = True
    few_values: ClassVar[int] = 4

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.lanczos import lanczos

        return lanczos(pieces.operator, pieces.hilbert, chunk=pieces.chunk, memory=pieces.memory)
