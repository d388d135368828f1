"""The momentum distribution of fermions (`observables.momentum_distribution`)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.observable._spins import check_fermions
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Momenta(Observable):
    examples: ClassVar[Examples] = ({}, {"phases": [0.5]})
    few_values: ClassVar[int] = 8  # for few sites; for more, sums are kept
    phases: tuple[float, ...] | None = key(
        checks.either("auto", checks.optional(checks.list_of(checks.number()))),
        "phases of hops across the boundary in units of pi, one for each direction, which shift the momenta; auto: "
        "those of the Hamiltonian; null: none",
    )

    def resolved(self, context: Context, prefix: str) -> Self:
        check_fermions(context, prefix, self.name)
        given: Any = self.phases
        if given == "auto":
            return dataclasses.replace(self, phases=context.hamiltonian.twist() or None)
        if given is not None and len(given) != len(context.lattice.extent):
            valid = f"auto, null, or one for each of the {len(context.lattice.extent)} directions of the lattice"
            raise bad(f"{prefix}.phases", given, valid)
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.momentum_distribution import momentum_distribution

        return momentum_distribution(
            pieces.lattice, is_real=pieces.ansatz.kind in ("real", "signed"), phases=self.phases or ()
        )
