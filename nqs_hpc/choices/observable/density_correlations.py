"""Densities and their correlators of all pairs of sites (`observables.density_correlations`)."""

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
class DensityCorrelations(Observable):
    few_values: ClassVar[int] = 8  # for two sites; for more, sums are kept

    def resolved(self, context: Context, prefix: str) -> Self:
        values = set(context.hilbert.local_values)
        if values != {1, -1} and min(values) < 0:
            valid = f"another observable, such as spin_correlations: these are {context.hamiltonian.words}"
            raise bad(prefix, self.name, valid)
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.density_correlations import density_correlations

        return density_correlations(pieces.lattice, pieces.hilbert)
