"""ansatz=jastrow_slater: a Jastrow factor on occupations times determinants, in one choice (`ansatz.products`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.jastrow import Jastrow
from nqs_hpc.choices.ansatz.slater import Slater
from nqs_hpc.choices.keys import Examples, Float
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True, kw_only=True)
class JastrowSlater(Slater):
    """The keys of a determinant; both factors have numbers of the same dtype."""

    examples: ClassVar[Examples] = (
        {"noise": 0.2, "init_scale": 0.3},
        {"dtype": "complex", "noise": 0.2, "init_scale": 0.3},
    )
    init_scale: float = _keys.init_scale("standard deviation of the initial parameters of the Jastrow factor")

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.products import product_of

        amplitude = Jastrow(name="jastrow", dtype=self.dtype, init_scale=self.init_scale)
        return product_of(amplitude.make(lattice, basis, float_dtype), super().make(lattice, basis, float_dtype))
