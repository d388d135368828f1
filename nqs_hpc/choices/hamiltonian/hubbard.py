"""hamiltonian=hubbard: fermions with spin that hop and repel each other on a site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from nqs_hpc.choices.hamiltonian._fermions import Fermions
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.fermion_strings import FermionString, hop, number
from nqs_hpc.system.lattice import Lattice, pair_couplings
from nqs_hpc.system.layers import one_layer


@dataclass(frozen=True)
class Hubbard(Fermions):
    examples: ClassVar[Examples] = ({}, {"t": [1.0, -0.2]}, {"U": -4.0})
    t: tuple[float, ...] = key(
        checks.Check(
            f"{checks.number().valid}, or a list of such",
            lambda value: checks.list_of(checks.number()).read(value if isinstance(value, list | tuple) else [value]),
        ),
        "hopping between nearest neighbours, or a list, one for each neighbour order",
    )
    U: float = key(checks.number(), "repulsion of two fermions on a site")

    def resolved(self, lattice: Lattice) -> Self:
        if not any(self.t) and not self.U:
            raise bad("hamiltonian.t", self.t, "another number than 0 for one of hamiltonian.t, .U")
        return self

    def most_orders(self) -> int | None:
        return len(self.t)

    def orders(self) -> list[int]:
        return [order for order, t in enumerate(self.t, 1) if t]

    def binds_pairs(self) -> bool:
        return self.U < 0

    def fermions(self, lattice: Lattice) -> tuple[FermionString, ...]:
        one = one_layer(lattice)
        n = one.n_sites
        found = [
            string
            for (i, j), t in pair_couplings(one, self.t).items()
            for spin in (0, n)
            for string in hop(-t, i + spin, j + spin)
        ]
        return (*found, *(number(self.U, i, i + n) for i in range(n) if self.U))
