"""hamiltonian=ising: the transverse-field Ising model (`operators.ising`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian import _drawn
from nqs_hpc.choices.hamiltonian._signs import one_sign
from nqs_hpc.choices.hamiltonian.base import Element, Gauged
from nqs_hpc.choices.keys import Examples
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.drawn import Drawn
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice, bond_weights, neighbours
from nqs_hpc.types import Operator, PauliString


@dataclass(frozen=True)
class Ising(Gauged):
    """Each key is a number, or `Drawn` with one number for each bond or site."""

    examples: ClassVar[Examples] = (
        {},
        {"J": -1.0, "h": -0.7, "g": 0.3},
        {"h": 0.0},
        {"J": {"random": "sign", "seed": 3}, "g": {"random": "uniform", "width": 0.5}},
        {"J": {"random": "normal", "mean": 0.5}, "h": {"random": "normal", "seed": 5}},
    )
    J: float = _drawn.key("coupling of nearest neighbours; positive is ferromagnetic")
    h: float = _drawn.key("transverse field")
    g: float = _drawn.key("longitudinal field")

    def resolved(self, lattice: Lattice) -> Self:
        if self.J == self.h == self.g == 0:
            raise bad("hamiltonian.J", self.J, "another number than 0 for one of hamiltonian.J, .h, .g")
        return self.gauged(lattice)

    def conserves(self) -> bool:
        return self.h == 0  # then H is diagonal; sector=auto stays none, so that a sweep in h stays in one space

    def why_not_conserved(self) -> str:
        return " with h other than 0"

    def orders(self) -> list[int]:
        return [1] if self.J else []

    def lines(self, lattice: Lattice) -> list[str]:
        fields = {
            name: (value, _drawn.of_sites(value, lattice, name)) for name, value in (("h", self.h), ("g", self.g))
        }
        bonds = {"J": (self.J, _drawn.of_bonds(self.J, lattice, 1, "J"))} if self.J else {}
        return [*super().lines(lattice), *_drawn.lines(bonds | fields)]

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        fields = _drawn.of_sites(self.h, lattice, "h")
        return [((i,), int(np.sign(-h))) for i, h in enumerate(fields.tolist()) if h != 0]

    def joins(self, lattice: Lattice) -> bool:
        return self.h != 0

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        return self.h != 0

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        couplings = _drawn.of_bonds(self.J, lattice, 1, "J") if self.J else ()
        bonds = neighbours(lattice, 1).tolist() if self.J else ()
        found = [PauliString(-float(J), "ZZ", (i, j)) for (i, j), J in zip(bonds, couplings, strict=True)]
        for value, name, letter in ((self.h, "h", "X"), (self.g, "g", "Z")):
            fields = _drawn.of_sites(value, lattice, name).tolist()
            found += [PauliString(-field, letter, (i,)) for i, field in enumerate(fields)]
        return found

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.ising import ising

        edges, weights, J = neighbours(lattice, 1), bond_weights(lattice, 1), self.J
        if isinstance(J, Drawn):
            J, weights = 1.0, _drawn.of_bonds(J, lattice, 1, "J")
        h: Any
        h, g = (
            _drawn.of_sites(value, lattice, name) if isinstance(value, Drawn) else value
            for name, value in (("h", self.h), ("g", self.g))
        )
        if signs_N is not None:  # the field is the same at all sites, and so are the signs
            h = h * (signs_N if isinstance(self.h, Drawn) else one_sign(signs_N))
        return ising(lattice.n_sites, edges, J=J, h=h, g=g, weights=weights)
