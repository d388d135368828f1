"""lattice=lieb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.lattice._torus import TorusLattice


@dataclass(frozen=True)
class Lieb(TorusLattice):
    examples: ClassVar[Examples] = ({"extent": [1, 2], "pbc": False},)
