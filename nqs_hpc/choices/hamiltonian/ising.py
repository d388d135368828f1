"""hamiltonian=ising: the transverse-field Ising model (`operators.ising`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian._signs import one_sign
from nqs_hpc.choices.hamiltonian.base import Element, Gauged
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice, bond_weights, neighbours
from nqs_hpc.types import Operator


@dataclass(frozen=True)
class Ising(Gauged):
    examples: ClassVar[Examples] = ({}, {"J": -1.0, "h": -0.7, "g": 0.3}, {"h": 0.0})
    J: float = key(checks.number(), "coupling of nearest neighbours; positive is ferromagnetic")
    h: float = key(checks.number(), "transverse field")
    g: float = key(checks.number(), "longitudinal field")

    def resolved(self, lattice: Lattice) -> Self:
        if self.J == self.h == self.g == 0:
            raise bad("hamiltonian.J", self.J, "another number than 0 for one of hamiltonian.J, .h, .g")
        return self.gauged(lattice)

    def conserves(self) -> bool:
        return self.h == 0  # then it is diagonal; sector=auto stays none, so that a sweep in h stays in one space

    def why_not_conserved(self) -> str:
        return " with h other than 0"

    def orders(self) -> list[int]:
        return [1] if self.J else []

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        return [((i,), int(np.sign(-self.h))) for i in range(lattice.n_sites) if self.h != 0]

    def joins(self, lattice: Lattice) -> bool:
        return self.h != 0

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        return self.h != 0

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.ising import ising

        edges, weights = neighbours(lattice, 1), bond_weights(lattice, 1)
        h = self.h * one_sign(signs_N)  # it stands at all sites, and so do the signs
        return ising(lattice.n_sites, edges, J=self.J, h=h, g=self.g, weights=weights)
