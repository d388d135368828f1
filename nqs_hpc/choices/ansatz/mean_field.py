"""ansatz=mean_field: a product state (`ansatz.mean_field`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class MeanField(Ansatz):
    examples: ClassVar[Examples] = ({"init_scale": 0.3}, {"dtype": "complex", "init_scale": 0.3})
    dtype: Literal["real", "complex"] = _keys.dtype("real or complex parameters")
    init_scale: float = _keys.init_scale("standard deviation of the initial parameters")

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 2

    def is_of_one_size(self) -> bool:
        return True

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.mean_field import mean_field

        return mean_field(
            lattice.n_sites,
            dtype=self.dtype,
            init_scale=self.init_scale,
            local_values=basis.hilbert.local_values,
            float_dtype=float_dtype,
        )
