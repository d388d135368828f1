"""hamiltonian=hubbard: fermions with spin that hop and repel each other on a site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.hamiltonian._hopping import Hopping
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.system.fermion_strings import FermionString, number
from nqs_hpc.system.lattice import Lattice


@dataclass(frozen=True)
class Hubbard(Hopping):
    """H = -sum_o t_o sum_<ij>_o sum_s (c+_is c_js + h.c.) + U sum_i n_i,up n_i,down.

    J. Hubbard, Proc. R. Soc. A 276, 238 (1963), doi:10.1098/rspa.1963.0204.
    """

    examples: ClassVar[Examples] = ({}, {"t": [1.0, -0.2]}, {"U": -4.0, "t": -1.0}, {"t": 0.0}, {"phases": 1.0})
    U: float = key(checks.number(), "repulsion of two fermions on a site")

    def binds_pairs(self) -> bool:
        return self.U < 0

    def fermions(self, lattice: Lattice) -> tuple[FermionString, ...]:
        n = lattice.n_sites // 2
        return (*self.hopping(lattice), *(number(self.U, i, i + n) for i in range(n) if self.U))
