"""ansatz=product: an amplitude times a determinant, or any two wave functions (`ansatz.products`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, inner
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Product(Ansatz):
    needs_fermions: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {"amplitude": {"name": "rbm", "init_scale": 0.3}, "determinant": {"name": "slater", "noise": 0.2}},
        {
            "amplitude": {"name": "jastrow", "init_scale": 0.3},
            "determinant": {"name": "slater", "dtype": "complex", "noise": 0.2},
        },
    )
    amplitude: Ansatz = inner(
        "ansatz", "ansatz.amplitude", "first factor, any of the others; its keys below: ansatz.amplitude.init_scale"
    )
    determinant: Ansatz = inner(
        "ansatz", "ansatz.determinant", "second factor, any of the others; its keys below: ansatz.determinant.start"
    )

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        amplitude = self.amplitude.resolved(lattice, basis, prefix=f"{prefix}.amplitude")
        determinant = self.determinant.resolved(lattice, basis, prefix=f"{prefix}.determinant")
        return dataclasses.replace(self, amplitude=amplitude, determinant=determinant)

    def row_size(self) -> int:
        """1 where both are real, 2 where both are holomorphic, else that of complex rows of mixed parameters."""
        sizes = {self.amplitude.row_size(), self.determinant.row_size()}
        return sizes.pop() if len(sizes) == 1 else 4

    def is_even(self) -> bool:
        return self.amplitude.is_even() and self.determinant.is_even()

    def has_fields(self, *, complex_: bool) -> bool:
        return self.amplitude.has_fields(complex_=complex_) or self.determinant.has_fields(complex_=complex_)

    def is_of_one_size(self) -> bool:
        return self.amplitude.is_of_one_size() or self.determinant.is_of_one_size()

    def why_not(self, fields_N: NDArray[np.complex128], lattice: Lattice, basis: Basis) -> str:
        return f"null with ansatz={self.name}, which begins from its factors"

    def lines(self, lattice: Lattice, basis: Basis) -> list[str]:
        return [*self.amplitude.lines(lattice, basis), *self.determinant.lines(lattice, basis)]

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.products import products

        return products(
            self.amplitude.make(lattice, basis, float_dtype), self.determinant.make(lattice, basis, float_dtype)
        )
