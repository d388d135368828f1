"""hamiltonian=heisenberg: spin-1/2 models with couplings by neighbour order (`operators.heisenberg`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian import _drawn, _totals
from nqs_hpc.choices.hamiltonian._marshall import Marshalled
from nqs_hpc.choices.hamiltonian.base import Element
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.drawn import Drawn
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.graph import connected
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice, bipartition, neighbours
from nqs_hpc.types import Operator, PauliString


@dataclass(frozen=True)
class Heisenberg(Marshalled):
    """Resolved: ``J`` is a tuple by neighbour order without trailing zeros, ``marshall`` a boolean. ``h`` and each of
    ``J`` is a number, or `Drawn` with one number for each bond or site.
    """

    examples: ClassVar[Examples] = (
        {},
        {"J": -1.0},
        {"J": [1.0, 0.5]},
        {"delta": 0.5},
        {"J": -1.0, "delta": -2.0},
        {"delta": 0.0, "marshall": False},
        {"h": 0.3},
        {"delta": 0.5, "h_staggered": -0.4},
        {"h": {"random": "uniform", "width": 0.5, "seed": 2}},
        {"J": [{"random": "normal", "mean": 1.0, "width": 0.3}]},
    )
    J: tuple[float, ...] = _drawn.key("coupling, or a list by neighbour order: [1, 0.5] is J1-J2", by_order=True)
    delta: float = key(checks.number(), "anisotropy of the z part (XXZ)")
    h: float = _drawn.key("field along z", physics="given")
    h_staggered: float = key(checks.number(), "field along z, with opposite signs on two sublattices", physics="given")

    def resolved(self, lattice: Lattice) -> Self:
        couplings = self.J if isinstance(self.J, tuple) else (self.J,)
        while couplings and couplings[-1] == 0:
            couplings = couplings[:-1]
        if not couplings:
            raise bad("hamiltonian.J", self.J, "a number other than 0, or a list with one")
        for order, coupling in enumerate(couplings, 1):
            if coupling:
                one_line("hamiltonian.J", self.J, lambda order=order: neighbours(lattice, order))  # type: ignore[misc]
        if self.h_staggered and bipartition(lattice) is None:
            raise bad("hamiltonian.h_staggered", self.h_staggered, "0: the nearest neighbours form no two sublattices")
        return dataclasses.replace(self, J=couplings).marshalled(lattice)

    def is_antiferromagnet(self, lattice: Lattice) -> bool:
        return bool(self.J[0]) and bool(np.all(_drawn.of_bonds(self.J[0], lattice, 1, "J") > 0))

    def ground_total(self, lattice: Lattice) -> Total:
        fields = self._fields(lattice)
        # a field couples to the total, unless it adds up to 0
        if fields is not None and abs(fields.sum()) > _totals.NOISE * np.abs(fields).sum():
            return None
        is_drawn = any(isinstance(coupling, Drawn) for coupling in self.J)
        if self.delta == 1 and lattice.weights is None and not is_drawn and fields is None:
            return None if all(coupling <= 0 for coupling in self.J) else lattice.n_sites % 2
        total = _drawn.pair_couplings(self.J, lattice, "J")
        bonds = {pair: (coupling, coupling * self.delta) for pair, coupling in total.items()}
        return _totals.of_bonds(bonds, lattice.n_sites, alone=fields is None)

    def _fields(self, lattice: Lattice) -> NDArray[np.float64] | None:
        """The field at each site (N,), None if there is none."""
        if not isinstance(self.h, Drawn) and self.h == self.h_staggered == 0:
            return None
        fields = _drawn.of_sites(self.h, lattice, "h")
        if not self.h_staggered:
            return fields
        signs_N = bipartition(lattice)
        assert signs_N is not None
        return fields + self.h_staggered * signs_N

    def conserves_spin(self) -> bool:
        return self.delta == 1 and not isinstance(self.h, Drawn) and self.h == self.h_staggered == 0

    def orders(self) -> list[int]:
        # an order without coupling may not exist on this lattice
        return [order for order, coupling in enumerate(self.J, 1) if coupling]

    def most_orders(self) -> int | None:
        return len(self.J) if isinstance(self.J, tuple) else 1  # a coupling of 0 counts

    def lines(self, lattice: Lattice) -> list[str]:
        bonds = {f"J_{n}": (self.J[n - 1], _drawn.of_bonds(self.J[n - 1], lattice, n, "J")) for n in self.orders()}
        return [
            *super().lines(lattice),
            *_drawn.lines({**bonds, "h": (self.h, _drawn.of_sites(self.h, lattice, "h"))}),
        ]

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        exchanges = _drawn.pair_couplings(self.J, lattice, "J")
        return [(pair, int(np.sign(coupling))) for pair, coupling in exchanges.items() if coupling != 0]

    def joins(self, lattice: Lattice) -> bool:
        return len(_pairs(self, lattice)) > 0

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        return total is not None and connected(lattice.n_sites, _pairs(self, lattice))

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        exchanges = _drawn.pair_couplings(self.J, lattice, "J").items()
        found = [PauliString(J / 4 * x, ab, pair) for pair, J in exchanges
                 for ab, x in (("XX", 1.0), ("YY", 1.0), ("ZZ", self.delta))]  # fmt: skip
        fields = self._fields(lattice)
        return [
            *found,
            *(PauliString(-h / 2, "Z", (i,)) for i, h in enumerate([] if fields is None else fields.tolist())),
        ]

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.heisenberg import heisenberg

        return heisenberg(
            lattice.n_sites,
            [neighbours(lattice, n) for n in self.orders()],
            [_drawn.of_bonds(self.J[n - 1], lattice, n, "J") for n in self.orders()],
            delta=self.delta,
            marshall_signs=signs_N,
            fields_N=self._fields(lattice),
        )


def _pairs(given: Heisenberg, lattice: Lattice) -> NDArray[np.int32]:
    """The pairs of sites (n, 2) that exchange; on small tori couplings of two orders can cancel."""
    total = _drawn.pair_couplings(given.J, lattice, "J")
    return np.array([pair for pair, coupling in total.items() if coupling != 0], dtype=np.int32).reshape(-1, 2)
