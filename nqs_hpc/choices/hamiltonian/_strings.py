"""What Hamiltonians share that are sums of Pauli strings, given by their keys and the lattice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian._signs import of_strings
from nqs_hpc.choices.hamiltonian.base import Element, Hamiltonian
from nqs_hpc.operators import pauli_strings
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator, PauliString


@dataclass(frozen=True)
class OfStrings(Hamiltonian):
    """A Hamiltonian whose facts and matrix elements follow from its ``strings``."""

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        """The complete sum, on the lattice of the sites."""
        raise NotImplementedError

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        return of_strings(self.strings(lattice))

    def joins(self, lattice: Lattice) -> bool:
        return bool(of_strings(self.strings(lattice)))

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.pauli import pauli

        return pauli(lattice.n_sites, pauli_strings.rotated(self.strings(lattice), signs_N))
