"""The density of particles of every site (`observables.density`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs.checks import bad

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Density(Observable):
    few_values: ClassVar[int] = 8  # for few sites; for more, sums are kept

    def resolved(self, context: Context, prefix: str) -> Self:
        if min(context.hilbert.local_values) < 0:
            words = context.hamiltonian.words
            raise bad(prefix, self.name, f"another observable, such as magnetization: these are {words}")
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.density import density

        return density(pieces.lattice, fixed=pieces.hilbert.total is not None)
