"""hamiltonian=spin_s: Heisenberg models of spins of any length, with single-ion terms (`operators.spin_s`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian import _bonds, _totals
from nqs_hpc.choices.hamiltonian._two_sublattices import TwoSublattices
from nqs_hpc.choices.hamiltonian.base import Element
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, Invalid, bad
from nqs_hpc.system.graph import connected
from nqs_hpc.system.hilbert import Hilbert, Total, one_total
from nqs_hpc.system.lattice import Lattice, pair_couplings
from nqs_hpc.system.spaces import spin
from nqs_hpc.types import Operator

MOST_TWO_S = 20  # 21 values per site, 441 per pair


def _length(value: Any) -> float:
    s = checks.number().read(value)
    if not (2 * s).is_integer() or not 1 <= 2 * s <= MOST_TWO_S:
        raise Invalid
    return float(s)


@dataclass(frozen=True)
class SpinS(TwoSublattices):
    """Resolved: ``J`` is a tuple by neighbour order without trailing zeros."""

    examples: ClassVar[Examples] = (
        {},
        {"S": 1.5, "J": [1.0, 0.5], "D": 0.4},
        {"J": -1.0, "delta": 0.3, "D": -0.6},
        {"S": 0.5, "delta": -2.0},
        {"E": 0.3, "h": 0.2, "gauge": False},
        {"E": -0.3, "D": 0.5},
        {"delta": 3.0, "D": -0.5},
        {"h": 0.4},
    )
    words: ClassVar[str] = "spins longer than 1/2"
    S: float = key(
        Check(f"a multiple of 1/2, from 0.5 to {MOST_TWO_S // 2}", _length), "length of the spins: 0.5, 1, 1.5, ..."
    )
    J: tuple[float, ...] = key(_bonds.numbers(), "coupling, or a list by neighbour order: [1, 0.5] is J1-J2")
    delta: float = key(checks.number(), "anisotropy of the z part (XXZ)")
    D: float = key(checks.number(), "single-ion anisotropy; positive favours the plane")
    E: float = key(checks.number(), "single-ion anisotropy in the plane; a negative value has no positive elements")
    h: float = key(checks.number(), "field along z")

    @classmethod
    def couplings(cls) -> dict[str, Check]:
        return {name: check for name, check in super().couplings().items() if name != "S"}

    @property
    def two_s(self) -> int:
        return round(2 * self.S)

    def resolved(self, lattice: Lattice) -> Self:
        if not any(_bonds.listed(self.J)):
            raise bad("hamiltonian.J", self.J, "a number other than 0, or a list with one")
        for name in ("D", "E"):
            if self.two_s == 1 and getattr(self, name) != 0:
                why = "the square of a component is a constant"
                raise bad(f"hamiltonian.{name}", getattr(self, name), f"0 with hamiltonian.S=0.5, of which {why}")
        return dataclasses.replace(self, J=_bonds.by_orders("J", self.J, lattice)).gauged(lattice)

    def space(self, n_sites: int, total: Total = None) -> Hilbert:
        return spin(n_sites, self.two_s, one_total(total))

    def conserves(self) -> bool:
        return self.E == 0

    def why_not_conserved(self) -> str:
        return " with E other than 0"

    def _is_isotropic(self) -> bool:
        return self.delta == 1 and self.D == self.E == self.h == 0

    def ground_total(self, lattice: Lattice) -> Total:
        if self.h != 0:  # the field decides
            return None
        bonds = {pair: (J, J * self.delta) for pair, J in pair_couplings(lattice, self.J).items()}
        return _totals.of_bonds(bonds, lattice.n_sites, two_s=self.two_s, single_ion=self.D)

    def compared(self, hilbert: Hilbert, *, of_symmetry: bool) -> list[Hilbert]:
        if self._is_isotropic() and hilbert.total is not None:  # every multiplet has a state of the least total
            return [self.space(hilbert.n_sites, hilbert.n_sites * self.two_s % 2)]
        return super().compared(hilbert, of_symmetry=of_symmetry)

    def orders(self) -> list[int]:
        return [order for order, coupling in enumerate(self.J, 1) if coupling]

    def most_orders(self) -> int | None:
        return len(_bonds.listed(self.J))

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        exchanges = pair_couplings(lattice, self.J)
        found: list[Element] = [(pair, int(np.sign(J))) for pair, J in exchanges.items() if J != 0]
        return [*found, ((), int(np.sign(self.E)))] if self.E != 0 else found

    def joins(self, lattice: Lattice) -> bool:
        return self.E != 0 or len(self._bonds(lattice)[0]) > 0

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        return total is not None and connected(lattice.n_sites, self._bonds(lattice)[0])

    def nearest_coupling(self) -> float:
        return self.J[0]

    def _bonds(self, lattice: Lattice) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The coupled pairs of sites (n, 2) and their couplings (n,); on small tori those of two orders can cancel."""
        found = {pair: J for pair, J in sorted(pair_couplings(lattice, self.J).items()) if J != 0}
        return np.array(list(found), dtype=np.int32).reshape(-1, 2), np.array(list(found.values()), dtype=np.float64)

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.spin_s import spin_s

        bonds, couplings = self._bonds(lattice)
        return spin_s(
            lattice.n_sites,
            bonds,
            two_s=self.two_s,
            D=self.D,
            E=self.E,
            h=self.h,
            delta=self.delta,
            weights=couplings,
            marshall_signs=signs_N,
        )
