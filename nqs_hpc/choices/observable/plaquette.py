"""Operators around plaquettes (`observables.plaquette`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.observable._spins import check_spins
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import links, plaquettes
from nqs_hpc.system.lattice import Lattice

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Plaquette(Observable):
    examples: ClassVar[Examples] = ()  # a chain has no plaquettes
    few_values: ClassVar[int] = 8  # for eight plaquettes; for more, sums are kept
    operator: str = key(
        checks.choice("ring", "X", "Z"),
        "ring: the cyclic exchange of the four spins and its inverse; X, Z: the product of these Pauli matrices",
    )

    def resolved(self, context: Context, prefix: str) -> Self:
        check_spins(context, prefix, self.name, halves=True)
        one_line(prefix, self.name, lambda: self._groups(context.lattice))
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.plaquette import plaquette

        return plaquette(self._groups(pieces.lattice), self.operator)

    def _groups(self, lattice: Lattice) -> list[tuple[int, ...]]:
        """On the links of a lattice X acts on stars, Z on faces, as in the toric code."""
        if lattice.name != links.NAME or self.operator == "ring":
            return plaquettes.squares(lattice)
        return links.stars(lattice) if self.operator == "X" else links.plaquettes(lattice)
