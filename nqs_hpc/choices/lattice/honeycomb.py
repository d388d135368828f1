"""lattice=honeycomb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.lattice._regular import RegularLattice


@dataclass(frozen=True)
class Honeycomb(RegularLattice):
    examples: ClassVar[Examples] = ({"extent": [2, 1], "pbc": False},)
