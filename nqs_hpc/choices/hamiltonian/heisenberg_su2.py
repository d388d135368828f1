"""hamiltonian=heisenberg_su2: an open chain in a basis of total spins (`operators.heisenberg_su2`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian.base import Element, Gauged
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.hilbert import Hilbert, Total, one_total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.spaces import paths
from nqs_hpc.types import Operator


@dataclass(frozen=True)
class HeisenbergSu2(Gauged):
    """The conserved total is twice the total spin."""

    examples: ClassVar[Examples] = ({}, {"J": -0.7}, {"J": -0.7, "gauge": False})
    J: float = key(checks.number(), "coupling of nearest neighbours; positive is antiferromagnetic")

    def resolved(self, lattice: Lattice) -> Self:
        if self.J == 0:
            raise bad("hamiltonian.J", self.J, "a number other than 0")
        if lattice.name != "chain" or any(lattice.pbc):
            this = f"this is {lattice.told} with {'periodic' if any(lattice.pbc) else 'open'} sides"
            valid = f"{self.name} with lattice=chain and lattice.pbc=false; {this}"
            raise bad("hamiltonian", self.name, valid)
        return self.gauged(lattice)

    def space(self, n_sites: int, total: Total = None) -> Hilbert:
        return paths(n_sites, one_total(total))

    def conserves(self) -> bool:
        return True

    def ground_total(self, lattice: Lattice) -> Total:
        """The least total spin, for an antiferromagnet (E. Lieb, D. Mattis, J. Math. Phys. 3, 749 (1962),
        doi:10.1063/1.1724276); for a ferromagnet the largest one, which has a single state.
        """
        return lattice.n_sites % 2 if self.J > 0 else None

    def told(self, total: Total, n_sites: int) -> str:
        twice = one_total(total)
        if twice is None:
            return ""
        return f"total spin {twice // 2}" if twice % 2 == 0 else f"total spin {twice}/2"

    def orders(self) -> list[int]:
        return [1]

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        return [((i, i + 1), -int(np.sign(self.J))) for i in range(1, lattice.n_sites - 1)]

    def joins(self, lattice: Lattice) -> bool:
        return lattice.n_sites > 2

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        return total is not None

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.heisenberg_su2 import heisenberg_su2

        return heisenberg_su2(lattice.n_sites, J=self.J, signs=signs_N)
