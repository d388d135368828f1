"""ansatz=rbm_symm: a restricted Boltzmann machine with shared weights (`ansatz.rbm_symm`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.product_states import TINY, reduced
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class RbmSymm(Ansatz):
    examples: ClassVar[Examples] = (
        {"alpha": 2, "init_scale": 0.3},
        {"alpha": 2, "dtype": "complex", "init_scale": 0.3},
    )
    alpha: int = key(checks.integer(), "features; each is a hidden unit translated to every cell")
    dtype: Literal["real", "complex"] = _keys.dtype("real or complex parameters")
    bias: bool = key(checks.boolean, "whether visible and hidden units have a bias")
    init_scale: float = _keys.init_scale("standard deviation of the initial parameters")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        if lattice.edges is not None or len(translations(lattice)) < 2:
            have = f"{self.name} with a lattice that has translations, along a periodic direction"
            raise bad(prefix, self.name, f"{have}; on this one rbm")
        return self

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 2

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        return translations(lattice)

    def is_even(self) -> bool:
        return not self.bias

    def is_of_one_size(self) -> bool:
        return True

    def why_not(self, fields_N: NDArray[np.complex128], lattice: Lattice, basis: Basis) -> str:
        moved = fields_N[translations(lattice)]
        if np.abs(reduced(moved - fields_N[None])).max() > TINY:
            return "a state that is the same in all cells, as rbm_symm is"
        why = _keys.why_no_phases(self.dtype, fields_N, basis)
        return why or _keys.why_no_units(self.bias, fields_N, basis)

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.rbm_symm import rbm_symm

        return rbm_symm(
            translations(lattice),
            n_features=self.alpha,
            dtype=self.dtype,
            bias=self.bias,
            init_scale=self.init_scale,
            local_values=basis.hilbert.local_values,
            float_dtype=float_dtype,
        )
