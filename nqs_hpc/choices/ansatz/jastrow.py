"""ansatz=jastrow: a two-body Jastrow factor (`ansatz.jastrow`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Jastrow(Ansatz):
    examples: ClassVar[Examples] = ({"init_scale": 0.3}, {"dtype": "complex", "init_scale": 0.3})
    dtype: Literal["real", "complex"] = _keys.dtype("real or complex parameters")
    init_scale: float = _keys.init_scale("standard deviation of the initial parameters")

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 2

    def has_fields(self, *, complex_: bool) -> bool:
        return complex_ == (self.dtype == "complex")

    def is_of_one_size(self) -> bool:
        return True

    def why_not(self, fields_N: NDArray[np.complex128], lattice: Lattice, basis: Basis) -> str:
        return _keys.why_no_phases(self.dtype, fields_N, basis)

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.jastrow import jastrow

        return jastrow(
            lattice.n_sites,
            dtype=self.dtype,
            init_scale=self.init_scale,
            local_values=basis.hilbert.local_values,
            float_dtype=float_dtype,
        )
