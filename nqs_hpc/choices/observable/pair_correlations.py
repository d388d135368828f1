"""Correlations of singlet pairs of fermions (`observables.pair_correlations`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.observable._spins import check_fermions
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.layers import one_layer
from nqs_hpc.system.pairing import WAVES, form_factors

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class PairCorrelations(Observable):
    examples: ClassVar[Examples] = ({}, {"wave": "extended_s"})
    few_values: ClassVar[int] = 8  # for three sites; for more, sums are kept
    wave: str = key(
        checks.choice(*WAVES),
        "s: two fermions on a site; extended_s: on nearest neighbours, equal signs; d: on lattice=square, opposite "
        "signs along x and y",
    )

    def resolved(self, context: Context, prefix: str) -> Self:
        check_fermions(context, prefix, self.name, with_spin=True)
        one_line(f"{prefix}.wave", self.wave, lambda: form_factors(one_layer(context.lattice), self.wave))
        if self.wave == "s" and context.hilbert.excluded:
            name = context.hamiltonian.name
            raise bad(
                f"{prefix}.wave", self.wave, f"extended_s or d: hamiltonian={name} has no orbitals with two fermions"
            )
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.pair_correlations import pair_correlations

        return pair_correlations(pieces.lattice, self.wave)
