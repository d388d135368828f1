"""ansatz=antn: an autoregressive neural tensor network (`ansatz.antn`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.ansatz._masked import Masked
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Antn(Masked):
    examples: ClassVar[Examples] = (
        {"chi": 2, "features": 3, "init_scale": 0.3},
        {"chi": 2, "layers": 2, "features": 2, "dtype": "complex", "init_scale": 0.3},
    )
    chi: int = key(checks.integer(below=2**10), "bond dimension: the size of the matrices")

    def has_signs(self, lattice: Lattice, basis: Callable[[], Basis]) -> bool:
        del lattice, basis
        return self.dtype == "real"

    def is_of_one_size(self) -> bool:
        return True

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.antn import antn

        return antn(lattice.n_sites, chi=self.chi, **self.shared(basis, float_dtype))
