"""hamiltonian=rydberg: driven atoms that repel each other by distance (`operators.rydberg`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian import _by_distance
from nqs_hpc.choices.hamiltonian._signs import one_sign
from nqs_hpc.choices.hamiltonian.base import Element, Gauged
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.distances import pairs_within
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator, PauliString

MAX_ATOMS = 2**13  # the matrix of all interactions takes half a GiB


@dataclass(frozen=True)
class Rydberg(Gauged):
    examples: ClassVar[Examples] = ({}, {"Omega": -1.0, "delta": 0.5, "cutoff": 1.0})
    Omega: float = key(checks.number(), "Rabi frequency of the drive, not 0")
    delta: float = key(checks.number(), "detuning; positive favours excited atoms")
    V: float = key(checks.number(least=0), "repulsion of two excited atoms at distance 1")
    cutoff: float | None = key(
        checks.optional(checks.positive), "largest distance of interacting atoms; null: all pairs interact"
    )

    def resolved(self, lattice: Lattice) -> Self:
        _by_distance.check_lattice(self.name, lattice, most=MAX_ATOMS, what="atoms")
        if self.Omega == 0:
            valid = "a number other than 0: without a drive the atoms stay as they are"
            raise bad("hamiltonian.Omega", self.Omega, valid)
        _by_distance.check_cutoff(self.cutoff, lattice, "atoms")
        return self.gauged(lattice)

    def reach(self) -> float | None:
        return self.cutoff

    def lines(self, lattice: Lattice) -> list[str]:
        return _by_distance.lines(self.cutoff, lattice, "atoms")

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        return [((i,), int(np.sign(-self.Omega))) for i in range(lattice.n_sites)]

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        return True

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        pairs, apart = pairs_within(lattice, self.cutoff)
        n, repulsions = lattice.n_sites, (self.V / apart**6).tolist()
        found = [PauliString(-self.Omega / 2, "X", (i,)) for i in range(n)]
        found += [PauliString(self.delta / 2, "Z", (i,)) for i in range(n)]  # -delta n, n = (1 - Z) / 2
        found.append(PauliString(-self.delta * n / 2 + sum(repulsions) / 4, "", ()))
        for (i, j), V in zip(pairs.tolist(), repulsions, strict=True):
            found += [PauliString(V / 4, "ZZ", (i, j)), PauliString(-V / 4, "Z", (i,)), PauliString(-V / 4, "Z", (j,))]
        return found

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.rydberg import rydberg

        Omega = self.Omega * one_sign(signs_N)  # the drive is the same for all atoms, and so are the signs
        return rydberg(lattice, Omega=Omega, delta=self.delta, V=self.V, cutoff=self.cutoff)
