"""hamiltonian=kitaev: couplings of nearest neighbours by the direction of their bond (`operators.kitaev`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from nqs_hpc.choices.hamiltonian._strings import OfStrings
from nqs_hpc.choices.hamiltonian.base import Gauged
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.operators.kitaev import LETTERS, kitaev_strings
from nqs_hpc.system.directions import bonds_by_direction, directions
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import PauliString


@dataclass(frozen=True)
class Kitaev(OfStrings, Gauged):
    """Resolved: ``J`` is (Jx, Jy, Jz)."""

    examples: ClassVar[Examples] = (
        {},
        {"J": [1.0, -0.5, 0.3], "hx": 0.2, "hz": -0.1},
        {"J": 0.0, "heisenberg": 0.3, "hx": -0.4},
        {"Gamma": 0.2, "heisenberg": -0.1, "hy": 0.3},
    )
    J: tuple[float, ...] = key(
        checks.one_or_list(checks.number()), "coupling of the three kinds of bonds, or [Jx, Jy, Jz]"
    )
    heisenberg: float = key(checks.number(), "Heisenberg coupling of all nearest neighbours, with a plus sign")
    Gamma: float = key(checks.number(), "coupling of the two other components of a bond; makes elements complex")
    hx: float = key(checks.number(), "field along x")
    hy: float = key(checks.number(), "field along y; makes elements complex")
    hz: float = key(checks.number(), "field along z")

    def resolved(self, lattice: Lattice) -> Self:
        J = self.J if isinstance(self.J, tuple) else (self.J,) * 3
        if len(J) != 3:
            raise bad("hamiltonian.J", self.J, "a number, or three: [Jx, Jy, Jz]")
        found = 0 if lattice.edges is not None else len(directions(lattice, 1))
        if found != 3:
            has = f"{lattice.told} has {found}" if found else f"{lattice.told} has no positions"
            valid = f"a lattice whose nearest neighbours lie along three directions, as lattice=honeycomb; {has}"
            raise bad("hamiltonian", self.name, valid)
        if not any((*J, self.heisenberg, self.Gamma, self.hx, self.hy, self.hz)):
            names = "hamiltonian.J, .heisenberg, .Gamma, .hx, .hy, .hz"
            raise bad("hamiltonian.J", self.J, f"another number than 0 for one of {names}")
        return dataclasses.replace(self, J=J).gauged(lattice)

    def orders(self) -> list[int]:
        return [1] if any((*self.J, self.heisenberg, self.Gamma)) else []

    def lines(self, lattice: Lattice) -> list[str]:
        found = super().lines(lattice)
        kinds = []
        for letter, (axis, bonds, _) in zip(LETTERS, bonds_by_direction(lattice, 1), strict=True):
            along = ", ".join(f"{x + 0.0:.4g}" for x in np.round(axis, 6))
            kinds.append(f"{len(bonds)} {letter.lower()} along ({along})")
        return [*found, f"lattice: bonds by direction: {', '.join(kinds)}"] if self.orders() else found

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        # Gamma also flips single spins, and can cancel a field
        return (self.hx != 0 or self.hy != 0) and self.Gamma == 0

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        fields = (self.hx, self.hy, self.hz)
        return kitaev_strings(lattice, self.J, heisenberg=self.heisenberg, gamma=self.Gamma, fields=fields)
