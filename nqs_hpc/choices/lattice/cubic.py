"""lattice=cubic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.lattice._torus import TorusLattice


@dataclass(frozen=True)
class Cubic(TorusLattice):
    examples: ClassVar[Examples] = ({"length": 2},)
