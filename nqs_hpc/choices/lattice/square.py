"""lattice=square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.lattice._torus import TorusLattice


@dataclass(frozen=True)
class Square(TorusLattice):
    examples: ClassVar[Examples] = (
        {"extent": [2, 3], "pbc": [True, False]},
        {"extent": [2, 2], "pbc": [True, False]},
        {"length": 2},
        {"cluster": [[2, 1], [-1, 2]]},
    )
