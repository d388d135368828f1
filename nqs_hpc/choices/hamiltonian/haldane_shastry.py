"""hamiltonian=haldane_shastry: a ring with couplings 1/chord^2 (`operators.haldane_shastry`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian._two_sublattices import TwoSublattices
from nqs_hpc.choices.hamiltonian.base import Element
from nqs_hpc.choices.hamiltonian.long_range import MAX_EXCHANGED
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.hilbert import Hilbert, Total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator, PauliString


@dataclass(frozen=True)
class HaldaneShastry(TwoSublattices):
    examples: ClassVar[Examples] = ({}, {"J": -0.7})
    J: float = key(checks.number(), "coupling at distance 1; positive is antiferromagnetic")

    def resolved(self, lattice: Lattice) -> Self:
        if self.J == 0:
            raise bad("hamiltonian.J", self.J, "a number other than 0")
        if lattice.name != "chain" or not all(lattice.pbc) or lattice.n_sites < 2:
            this = f"this is {lattice.told} with {'open' if not all(lattice.pbc) else 'periodic'} sides"
            few = f", {lattice.n_sites} site" if lattice.n_sites < 2 else ""
            valid = f"{self.name} with lattice=chain, lattice.pbc=true and at least 2 sites; {this}{few}"
            raise bad("hamiltonian", self.name, valid)
        if lattice.double_bonds:
            valid = f"false with hamiltonian={self.name}, where each pair of spins counts once"
            raise bad("lattice.double_bonds", True, valid)
        if lattice.n_sites > MAX_EXCHANGED:
            raise bad("lattice.length", lattice.n_sites, f"at most {MAX_EXCHANGED}: every pair of spins is a move")
        return self.gauged(lattice)

    def conserves(self) -> bool:
        return True

    def ground_total(self, lattice: Lattice) -> Total:
        return lattice.n_sites % 2 if self.J > 0 else None

    def compared(self, hilbert: Hilbert, *, of_symmetry: bool) -> list[Hilbert]:
        if hilbert.total is not None:  # every multiplet has a state of the least total
            return [self.space(hilbert.n_sites, hilbert.n_sites % 2)]
        return super().compared(hilbert, of_symmetry=of_symmetry)

    def lines(self, lattice: Lattice) -> list[str]:
        n = lattice.n_sites
        return [f"lattice: {n} sites on a ring, {n * (n - 1) // 2} pairs of spins"]

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        return [(pair, int(np.sign(self.J))) for pair in combinations(range(lattice.n_sites), 2)]

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        return total is not None

    def positive_signs(self, lattice: Lattice) -> NDArray[np.int8] | None:
        """The result of `elements`: for three sites whose pairs are all positive no signs exist."""
        if self.J < 0:
            return np.ones(lattice.n_sites, dtype=np.int8)
        return np.array([1, -1], dtype=np.int8) if lattice.n_sites == 2 else None

    def nearest_coupling(self) -> float:
        return self.J

    def is_positive(self, lattice: Lattice) -> bool:
        """With Marshall's signs, although second neighbours are frustrated."""
        return bool(self.gauge) and lattice.n_sites % 2 == 0

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        n = lattice.n_sites
        couplings = {(i, j): self.J * (np.pi / n / np.sin(np.pi * (j - i) / n)) ** 2
                     for i, j in combinations(range(n), 2)}  # fmt: skip
        return [PauliString(float(J) / 4, ab, pair) for pair, J in couplings.items() for ab in ("XX", "YY", "ZZ")]

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.haldane_shastry import haldane_shastry

        return haldane_shastry(lattice.n_sites, J=self.J, signs=signs_N)
