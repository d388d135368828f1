"""hamiltonian=toric_code: Kitaev's code on the links of a square lattice, in fields (`operators.toric_code`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian._signs import of_strings, one_sign
from nqs_hpc.choices.hamiltonian.base import Element, Gauged
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.links import links, plaquettes, stars
from nqs_hpc.types import Operator, PauliString


@dataclass(frozen=True)
class ToricCode(Gauged):
    examples: ClassVar[Examples] = ({}, {"hx": 0.3, "hz": 0.2}, {"hx": -0.3, "hy": 0.1})
    hx: float = key(checks.number(), "field along x")
    hy: float = key(checks.number(), "field along y; makes the ground state complex")
    hz: float = key(checks.number(), "field along z")

    def resolved(self, lattice: Lattice) -> Self:
        if lattice.double_bonds:
            valid = "false with hamiltonian=toric_code, which already has two links on the two bonds of a side of 2"
            raise bad("lattice.double_bonds", True, valid)
        return self.gauged(one_line("hamiltonian", self.name, lambda: self.sites(lattice)))

    def sites(self, lattice: Lattice) -> Lattice:
        return lattice if lattice.name == LINKS else links(lattice)

    def lines(self, lattice: Lattice) -> list[str]:
        count = f"{len(stars(lattice))} stars, {len(plaquettes(lattice))} plaquettes"
        return [f"lattice: {lattice.n_sites} links, {count}"]

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        strings = [PauliString(-1.0, "X" * len(star), star) for star in stars(lattice)]
        for field, letter in ((self.hx, "X"), (self.hy, "Y")):
            strings += [PauliString(-field, letter, (i,)) for i in range(lattice.n_sites) if field != 0]
        return of_strings(strings)

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        return self.hx != 0 or self.hy != 0

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        found = [PauliString(-1.0, "X" * len(star), star) for star in stars(lattice)]
        found += [PauliString(-1.0, "ZZZZ", face) for face in plaquettes(lattice)]
        fields = ((self.hx, "X"), (self.hy, "Y"), (self.hz, "Z"))
        return [*found, *(PauliString(-h, letter, (i,)) for h, letter in fields if h for i in range(lattice.n_sites))]

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.toric_code import toric_code

        sign = one_sign(signs_N)  # for a field at all sites; stars flip an even number of sites
        return toric_code(lattice, hx=self.hx * sign, hy=self.hy * sign, hz=self.hz)
