"""hamiltonian=ring_exchange: spins that move around the squares of lattice=square (`operators.ring_exchange`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from nqs_hpc.choices.hamiltonian._bonds import by_orders, numbers
from nqs_hpc.choices.hamiltonian._marshall import Marshalled
from nqs_hpc.choices.hamiltonian._strings import OfStrings
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.operators.ring_exchange import ring_exchange_strings
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.plaquettes import squares
from nqs_hpc.types import PauliString


@dataclass(frozen=True)
class RingExchange(OfStrings, Marshalled):
    """Resolved: ``J`` is a tuple by neighbour order without trailing zeros."""

    examples: ClassVar[Examples] = ({}, {"J": [0.7, -0.2], "K": -0.3}, {"J": 0.0, "K": 1.0}, {"J": -1.0, "K": -0.5})
    J: tuple[float, ...] = key(numbers(), "coupling, or a list by neighbour order")
    K: float = key(checks.number(), "exchange around a square, both ways")

    def resolved(self, lattice: Lattice) -> Self:
        one_line("hamiltonian", self.name, lambda: squares(lattice))
        if lattice.double_bonds:
            valid = f"false with hamiltonian={self.name}, which takes each square once"
            raise bad("lattice.double_bonds", True, valid)
        found = dataclasses.replace(self, J=by_orders("J", self.J, lattice))
        if not any((*found.J, self.K)):
            raise bad("hamiltonian.J", self.J, "another number than 0 for one of hamiltonian.J, .K")
        return found.marshalled(lattice)

    def is_antiferromagnet(self, lattice: Lattice) -> bool:
        return self.J[0] > 0

    def ground_total(self, lattice: Lattice) -> Total:
        # the ground states of a ferromagnet have many totals; else every multiplet has a state of the least one
        return None if all(J <= 0 for J in self.J) and self.K <= 0 else lattice.n_sites % 2

    def most_orders(self) -> int | None:
        return len(np.atleast_1d(self.J))

    def orders(self) -> list[int]:
        return [order for order, coupling in enumerate(self.J, 1) if coupling]

    def lines(self, lattice: Lattice) -> list[str]:
        first, *others = super().lines(lattice)
        return [f"{first}, {len(squares(lattice))} squares", *others]

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        return ring_exchange_strings(lattice, self.J, self.K)
