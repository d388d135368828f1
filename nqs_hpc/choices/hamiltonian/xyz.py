"""hamiltonian=xyz: anisotropic exchange, Dzyaloshinskii-Moriya coupling and fields (`operators.xyz`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from nqs_hpc.choices.hamiltonian import _totals
from nqs_hpc.choices.hamiltonian._bonds import by_orders, numbers
from nqs_hpc.choices.hamiltonian._signs import of_strings
from nqs_hpc.choices.hamiltonian._strings import OfStrings
from nqs_hpc.choices.hamiltonian.base import Gauged
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.operators.xyz import Vector, xyz_strings
from nqs_hpc.system.directions import with_sense
from nqs_hpc.system.graph import connected
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice, bipartition
from nqs_hpc.types import PauliString


def _vectors(value: Any) -> tuple[Vector, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise checks.Invalid
    rows = value if isinstance(value[0], list | tuple) else [value]
    found = tuple(checks.list_of(checks.number()).read(row) for row in rows)
    if any(len(row) != 3 for row in found):
        raise checks.Invalid
    return found


VECTORS = Check("null, a vector [Dx, Dy, Dz], or a list of such", lambda x: None if x is None else _vectors(x))


@dataclass(frozen=True)
class Xyz(OfStrings, Gauged):
    """Resolved: couplings by neighbour order without trailing zeros, ``D`` null if it is 0 everywhere."""

    examples: ClassVar[Examples] = (
        {},
        {"Jx": 0.4, "Jy": -0.3, "Jz": [0.5, 0.2], "hx": 0.3},
        {"D": [0.2, 0.1, -0.3], "hy": 0.2, "hz": -0.1},
        {"Jz": -0.5, "D": [0, 0, 0.6]},
        {"D": [0, 0.3, 0], "Jz": 0.0, "hx": 0.2},
        {"Jz": 0.6, "h_staggered": 0.4},
    )
    Jx: tuple[float, ...] = key(numbers(), "coupling of the x components, or a list by neighbour order")
    Jy: tuple[float, ...] = key(numbers(), "coupling of the y components, or a list by neighbour order")
    Jz: tuple[float, ...] = key(numbers(), "coupling of the z components, or a list by neighbour order")
    D: tuple[Vector, ...] | None = key(
        VECTORS,
        "Dzyaloshinskii-Moriya vector of nearest neighbours, or a list with one for each direction of bonds",
    )
    hx: float = key(checks.number(), "field along x")
    hy: float = key(checks.number(), "field along y; makes elements complex")
    hz: float = key(checks.number(), "field along z")
    h_staggered: float = key(checks.number(), "field along z, with opposite signs on two sublattices")

    def resolved(self, lattice: Lattice) -> Self:
        Jx, Jy, Jz = (by_orders(name, getattr(self, name), lattice) for name in ("Jx", "Jy", "Jz"))
        found = dataclasses.replace(self, Jx=Jx, Jy=Jy, Jz=Jz)
        if found.D is not None and not np.any(found.D):
            found = dataclasses.replace(found, D=None)
        fields = (self.hx, self.hy, self.hz, self.h_staggered)
        if found.D is None and not any((*found.Jx, *found.Jy, *found.Jz, *fields)):
            names = "hamiltonian.Jx, .Jy, .Jz, .D, .hx, .hy, .hz, .h_staggered"
            raise bad("hamiltonian.Jx", self.Jx, f"another number than 0 for one of {names}")
        if found.D is not None:
            groups = one_line("hamiltonian.D", self.D, lambda: with_sense(lattice, 1))
            if len(found.D) not in (1, len(groups)):
                several = "" if len(groups) == 1 else f", or {len(groups)}, one for each direction of bonds"
                raise bad("hamiltonian.D", self.D, f"one vector{several} on {lattice.told}")
        if self.h_staggered and bipartition(lattice) is None:
            raise bad("hamiltonian.h_staggered", self.h_staggered, "0: the nearest neighbours form no two sublattices")
        return found.gauged(lattice)

    def conserves(self) -> bool:
        D_plane = [vector[:2] for vector in self.D or ()]
        return self.Jx == self.Jy and self.hx == self.hy == 0 and not np.any(D_plane)

    def why_not_conserved(self) -> str:
        return " with Jx other than Jy, or with hx, hy, Dx or Dy other than 0"

    def ground_total(self, lattice: Lattice) -> Total:
        return _totals.of_strings(self.strings(lattice), lattice.n_sites)

    def most_orders(self) -> int | None:
        return max(len(np.atleast_1d(one)) for one in (self.Jx, self.Jy, self.Jz))

    def orders(self) -> list[int]:
        lists = (self.Jx, self.Jy, self.Jz)
        used = {n for one in lists for n, coupling in enumerate(one, 1) if coupling}
        return sorted(used | ({1} if self.D is not None else set()))

    def has_sense(self) -> bool:
        return self.D is not None

    def lines(self, lattice: Lattice) -> list[str]:
        found = super().lines(lattice)
        if self.D is not None and lattice.edges is None:
            groups = with_sense(lattice, 1)
            vectors = self.D if len(self.D) > 1 else self.D * len(groups)
            of_each = [f"{_vector(D)} along {_vector(one.direction)}" for D, one in zip(vectors, groups, strict=True)]
            found.append(f"lattice: D by direction of bonds: {', '.join(of_each)}")
        return found

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        if total is None:  # an in-plane D also flips single spins, and can cancel a field
            return (self.hx != 0 or self.hy != 0) and not any(any(vector[:2]) for vector in self.D or ())
        pairs = [sites for sites, _ in of_strings(self.strings(lattice)) if len(sites) == 2]
        return connected(lattice.n_sites, np.array(pairs, dtype=np.int32).reshape(-1, 2))

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        fields = (self.hx, self.hy, self.hz)
        return xyz_strings(
            lattice, (self.Jx, self.Jy, self.Jz), D=self.D or (), fields=fields, staggered=self.h_staggered
        )


def _vector(x: Sequence[float] | np.ndarray) -> str:
    return "(" + ", ".join(f"{one + 0.0:.4g}" for one in np.round(np.asarray(x), 6)) + ")"
