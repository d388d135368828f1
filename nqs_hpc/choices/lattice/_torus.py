"""Regular lattices in two or three directions: unit cells in rows, or a torus of any shape."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from nqs_hpc.choices.keys import key
from nqs_hpc.choices.lattice._regular import RegularLattice
from nqs_hpc.choices.lattice.base import MAX_SITES
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import families, vectors
from nqs_hpc.system import lattice as lattices


@dataclass(frozen=True)
class TorusLattice(RegularLattice):
    """Resolved: as a regular lattice; a tilted ``cluster`` has no ``extent``."""

    cluster: tuple[tuple[int, ...], ...] | None = key(
        checks.optional(checks.list_of(checks.list_of(checks.integer(least=None)))),
        "sides of a tilted torus instead of length and extent: rows of whole numbers in primitive vectors",
        physics="given",
    )

    def resolved(self) -> Self:
        sides = self.cluster
        if sides is None:
            return super().resolved()
        pbc, key = self._pbc(), "lattice.cluster"
        n = len(pbc)
        if len(sides) != n or any(len(side) != n for side in sides):
            valid = f"{n} sides of {n} numbers each, in the primitive vectors of lattice={self.name}"
            raise bad(key, sides, valid)
        if not all(pbc):
            raise bad("lattice.pbc", self.pbc, "true with lattice.cluster, whose sides close on themselves")
        if self.extent is not None:
            raise bad("lattice.extent", self.extent, "null with lattice.cluster")
        few = f"numbers that make at most {MAX_SITES} unit cells in all"
        if max(abs(x) for side in sides for x in side) > MAX_SITES:
            raise bad(key, sides, few)
        extent, _ = one_line(key, sides, lambda: vectors.torus(np.array(sides), np.eye(n)))
        if math.prod(extent) > MAX_SITES:
            raise bad(key, sides, few)
        full = dataclasses.replace(self, length=None, pbc=pbc)
        if all(x != 0 if i == j else x == 0 for i, side in enumerate(sides) for j, x in enumerate(side)):
            # not tilted: the same run as with extent
            along = tuple(abs(side[i]) for i, side in enumerate(sides))
            if min(along) < 2:
                raise bad(key, sides, "sides along the primitive vectors of at least 2 cells each")
            full = dataclasses.replace(full, cluster=None, extent=along)
        one_line(key, sides, full.make)
        return full

    def sites(self) -> lattices.Lattice:
        return families.made(self.name, self.extent, self.pbc, self.cluster)
