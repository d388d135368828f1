"""Correlators of all pairs of spins, with their structure factors (`observables.spin_correlations`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.observable._spins import check_spins
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs import checks

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class SpinCorrelations(Observable):
    examples: ClassVar[Examples] = ({}, {"components": "z"})
    few_values: ClassVar[int] = 8  # for two or three sites; for more, sums are kept
    components: str = key(checks.choice("all", "z"), "all: xx, yy, zz and their sum; z: only zz, which needs no ratios")

    def resolved(self, context: Context, prefix: str) -> Self:
        check_spins(context, prefix, self.name, of_fermions=True)
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.spin_correlations import spin_correlations

        of_z = self.components == "z"
        return spin_correlations(pieces.lattice, pieces.basis, of_z=of_z, chunk=pieces.chunk, memory=pieces.memory)
