"""ansatz=toy (`ansatz.toy`). It says nothing of itself."""

from __future__ import annotations

from dataclasses import dataclass

from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Toy(Ansatz):
    scale: float = key(checks.positive, "standard deviation of the first fields of the toy")

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.toy import toy

        return toy(lattice.n_sites, self.scale, float_dtype)
