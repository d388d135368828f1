"""Regular lattices: unit cells in one to three directions."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Self

from nqs_hpc.choices.keys import key
from nqs_hpc.choices.lattice.base import MAX_SITES, Lattice
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import families
from nqs_hpc.system import lattice as lattices


@dataclass(frozen=True)
class RegularLattice(Lattice):
    """Resolved: ``extent`` and ``pbc`` have one entry per dimension, ``length`` is None."""

    length: int | None = key(checks.optional(checks.integer()), "unit cells in every direction", physics=False)
    extent: tuple[int, ...] = key(
        checks.optional(checks.list_of(checks.integer())), "unit cells by direction, instead of length"
    )
    pbc: tuple[bool, ...] = key(checks.one_or_list(checks.boolean), "periodic boundaries, or a list by direction")
    double_bonds: bool = key(
        checks.boolean,
        "count a bond once for each way around a periodic side: twice on a side of 2; false: once",
        physics="given",
    )

    def resolved(self) -> Self:
        dimensions = self._dimensions()
        key, value, extent = self._extent()
        per_direction = f"one entry for each direction; lattice={self.name} has {dimensions}"
        if len(extent) != dimensions:
            raise bad(key, value, per_direction)
        pbc = self._pbc()
        if math.prod(extent) > MAX_SITES:
            raise bad(key, value, f"at most {MAX_SITES} unit cells in all")
        full = dataclasses.replace(self, length=None, extent=extent, pbc=pbc)
        one_line(key, value, full.make)
        return full

    def _dimensions(self) -> int:
        return lattices.DIMENSIONS[self.name]

    def _extent(self) -> tuple[str, Any, tuple[int, ...]]:
        """The key that gives the size, its value, and unit cells by direction."""
        key, value = ("lattice.length", self.length) if self.extent is None else ("lattice.extent", self.extent)
        if value is None:
            raise bad("lattice.length", None, "a whole number, at least 1, where lattice.extent is not given")
        return key, value, value if isinstance(value, tuple) else (value,) * self._dimensions()

    def _pbc(self) -> tuple[bool, ...]:
        dimensions = self._dimensions()
        pbc = self.pbc if isinstance(self.pbc, tuple) else (self.pbc,) * dimensions
        if len(pbc) != dimensions:
            valid = f"true, false, or one entry for each direction; lattice={self.name} has {dimensions}"
            raise bad("lattice.pbc", self.pbc, valid)
        return pbc

    def sites(self) -> lattices.Lattice:
        """The lattice, its bonds counted once."""
        return families.made(self.name, self.extent, self.pbc)

    def make(self) -> lattices.Lattice:
        return self.sites()._replace(double_bonds=True) if self.double_bonds else self.sites()
