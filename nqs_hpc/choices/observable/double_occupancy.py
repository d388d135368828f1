"""Orbitals that hold two fermions (`observables.double_occupancy`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.observable._spins import check_fermions
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs.checks import bad

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class DoubleOccupancy(Observable):
    few_values: ClassVar[int] = 8  # for few sites; for more, sums are kept

    def resolved(self, context: Context, prefix: str) -> Self:
        check_fermions(context, prefix, self.name, with_spin=True)
        if context.hilbert.excluded:
            raise bad(
                prefix,
                self.name,
                f"another observable: hamiltonian={context.hamiltonian.name} has no orbitals with two fermions",
            )
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.double_occupancy import double_occupancy

        return double_occupancy(pieces.lattice)
