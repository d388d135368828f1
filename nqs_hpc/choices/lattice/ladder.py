"""lattice=ladder: legs of equal length, and rungs between them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.lattice._regular import RegularLattice
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system import families
from nqs_hpc.system import lattice as lattices


@dataclass(frozen=True)
class Ladder(RegularLattice):
    """Resolved: ``extent`` is [rungs, legs], ``length`` and ``legs`` are None, and so is a ``rung`` of 1."""

    examples: ClassVar[Examples] = (
        {"length": 3, "rung": 1.1},
        {"length": 2, "legs": 3, "pbc": False},
    )
    legs: int | None = key(
        checks.optional(checks.integer(least=2)),
        "number of legs, with length; null: 2, or that of extent",
        physics=False,
    )
    rung: float | None = key(
        checks.optional(checks.number(above=families.LEAST_RUNG, below=families.MOST_RUNG)),
        "length of a rung, a bond of a leg being 1: above 1 legs are order 1 and rungs 2, below 1 the reverse; null: 1",
        physics="given",
    )

    def resolved(self) -> Self:
        if self.extent is not None and self.legs is not None:
            raise bad("lattice.legs", self.legs, "null with lattice.extent, which is [rungs, legs]")
        return dataclasses.replace(super().resolved(), legs=None, rung=None if self.rung == 1 else self.rung)

    def _extent(self) -> tuple[str, Any, tuple[int, ...]]:
        key, value, extent = super()._extent()
        return key, value, extent if self.extent is not None else (extent[0], self.legs or 2)

    def sites(self) -> lattices.Lattice:
        return families.made(self.name, self.extent, self.pbc, rung=self.rung)
