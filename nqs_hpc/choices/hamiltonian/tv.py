"""hamiltonian=tv: fermions without spin that hop and repel each other on neighbouring sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.hamiltonian._bonds import numbers
from nqs_hpc.choices.hamiltonian._hopping import Hopping
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.system.fermion_strings import FermionString, number
from nqs_hpc.system.lattice import Lattice, pair_couplings


@dataclass(frozen=True)
class TV(Hopping):
    """H = -sum_o t_o sum_<ij>_o (c+_i c_j + h.c.) + sum_o V_o sum_<ij>_o n_i n_j."""

    examples: ClassVar[Examples] = ({}, {"V": [1.0, 0.5]}, {"t": [-1.0, 0.3]}, {"t": 0.0}, {"phases": 0.3})
    by_order: ClassVar[tuple[str, ...]] = ("t", "V")
    V: tuple[float, ...] = key(numbers(), "repulsion of nearest neighbours, or a list by neighbour order")

    @property
    def has_spin(self) -> bool:
        return False

    def fermions(self, lattice: Lattice) -> tuple[FermionString, ...]:
        pairs = pair_couplings(lattice, self.V)
        return (*self.hopping(lattice), *(number(V, *pair) for pair, V in pairs.items() if V))
