"""ansatz=rbm: a restricted Boltzmann machine (`ansatz.rbm`)."""

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
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Rbm(Ansatz):
    examples: ClassVar[Examples] = (
        {"alpha": 1.5, "init_scale": 0.3},
        {"alpha": 1.5, "dtype": "complex", "init_scale": 0.3},
    )
    alpha: float = key(checks.positive, "hidden units, in units of the number of sites")
    dtype: Literal["real", "complex"] = _keys.dtype("real or complex parameters")
    bias: bool = key(checks.boolean, "whether visible and hidden units have a bias")
    init_scale: float = _keys.init_scale("standard deviation of the initial parameters")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        if round(self.alpha * lattice.n_sites) < 1:
            valid = f"a number that gives at least one hidden unit on {lattice.n_sites} sites"
            raise bad(f"{prefix}.alpha", self.alpha, valid)
        return self

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 2

    def is_even(self) -> bool:
        return not self.bias

    def has_fields(self, *, complex_: bool) -> bool:
        return self.bias and complex_ == (self.dtype == "complex")

    def is_of_one_size(self) -> bool:
        return True

    def why_not(self, fields_N: NDArray[np.complex128], lattice: Lattice, basis: Basis) -> str:
        why = _keys.why_no_phases(self.dtype, fields_N, basis)
        return why or _keys.why_no_units(self.bias, fields_N, basis)

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.rbm import rbm

        return rbm(
            lattice.n_sites,
            n_hidden=max(1, round(self.alpha * lattice.n_sites)),
            dtype=self.dtype,
            bias=self.bias,
            init_scale=self.init_scale,
            local_values=basis.hilbert.local_values,
            float_dtype=float_dtype,
        )
