"""The momentum distribution of fermions (`observables.momenta`)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import derived
from nqs_hpc.choices.observable._spins import check_fermions
from nqs_hpc.choices.observable.base import Observable

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Momenta(Observable):
    few_values: ClassVar[int] = 8  # of few sites; of more, sums are kept
    phases: tuple[float, ...] = derived(physics="given")  # of hops across the boundary, which shift the momenta

    def resolved(self, context: Context, prefix: str) -> Self:
        check_fermions(context, prefix, self.name)
        return dataclasses.replace(self, phases=context.hamiltonian.twist())

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.momenta import momenta

        return momenta(pieces.lattice, is_real=pieces.ansatz.kind in ("real", "signed"), phases=self.phases)
