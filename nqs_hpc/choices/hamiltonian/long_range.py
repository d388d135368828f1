"""hamiltonian=long_range: spins whose couplings fall off as a power of their distance (`operators.long_range`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian import _by_distance
from nqs_hpc.choices.hamiltonian._two_sublattices import TwoSublattices
from nqs_hpc.choices.hamiltonian.base import Element
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.distances import Measure, chord, distance, pairs_within, power_law
from nqs_hpc.system.graph import connected, signed_colouring
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator, PauliString

MAX_SPINS = 2**13  # the matrix of all couplings takes half a GiB
MAX_EXCHANGED = 2**10  # if every pair is also a move: half a million moves


@dataclass(frozen=True)
class LongRange(TwoSublattices):
    examples: ClassVar[Examples] = (
        {"alpha": 1.5},
        {"Jz": -1.0, "alpha": 0.0, "h": -0.5, "g": 0.3, "kac": True},
        {"Jz": 0.5, "Jxy": -1.0, "h": 0.0, "cutoff": 2.5},
        {"Jz": 0.0, "Jxy": 1.0, "h": 0.7},
        {"Jz": 0.3, "Jxy": 0.3, "h": 0.0, "distance": "chord"},
        {"Jz": 0.8, "Jxy": 0.4, "h": 0.0},
        {"Jz": -0.8, "Jxy": -0.4, "h": 0.0},
        {"h": 0.0, "g": -0.2},
    )
    Jz: float = key(checks.number(), "coupling of z components at distance 1; negative is ferromagnetic")
    Jxy: float = key(checks.number(), "coupling of x and of y components at distance 1")
    alpha: float = key(checks.number(least=0), "power with which couplings fall off")
    h: float = key(checks.number(), "transverse field")
    g: float = key(checks.number(), "longitudinal field")
    kac: bool = key(checks.boolean, "divide couplings by the mean over sites of sum_j 1/r_ij^alpha (Kac)")
    distance: Literal["image", "chord"] = key(
        checks.choice("image", "chord"),
        "distance along periodic sides: of the nearest image, or the chord L/pi sin(pi x/L) of the side as a ring",
    )
    cutoff: float | None = key(
        checks.optional(checks.positive), "largest distance of coupled spins; null: all pairs are coupled"
    )

    @classmethod
    def couplings(cls) -> dict[str, Check]:
        return {name: check for name, check in super().couplings().items() if name != "alpha"}

    def resolved(self, lattice: Lattice) -> Self:
        if self.Jz == self.Jxy == 0:
            raise bad("hamiltonian.Jz", self.Jz, "another number than 0 for one of hamiltonian.Jz, .Jxy")
        most = MAX_SPINS if self.Jxy == 0 or self.cutoff is not None else MAX_EXCHANGED
        _by_distance.check_lattice(self.name, lattice, most=most, what="spins")
        if self.distance == "chord":
            one_line("hamiltonian.distance", self.distance, lambda: chord(lattice, 0, 0))
        _by_distance.check_cutoff(self.cutoff, lattice, "spins", self._measure())
        one_line("hamiltonian.alpha", self.alpha, lambda: self._couplings(lattice))
        return self.gauged(lattice)

    def _measure(self) -> Measure:
        return chord if self.distance == "chord" else distance

    def _couplings(self, lattice: Lattice) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The pairs (P, 2) and c_ij (P,), without those that underflow."""
        pairs, lengths = pairs_within(lattice, self.cutoff, self._measure())
        c_P = power_law(lengths, self.alpha, kac_sites=lattice.n_sites if self.kac else None)
        return pairs[c_P > 0], c_P[c_P > 0]

    def conserves(self) -> bool:
        return self.h == 0

    def why_not_conserved(self) -> str:
        return " with h other than 0"

    def ground_total(self, lattice: Lattice) -> Total:
        """As `_totals`, for couplings with one sign and one anisotropy."""
        if self.g != 0 or self.Jxy == 0 or self.Jz <= -abs(self.Jxy):
            return None
        least = lattice.n_sites % 2
        if self.Jz == self.Jxy:
            return least
        if self.Jz > abs(self.Jxy) and (colours := self._colours(lattice, -1)) is not None:
            return abs(int(colours.sum(dtype=int)))
        in_plane = abs(self.Jz) <= abs(self.Jxy) and self._colours(lattice, -np.sign(self.Jxy)) is not None
        return least if in_plane or self.Jz >= 0 else None

    def reach(self) -> float | None:
        return self.cutoff

    def lines(self, lattice: Lattice) -> list[str]:
        return _by_distance.lines(self.cutoff, lattice, "spins", self._measure())

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        pairs = self._couplings(lattice)[0].tolist() if self.Jxy != 0 else []
        singles = range(lattice.n_sites if self.h != 0 else 0)
        exchanges = [((i, j), int(np.sign(self.Jxy))) for i, j in pairs]
        return [*exchanges, *(((i,), int(np.sign(-self.h))) for i in singles)]

    def joins(self, lattice: Lattice) -> bool:
        return self.h != 0 or (self.Jxy != 0 and lattice.n_sites > 1)

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        if self.h != 0:
            return True
        return total is not None and self.Jxy != 0 and connected(lattice.n_sites, self._couplings(lattice)[0])

    def positive_signs(self, lattice: Lattice) -> NDArray[np.int8] | None:
        """The result of `elements`, without a list of all pairs if they are not needed."""
        same = np.ones(lattice.n_sites, dtype=np.int8)
        if self.Jxy <= 0 or lattice.n_sites == 1:
            return -same if self.h < 0 else same
        return self._colours(lattice, -1) if self.h == 0 else None

    def _colours(self, lattice: Lattice, sign: float) -> NDArray[np.int8] | None:
        """c (N,) of +1 and -1 with c_i c_j = ``sign`` for all pairs; None if there is none."""
        if sign > 0:
            return np.ones(lattice.n_sites, dtype=np.int8)
        pairs = self._couplings(lattice)[0]
        if (
            2 * len(pairs) == lattice.n_sites * (lattice.n_sites - 1) > 2
        ):  # with three sites the pairs contain a triangle
            return None
        return signed_colouring(lattice.n_sites, pairs.tolist(), np.full(len(pairs), sign))

    def nearest_coupling(self) -> float:
        return self.Jxy if self.h == 0 else 0.0

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        pairs, c_P = self._couplings(lattice)
        found = [PauliString(J * c, ab, (i, j)) for (i, j), c in zip(pairs.tolist(), c_P.tolist(), strict=True)
                 for ab, J in (("XX", self.Jxy), ("YY", self.Jxy), ("ZZ", self.Jz))]  # fmt: skip
        fields = ((self.h, "X"), (self.g, "Z"))
        return [*found, *(PauliString(-h, letter, (i,)) for h, letter in fields for i in range(lattice.n_sites))]

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.long_range import long_range

        pairs, c_P = self._couplings(lattice)
        values = {"Jz": self.Jz, "Jxy": self.Jxy, "h": self.h, "g": self.g}
        return long_range(lattice.n_sites, pairs, c_P, signs=signs_N, **values)
