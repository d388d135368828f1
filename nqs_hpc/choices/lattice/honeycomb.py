"""lattice=honeycomb."""

from __future__ import annotations

from dataclasses import dataclass

from nqs_hpc.choices.lattice._regular import RegularLattice


@dataclass(frozen=True)
class Honeycomb(RegularLattice):
    pass
