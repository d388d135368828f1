"""How fast the state changes with the couplings of its network (`observables.fidelity_susceptibility`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs.checks import bad

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class FidelitySusceptibility(Observable):
    examples: ClassVar[Examples] = ()  # it needs a network with couplings as inputs
    of_sites: ClassVar[bool] = False
    few_values: ClassVar[int] = 8  # two couplings need five

    def resolved(self, context: Context, prefix: str) -> Self:
        if not context.ansatz.takes_couplings:
            network = f"a network that is told couplings, ansatz=foundation_vit, not {context.ansatz.name}"
            raise bad(prefix, self.name, f"with {network}")
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.fidelity_susceptibility import fidelity_susceptibility

        return fidelity_susceptibility(pieces.couplings, chunk=pieces.chunk)
