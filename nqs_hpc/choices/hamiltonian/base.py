"""The facts and methods of every Hamiltonian: sites, conserved quantities, the states that it connects.

The defaults are safe for any Hamiltonian: it conserves nothing, its signs are unknown, and its own moves do not reach
every state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian import _bonds
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import gauge
from nqs_hpc.system.fermion_strings import FermionString
from nqs_hpc.system.hilbert import Hilbert, Total, one_total, spin_half
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator, PauliString

# The sites whose values an off-diagonal element changes by an odd number of steps (for spins 1/2 and hops of single
# particles, all that it changes), and its sign; None: complex, or it depends on the state.
Element = tuple[tuple[int, ...], int | None]


@dataclass(frozen=True)
class Hamiltonian:
    """``lattice`` is that of the sites; in `resolved` and `sites` it may also be the given lattice."""

    name: str
    examples: ClassVar[Examples] = ({},)  # keys with which contract tests run it, on each lattice that fits
    signs_key: ClassVar[str] = "hamiltonian.gauge"  # the key that puts signs of basis states into the ansatz; "": none
    words: ClassVar[str] = "spins"  # what the sites hold
    # keys that name files; once resolved their content is in ``terms``, and a run does not read them again
    sources: ClassVar[tuple[str, ...]] = ()

    def resolved(self, lattice: Lattice) -> Self:
        """The choice with every ``auto`` replaced, and terms read from their file and expanded; raises InputError."""
        del lattice
        return self

    def sites(self, lattice: Lattice) -> Lattice:
        """The lattice whose sites carry the spins or particles."""
        return lattice

    def space(self, n_sites: int, total: Total = None) -> Hilbert:
        """The Hilbert space of the sites in the sector of ``total``; ValueError if there is no such sector."""
        return spin_half(n_sites, one_total(total))

    def fermions(self, lattice: Lattice) -> tuple[FermionString, ...]:
        """The complete Hamiltonian in operators of fermions; empty if the sites hold something else."""
        del lattice
        return ()

    def strings(self, lattice: Lattice) -> Sequence[PauliString] | None:
        """A resolved choice in physical Pauli matrices of the sites, for other programs; for fermions those of the
        modes, with Z = -1 for an occupied mode. None if sites hold more than two values, or states are excluded.
        """
        del lattice
        return None

    # what can depend on time

    @classmethod
    def couplings(cls) -> dict[str, Check]:
        """The keys, numbers or lists of numbers, on which the matrix elements depend linearly, with their checks.

        Nonlinear elements are detected and refused when they are made (`operators.ramped`).
        """
        numbers = ("float", float, "tuple[float, ...]", tuple[float, ...])
        return {
            field.name: field.metadata["in_time"]
            for field in dataclasses.fields(cls)
            if "check" in field.metadata and field.type in numbers
        }

    # what it conserves

    def conserves(self) -> bool:
        """Whether it conserves the total of the local values: magnetisation, or number of particles."""
        return False

    def ground_total(self, lattice: Lattice) -> Total:
        """The total of a ground state, which sector=auto takes; None: all states. Called only if `conserves`."""
        del lattice
        return None

    def check_total(self, total: Total, n_sites: int) -> None:
        """Raise InputError if no state has ``total``, or it is not conserved."""
        if not self.conserves():
            why = f"auto or none: hamiltonian={self.name}{self.why_not_conserved()} does not conserve the total"
            raise bad("sector", total, f"{why} magnetisation")
        if isinstance(total, tuple):
            raise bad("sector", total, f"auto, none, or one number: hamiltonian={self.name} has one conserved total")
        one_line("sector", total, lambda: self.space(n_sites, total))

    def told(self, total: Total, n_sites: int) -> str:
        """A total in words, if its number is not clear by itself; the start of a run prints it."""
        del total, n_sites
        return ""

    def why_not_conserved(self) -> str:
        """The keys that break the conservation, in words that follow the name."""
        return ""

    def compared(self, hilbert: Hilbert, *, of_symmetry: bool) -> list[Hilbert]:
        """The spaces, widest first, for comparison of the sampled sector with the lowest level: it is computed in the
        first one that is small enough. ``of_symmetry``: whether the sampled sector is one of several in ``hilbert``.
        """
        wider = [self.space(hilbert.n_sites)] if self.conserves() else []
        return [*wider, *([hilbert] if of_symmetry else [])]

    # which bonds of the lattice it uses

    def orders(self) -> list[int]:
        """The neighbour orders whose bonds it uses."""
        return []

    def most_orders(self) -> int | None:
        """The number of neighbour orders with a coupling, as read; None if it names the sites itself."""
        return 1

    def has_sense(self) -> bool:
        """Whether a coupling differs between the bond from i to j and the bond from j to i."""
        return False

    def reach(self) -> float | None:
        """The distance beyond which nothing interacts, if a key sets one."""
        return None

    def lines(self, lattice: Lattice) -> list[str]:
        """Lines for the start of a run: the sites, the bonds of each order that is used, sites without bonds."""
        return _bonds.lines(self.name, self.orders(), lattice)

    # the states that it connects, and with which sign

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        """All off-diagonal elements; None: the signs are unknown."""
        del lattice
        return [((0,), None)]

    def joins(self, lattice: Lattice) -> bool:
        """Whether it has an element off the diagonal."""
        del lattice
        return True

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        """Whether its own moves connect all states in the sector of ``total``."""
        del lattice, total
        return False

    def binds_pairs(self) -> bool:
        """Whether two fermions on a site attract each other, so that chains have to move them together."""
        return False

    def twist(self) -> tuple[float, ...]:
        """The phases of hops across the boundary, in units of pi, by direction; () if there are none."""
        return ()

    # signs of basis states

    def positive_signs(self, lattice: Lattice) -> NDArray[np.int8] | None:
        """The signs (N,) that make all off-diagonal elements negative or 0, all +1 if they already are; None if no
        signs do.
        """
        found = [(sites, sign) for sites, sign in self.elements(lattice)]
        known = [(sites, sign) for sites, sign in found if sign is not None]
        return gauge.signs(lattice.n_sites, known) if len(known) == len(found) else None

    def is_positive(self, lattice: Lattice) -> bool:
        """Whether the ground state is known to be positive with the signs that a resolved choice takes, although not
        all elements are negative.
        """
        del lattice
        return False

    def signs(self, lattice: Lattice) -> NDArray[np.int8] | None:
        """The signs (N,) that a resolved choice takes: the ansatz is psi(s) prod_{i: -1} sigma_i; None if it is psi
        itself.
        """
        del lattice
        return None

    def as_written(self) -> Self:
        """Without signs of basis states."""
        return self

    def operator(self, lattice: Lattice) -> Operator:
        """The matrix elements of a resolved choice, in the basis of the ansatz."""
        return self.make(lattice, self.signs(lattice))

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        """The matrix elements of a resolved choice, in the basis with the signs ``signs_N`` that `signs` gives."""
        raise NotImplementedError


@dataclass(frozen=True)
class Gauged(Hamiltonian):
    """A Hamiltonian with the key ``gauge``: signs that make its off-diagonal elements negative, all of them or, if that
    is impossible, the largest, or none.

    Resolved: True if signs are taken, else None, which leaves the physics of a run as it is without the key.
    """

    gauge: bool | None = key(
        checks.optional(checks.either("auto", checks.boolean)),
        "signs of the basis states that make off-diagonal elements negative, as Marshall's; auto: if they exist",
        physics="given",
    )

    def nearly_positive_signs(self, lattice: Lattice) -> NDArray[np.int8] | None:
        """The signs (N,) that make the largest off-diagonal elements negative, as Marshall's do for weakly frustrated
        antiferromagnets; None: none are known. Called if there are no `positive_signs`.
        """
        del lattice
        return None

    def gauged(self, lattice: Lattice) -> Self:
        """The choice with the signs of basis states taken or not; raises InputError. ``lattice`` is that of the
        sites."""
        if not self.gauge:
            return dataclasses.replace(self, gauge=None)
        found = self._best_signs(lattice)
        if self.gauge is True and found is None:
            raise bad("hamiltonian.gauge", True, "auto or false: no signs make all off-diagonal elements negative")
        return dataclasses.replace(self, gauge=True if found is not None and (found < 0).any() else None)

    def _best_signs(self, lattice: Lattice) -> NDArray[np.int8] | None:
        found = self.positive_signs(lattice)
        return self.nearly_positive_signs(lattice) if found is None else found

    def signs(self, lattice: Lattice) -> NDArray[np.int8] | None:
        if not self.gauge:
            return None
        found = self._best_signs(lattice)
        assert found is not None, "the gauge of a resolved Hamiltonian exists"
        return found

    def as_written(self) -> Self:
        return dataclasses.replace(self, gauge=None)
