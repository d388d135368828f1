"""What Hamiltonians of fermions that hop along bonds share: t by neighbour order, boundary phases."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from nqs_hpc.choices.hamiltonian import _bonds
from nqs_hpc.choices.hamiltonian._bonds import by_orders, listed, numbers
from nqs_hpc.choices.hamiltonian._fermions import Fermions
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad, show
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.boundaries import check_phases, hops
from nqs_hpc.system.fermion_strings import FermionString, hop
from nqs_hpc.system.graph import connected
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import one_layer


@dataclass(frozen=True)
class Hopping(Fermions):
    """Resolved: couplings by neighbour order without trailing zeros, ``phases`` in (-1, 1], None if all are 0."""

    by_order: ClassVar[tuple[str, ...]] = ("t",)  # the keys that are couplings by neighbour order
    t: tuple[float, ...] = key(numbers(), "hopping between nearest neighbours, or a list by neighbour order: [t, t']")
    phases: tuple[float, ...] | None = key(
        checks.optional(numbers()),
        "phase of a hop across the boundary, in units of pi, for each direction: 1 antiperiodic; null: none",
        physics="given",
    )

    def resolved(self, lattice: Lattice) -> Self:
        one = one_layer(lattice)
        numbers = [name for name in self.couplings() if any(np.atleast_1d(getattr(self, name)))]
        if not numbers:
            others = ", ".join(f".{name}" for name in self.couplings() if name != "t")
            raise bad("hamiltonian.t", self.t, f"another number than 0 for one of hamiltonian.t, {others}")
        values: dict[str, Any] = {name: by_orders(name, getattr(self, name), one) for name in self.by_order}
        given = self.phases
        if given is not None:
            one_line("hamiltonian.phases", given, lambda: check_phases(one, given))
            reduced = tuple(math.remainder(phase, 2.0) for phase in given)
            values["phases"] = tuple(1.0 if phase == -1 else phase + 0.0 for phase in reduced) if any(reduced) else None
        found = dataclasses.replace(self, **values)
        if found.phases:
            one_line("hamiltonian.phases", given, lambda: found.hops(one))
        return found

    def most_orders(self) -> int | None:
        return max(len(listed(getattr(self, name))) for name in self.by_order)

    def orders(self) -> list[int]:
        lists = [getattr(self, name) for name in self.by_order]
        return [n for n in range(1, max(map(len, lists)) + 1) if any(n <= len(one) and one[n - 1] for one in lists)]

    def lines(self, lattice: Lattice) -> list[str]:
        found = _bonds.lines(self.name, self.orders(), one_layer(lattice))
        if self.phases:
            found.append(f"lattice: hops across the boundary have the phases {show(self.phases)} pi, by direction")
        return found

    def twist(self) -> tuple[float, ...]:
        return self.phases or ()

    def hops(self, lattice: Lattice) -> dict[tuple[int, int], complex]:
        """The amplitude of each pair of sites of one layer (`system.boundaries`)."""
        return hops(one_layer(lattice), self.t, self.phases or ())

    def hopping(self, lattice: Lattice) -> list[FermionString]:
        """-sum t (c+ c + h.c.) over all spins."""
        firsts = (0, lattice.n_sites // 2) if self.has_spin else (0,)
        return [
            string
            for (i, j), t in self.hops(lattice).items()
            for first in firsts
            if t
            for string in hop(-t, j + first, i + first)
        ]

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        """Hops along a connected graph bring indistinguishable particles into any order."""
        return total is not None and joined(one_layer(lattice), [pair for pair, t in self.hops(lattice).items() if t])


def joined(lattice: Lattice, pairs: Sequence[tuple[int, int]]) -> bool:
    return connected(lattice.n_sites, np.array(pairs, dtype=np.int32).reshape(-1, 2))
