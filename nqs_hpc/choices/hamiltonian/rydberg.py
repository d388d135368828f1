"""hamiltonian=rydberg: driven atoms that repel each other by distance (`operators.rydberg`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian._signs import one_sign
from nqs_hpc.choices.hamiltonian.base import Element, Gauged
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system import shells
from nqs_hpc.system.distances import pairs_within
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator

MAX_ATOMS = 2**13  # each interacts with all others: their matrix takes half a GiB
MOST_COUNTED = 1024  # atoms, of which all pairs are compared a second time for what the start of a run says


@dataclass(frozen=True)
class Rydberg(Gauged):
    examples: ClassVar[Examples] = ({}, {"Omega": -1.0, "delta": 0.5, "cutoff": 1.0})
    Omega: float = key(checks.number(), "Rabi frequency of the drive, not 0")
    delta: float = key(checks.number(), "detuning; positive favours excited atoms")
    V: float = key(checks.number(least=0), "repulsion of two excited atoms at distance 1")
    cutoff: float | None = key(
        checks.optional(checks.positive), "largest distance at which atoms interact; null: all pairs do"
    )

    def resolved(self, lattice: Lattice) -> Self:
        if lattice.edges is not None:
            valid = "another lattice, or lattice=points with a file of positions: atoms interact by distance"
            raise bad("lattice", lattice.name, f"with hamiltonian=rydberg {valid}")
        if lattice.double_bonds:
            valid = "false with hamiltonian=rydberg, where a pair of atoms counts once, by its nearest image"
            raise bad("lattice.double_bonds", True, valid)
        if lattice.n_sites > MAX_ATOMS:
            raise bad("hamiltonian", self.name, f"at most {MAX_ATOMS} atoms, and the lattice has {lattice.n_sites}")
        if self.Omega == 0:
            valid = "a number other than 0: without a drive the atoms stay as they are"
            raise bad("hamiltonian.Omega", self.Omega, valid)
        if self.cutoff is not None and not len(pairs_within(lattice, self.cutoff)[0]):
            nearest = float(pairs_within(lattice, None)[1].min())
            valid = f"null, or at least {nearest:g}, the distance of the nearest atoms"
            raise bad("hamiltonian.cutoff", self.cutoff, valid)
        return self.gauged(lattice)

    def reach(self) -> float | None:
        return self.cutoff

    def lines(self, lattice: Lattice) -> list[str]:
        return [f"lattice: {lattice.n_sites} sites{self._pairs(lattice)}"]

    def _pairs(self, lattice: Lattice) -> str:
        if lattice.n_sites > MOST_COUNTED:
            return ""
        _, lengths = pairs_within(lattice, self.cutoff)
        words = f", {len(lengths)} pairs of atoms {lengths.min():#.5g} to {lengths.max():#.5g} apart"
        if self.cutoff is None:
            return words
        _, further = pairs_within(lattice, self.cutoff * (1 + shells.TOLERANCE))
        if n := len(further) - len(lengths):
            words += f"; {n} more, {further[further > lengths.max()].min():.6g} apart, are just beyond "
            words += f"hamiltonian.cutoff={self.cutoff:g}"
        return words

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        return [((i,), int(np.sign(-self.Omega))) for i in range(lattice.n_sites)]

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        return True

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.rydberg import rydberg

        Omega = self.Omega * one_sign(signs_N)  # it drives all atoms, and so do the signs stand
        return rydberg(lattice, Omega=Omega, delta=self.delta, V=self.V, cutoff=self.cutoff)
