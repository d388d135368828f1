"""lattice=honeycomb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.lattice._torus import TorusLattice


@dataclass(frozen=True)
class Honeycomb(TorusLattice):
    examples: ClassVar[Examples] = ({"extent": [2, 1], "pbc": False},)
