"""ansatz=masked_dense: an autoregressive network of masked dense layers (`ansatz.masked_dense`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.ansatz._masked import Masked
from nqs_hpc.choices.keys import Examples, Float
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class MaskedDense(Masked):
    examples: ClassVar[Examples] = (
        {"features": 3, "activation": "tanh"},
        {"layers": 3, "features": 2, "activation": "tanh", "dtype": "complex"},
    )

    def is_of_one_size(self) -> bool:
        return True

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.masked_dense import masked_dense

        return masked_dense(lattice.n_sites, **self.shared(basis, float_dtype))
