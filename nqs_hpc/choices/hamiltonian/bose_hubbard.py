"""hamiltonian=bose_hubbard: bosons with a hard limit per site (`operators.bose_hubbard`)."""

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
from nqs_hpc.system.graph import connected
from nqs_hpc.system.hilbert import Hilbert, Total, bosons, one_total
from nqs_hpc.system.lattice import Lattice, bond_weights, neighbours, pair_couplings
from nqs_hpc.types import Operator


@dataclass(frozen=True)
class BoseHubbard(Gauged):
    examples: ClassVar[Examples] = (
        {"n_max": 2},
        {"J": -1.0, "U": 2.0, "n_max": 1},
        {"mu": 0.5, "n_max": 2},
        {"J": 0.0, "n_max": 2},
    )
    words: ClassVar[str] = "bosons"
    J: float = key(checks.number(), "hopping between nearest neighbours")
    U: float = key(checks.number(), "repulsion of two bosons on a site")
    mu: float = key(checks.number(), "chemical potential")
    n_max: int = key(checks.integer(below=128), "largest number of bosons on a site")

    def resolved(self, lattice: Lattice) -> Self:
        if self.J == self.U == self.mu == 0:
            raise bad("hamiltonian.J", self.J, "another number than 0 for one of hamiltonian.J, .U, .mu")
        return self.gauged(lattice)

    def space(self, n_sites: int, total: Total = None) -> Hilbert:
        return bosons(n_sites, self.n_max, one_total(total))

    def conserves(self) -> bool:
        return True

    def ground_total(self, lattice: Lattice) -> Total:
        if self.mu != 0:  # it determines the number of bosons
            return None
        return lattice.n_sites if self.n_max > 1 else lattice.n_sites // 2

    def check_total(self, total: Total, n_sites: int) -> None:
        if not isinstance(total, int) or not 0 <= total <= self.n_max * n_sites:
            most = f"{self.n_max * n_sites} bosons, hamiltonian.n_max={self.n_max} on each of {n_sites} sites"
            raise bad("sector", total, f"auto, none, or 0 to {most}")
        super().check_total(total, n_sites)

    def compared(self, hilbert: Hilbert, *, of_symmetry: bool) -> list[Hilbert]:
        if self.mu == 0:  # the number of bosons is given: energies of different numbers are not compared
            return [hilbert] if of_symmetry else []
        return super().compared(hilbert, of_symmetry=of_symmetry)

    def orders(self) -> list[int]:
        return [1] if self.J else []

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        hops = pair_couplings(lattice, (self.J,))
        return [(pair, int(np.sign(-coupling))) for pair, coupling in hops.items() if coupling != 0]

    def joins(self, lattice: Lattice) -> bool:
        return len(self._pairs(lattice)) > 0

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        return total is not None and connected(lattice.n_sites, self._pairs(lattice))

    def _pairs(self, lattice: Lattice) -> NDArray[np.int32]:
        """The pairs of sites (n, 2) between which bosons hop."""
        total = pair_couplings(lattice, (self.J,))
        return np.array([pair for pair, coupling in total.items() if coupling != 0], dtype=np.int32).reshape(-1, 2)

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.bose_hubbard import bose_hubbard

        edges, weights, J = neighbours(lattice, 1), bond_weights(lattice, 1), self.J
        if signs_N is not None:
            signs_n = np.prod(signs_N[edges], axis=1)
            if weights is None and len(set(signs_n.tolist())) == 1:  # one coupling for all bonds
                J = J * int(signs_n[0])
            else:
                weights = signs_n * (1.0 if weights is None else weights)
        return bose_hubbard(lattice.n_sites, edges, J=J, U=self.U, mu=self.mu, n_max=self.n_max, weights=weights)
