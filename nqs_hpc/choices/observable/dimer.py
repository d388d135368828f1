"""Bond energies and the correlations of dimers (`observables.dimer`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.observable._spins import check_spins
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.lattice import neighbours

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Dimer(Observable):
    examples: ClassVar[Examples] = ({}, {"order": 2, "reference": 3})
    few_values: ClassVar[int] = 8  # for four bonds; for more, sums are kept
    order: int = key(checks.integer(), "neighbour order of the bonds: 1 nearest, 2 next-nearest")
    reference: int = key(checks.integer(least=0), "number of the bond whose correlations with all others are measured")

    def resolved(self, context: Context, prefix: str) -> Self:
        check_spins(context, prefix, self.name, halves=True)
        bonds = one_line(f"{prefix}.order", self.order, lambda: neighbours(context.lattice, self.order))
        if self.reference >= len(bonds):
            raise bad(f"{prefix}.reference", self.reference, f"the number of a bond, 0 to {len(bonds) - 1}")
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.dimer import dimer

        return dimer(neighbours(pieces.lattice, self.order), self.reference)
