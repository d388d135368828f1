"""What Hamiltonians of fermions share: the space of the modes, and matrix elements from strings of operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian import _bonds
from nqs_hpc.choices.hamiltonian._signs import of_strings
from nqs_hpc.choices.hamiltonian.base import Element, Hamiltonian
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.fermion_bounds import bounds
from nqs_hpc.system.fermion_strings import FermionString, jordan_wigner
from nqs_hpc.system.hilbert import Hilbert, Total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import layered, one_layer
from nqs_hpc.system.spaces import fermions, spinless_fermions
from nqs_hpc.types import Operator, PauliString


@dataclass(frozen=True)
class Fermions(Hamiltonian):
    """With spin the sites are two layers of the lattice, up and down; the conserved numbers are [N_up, N_down]."""

    words: ClassVar[str] = "fermions"
    signs_key: ClassVar[str] = ""  # signs of modes cannot cancel those of exchanges

    @property
    def has_spin(self) -> bool:
        return True

    @property
    def is_double(self) -> bool:
        """Whether an orbital can hold two fermions."""
        return True

    def sites(self, lattice: Lattice) -> Lattice:
        return layered(lattice, 2) if self.has_spin and lattice.layers == 1 else lattice

    def space(self, n_sites: int, total: Total = None) -> Hilbert:
        if not self.has_spin:
            assert total is None or isinstance(total, int)
            return spinless_fermions(n_sites, total)
        n_up, n_down = (None, None) if total is None else total  # type: ignore[misc]
        return fermions(n_sites // 2, n_up, n_down, double=self.is_double)

    def fermions(self, lattice: Lattice) -> tuple[FermionString, ...]:
        """The Hamiltonian in operators of the modes; ``lattice`` is that of the sites."""
        raise NotImplementedError

    def strings(self, lattice: Lattice) -> Sequence[PauliString] | None:
        return jordan_wigner(self.fermions(lattice)) if self.is_double or not self.has_spin else None

    def conserves(self) -> bool:
        return True

    def ground_total(self, lattice: Lattice) -> Total:
        """Half filling."""
        if not self.has_spin:
            return lattice.n_sites // 2
        n = lattice.n_sites // 2
        return (n + 1) // 2, n // 2

    def check_total(self, total: Total, n_sites: int) -> None:
        if not self.conserves():
            what = "the numbers of fermions" if self.has_spin else "the number of fermions"
            why = f"hamiltonian={self.name}{self.why_not_conserved()} does not conserve {what}"
            raise bad("sector", total, f"auto or none: {why}")
        if self.has_spin:
            n = n_sites // 2
            fits = isinstance(total, tuple) and len(total) == 2 and all(0 <= number <= n for number in total)
            if not fits or (not self.is_double and sum(total) > n):  # type: ignore[arg-type]
                most = "" if self.is_double else f", together at most {n}"
                raise bad("sector", total, f"auto, none, or [N_up, N_down], each 0 to {n}{most}")
        elif not isinstance(total, int) or not 0 <= total <= n_sites:
            raise bad("sector", total, f"auto, none, or the number of fermions, 0 to {n_sites}")
        one_line("sector", total, lambda: self.space(n_sites, total))

    def told(self, total: Total, n_sites: int) -> str:
        if total is None:
            return ""
        n = n_sites // 2 if self.has_spin else n_sites
        number = sum(total) if isinstance(total, tuple) else total
        return f"{number} fermion{'s' * (number != 1)} on {n} {'orbitals' if self.has_spin else 'sites'}"

    def compared(self, hilbert: Hilbert, *, of_symmetry: bool) -> list[Hilbert]:
        return [hilbert] if of_symmetry else []  # the numbers of particles are given, not compared

    def lines(self, lattice: Lattice) -> list[str]:
        return _bonds.lines(self.name, self.orders(), one_layer(lattice))

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        return of_strings(jordan_wigner(self.fermions(lattice)))

    def joins(self, lattice: Lattice) -> bool:
        return any(set(string.operators) & set("XY") for string in jordan_wigner(self.fermions(lattice)))

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.pauli import pauli
        from nqs_hpc.operators.projected import projected

        assert signs_N is None
        strings = self.fermions(lattice)
        operator = pauli(lattice.n_sites, jordan_wigner(strings), first=0)
        operator = operator._replace(bounds=bounds(strings, lattice.n_sites))
        return projected(operator, self.space(lattice.n_sites)) if not self.is_double else operator
