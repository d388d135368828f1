"""lattice=chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.lattice._regular import RegularLattice


@dataclass(frozen=True)
class Chain(RegularLattice):
    examples: ClassVar[Examples] = ({"length": 6}, {"length": 5, "pbc": False}, {"length": 2, "double_bonds": True})
