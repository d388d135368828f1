"""ansatz=backflow: determinants of orbitals that depend on the occupied modes (`ansatz.backflow`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nqs_hpc.choices.ansatz._networked import Networked
from nqs_hpc.choices.keys import Examples, Float
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions

SMALL: dict[str, Any] = {"layers": 1, "features": 3, "activation": "tanh", "noise": 0.2}


@dataclass(frozen=True, kw_only=True)
class Backflow(Networked):
    examples: ClassVar[Examples] = (
        {**SMALL},
        {**SMALL, "kind": "restricted", "dtype": "complex"},
        {**SMALL, "kind": "generalised", "net": "convolutional", "kernel": 3, "layers": 2},
    )

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.backflow import backflow

        return backflow(features=self.network(lattice, float_dtype), **self.determinants(basis, float_dtype))
