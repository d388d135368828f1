"""Regular lattices: unit cells in one to three directions."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Self

from nqs_hpc.choices.keys import key
from nqs_hpc.choices.lattice.base import MAX_SITES, Lattice
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import lattice as lattices


@dataclass(frozen=True)
class RegularLattice(Lattice):
    """Resolved: ``extent`` and ``pbc`` have one entry a dimension, ``length`` is None."""

    length: int | None = key(checks.optional(checks.integer()), "unit cells in every direction", physics=False)
    extent: tuple[int, ...] = key(
        checks.optional(checks.list_of(checks.integer())), "unit cells by direction, instead of length"
    )
    pbc: tuple[bool, ...] = key(checks.one_or_list(checks.boolean), "periodic boundaries, or a list by direction")
    double_bonds: bool = key(
        checks.boolean,
        "count a bond once for each way around a periodic side: twice on a side of 2, where false counts it once",
        physics="given",
    )

    def resolved(self) -> Self:
        dimensions = lattices.DIMENSIONS[self.name]
        key, value = ("lattice.length", self.length) if self.extent is None else ("lattice.extent", self.extent)
        if value is None:
            raise bad("lattice.length", None, "a whole number, at least 1, where lattice.extent is not given")
        extent = value if isinstance(value, tuple) else (value,) * dimensions
        per_direction = f"one entry for each direction; lattice={self.name} has {dimensions}"
        if len(extent) != dimensions:
            raise bad(key, value, per_direction)
        pbc = self.pbc if isinstance(self.pbc, tuple) else (self.pbc,) * dimensions
        if len(pbc) != dimensions:
            raise bad("lattice.pbc", self.pbc, f"true, false, or {per_direction}")
        if math.prod(extent) > MAX_SITES:
            raise bad(key, value, f"at most {MAX_SITES} unit cells in all")
        full = dataclasses.replace(self, length=None, extent=tuple(extent), pbc=tuple(pbc))
        one_line(key, value, full.make)
        return full

    def make(self) -> lattices.Lattice:
        made = lattices.FACTORIES[self.name](self.extent, self.pbc)
        return made._replace(double_bonds=True) if self.double_bonds else made
