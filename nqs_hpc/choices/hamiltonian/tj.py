"""hamiltonian=tj: the t-J model, holes in an antiferromagnet; no site holds two fermions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian._bonds import numbers
from nqs_hpc.choices.hamiltonian._hopping import Hopping, joined
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.system.fermion_strings import FermionString, number
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice, pair_couplings
from nqs_hpc.system.layers import one_layer
from nqs_hpc.types import Operator


@dataclass(frozen=True)
class TJ(Hopping):
    """H = P [-sum_o t_o sum_<ij>_o sum_s (c+_is c_js + h.c.) + sum_o J_o sum_<ij>_o (S_i . S_j - n_i n_j / 4)] P,

    with P the projector onto states without doubly occupied sites. F. C. Zhang and T. M. Rice, Phys. Rev. B 37, 3759
    (1988), doi:10.1103/PhysRevB.37.3759.
    """

    examples: ClassVar[Examples] = ({}, {"t": [1.0, -0.3], "J": 0.5}, {"t": 0.0}, {"J": 0.0}, {"phases": 1.0})
    by_order: ClassVar[tuple[str, ...]] = ("t", "J")
    J: tuple[float, ...] = key(numbers(), "exchange of nearest neighbours, or a list by neighbour order")

    @property
    def is_double(self) -> bool:
        return False

    def fermions(self, lattice: Lattice) -> tuple[FermionString, ...]:
        found = self.hopping(lattice)
        n = lattice.n_sites // 2
        for (i, j), J in self._exchanges(lattice).items():
            # S_i . S_j - n_i n_j / 4 = [S+_i S-_j + h.c. - n_iu n_jd - n_id n_ju] / 2 without double occupation
            for a, b in ((i, j), (j, i)):
                raised = ((a, True), (a + n, False), (b + n, True), (b, False))
                found += [FermionString(J / 2, raised), number(-J / 2, a, b + n)]
        return tuple(found)

    def _exchanges(self, lattice: Lattice) -> dict[tuple[int, int], float]:
        return {pair: J for pair, J in pair_couplings(one_layer(lattice), self.J).items() if J}

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        """Exchanges and hops along the same connected graph bring holes and spins into any order; with one kind of spin
        hops are enough, and without holes exchanges are.
        """
        if not isinstance(total, tuple):
            return False
        one = one_layer(lattice)
        hops, swaps = {pair for pair, t in self.hops(lattice).items() if t}, set(self._exchanges(lattice))
        if 0 in total:
            return joined(one, sorted(hops)) or sum(total) in (0, one.n_sites)
        return joined(one, sorted(swaps if sum(total) == one.n_sites else hops & swaps))

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        # means over the three states of a site: n_i n_j is (2/3)^2, S_i . S_j is 0
        mean = -sum(self._exchanges(lattice).values()) / 9
        return super().make(lattice, signs_N)._replace(e_infinity=float(mean))
