"""The spins of all sites, one by one (`observables.local_spins`)."""

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
class LocalSpins(Observable):
    examples: ClassVar[Examples] = ({}, {"components": "z"})
    few_values: ClassVar[int] = 8  # for two sites, or eight with only z; for more, sums are kept
    components: str = key(checks.choice("all", "z"), "all: x, y and z; z: only z, which needs no ratios")

    def resolved(self, context: Context, prefix: str) -> Self:
        check_spins(context, prefix, self.name, halves=True)
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.local_spins import local_spins

        return local_spins(pieces.lattice, "z" if self.components == "z" else "xyz")
