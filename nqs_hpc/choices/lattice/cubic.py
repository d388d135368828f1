"""lattice=cubic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.lattice._regular import RegularLattice


@dataclass(frozen=True)
class Cubic(RegularLattice):
    examples: ClassVar[Examples] = ({"length": 2},)
