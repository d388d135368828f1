"""hamiltonian=shastry_sutherland: a square lattice of coupled dimers (`operators.shastry_sutherland`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian import _totals
from nqs_hpc.choices.hamiltonian._marshall import Marshalled
from nqs_hpc.choices.hamiltonian.base import Element
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.operators.shastry_sutherland import dimers
from nqs_hpc.system.graph import connected
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice, bond_weights, neighbours, pair_couplings
from nqs_hpc.types import Operator, PauliString


@dataclass(frozen=True)
class ShastrySutherland(Marshalled):
    examples: ClassVar[Examples] = ({}, {"J": 0.8, "J_dimer": 0.0}, {"J": -0.5, "marshall": False})
    J: float = key(checks.number(), "coupling of nearest neighbours")
    J_dimer: float = key(checks.number(), "coupling of the dimers, called J' in the literature")

    def is_antiferromagnet(self, lattice: Lattice) -> bool:
        # dimers join sites of the same sublattice: Marshall's signs leave them positive, and help if they are weak
        return self.J_dimer < self.J

    def resolved(self, lattice: Lattice) -> Self:
        one_line("hamiltonian", self.name, lambda: dimers(lattice))
        if self.J == self.J_dimer == 0:
            raise bad("hamiltonian.J", self.J, "another number than 0 for one of hamiltonian.J, .J_dimer")
        return self.marshalled(lattice)

    def ground_total(self, lattice: Lattice) -> Total:
        bonds = {pair: (coupling, coupling) for pair, coupling in self._couplings(lattice).items()}
        return _totals.of_bonds(bonds, lattice.n_sites)

    def orders(self) -> list[int]:
        return [1] if self.J else []

    def lines(self, lattice: Lattice) -> list[str]:
        first, *others = super().lines(lattice)
        return [f"{first}, {len(dimers(lattice))} dimers", *others]

    def _couplings(self, lattice: Lattice) -> dict[tuple[int, int], float]:
        """The total coupling of each pair i < j."""
        total = defaultdict(float, pair_couplings(lattice, (self.J,)))
        for i, j in dimers(lattice).tolist():
            total[i, j] += self.J_dimer
        return {pair: coupling for pair, coupling in total.items() if coupling != 0}

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        return [(pair, int(np.sign(coupling))) for pair, coupling in self._couplings(lattice).items()]

    def joins(self, lattice: Lattice) -> bool:
        return bool(self._couplings(lattice))

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        pairs = np.array(list(self._couplings(lattice)), dtype=np.int32).reshape(-1, 2)
        return total is not None and connected(lattice.n_sites, pairs)

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        return [
            PauliString(J / 4, ab, pair) for pair, J in self._couplings(lattice).items() for ab in ("XX", "YY", "ZZ")
        ]

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.heisenberg import heisenberg

        bonds: list[NDArray[np.int32]] = []
        couplings: list[float | NDArray[np.float64]] = []
        if self.J:
            weights = bond_weights(lattice, 1)
            bonds.append(neighbours(lattice, 1))
            couplings.append(self.J if weights is None else self.J * weights)
        return heisenberg(
            lattice.n_sites,
            [*bonds, dimers(lattice)],
            [*couplings, self.J_dimer],
            marshall_signs=signs_N,
        )
