"""hamiltonian=toy (`operators.toy`). It says nothing of itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator


@dataclass(frozen=True)
class Toy(Hamiltonian):
    field: float = key(checks.number(), "field along z of the toy")

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.toy import toy

        return toy(lattice.n_sites, self.field)
