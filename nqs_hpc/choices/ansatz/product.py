"""ansatz=product: the product of two wave functions, for example a network and a determinant (`ansatz.products`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, inner
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Product(Ansatz):
    examples: ClassVar[Examples] = (
        {"first": {"name": "jastrow", "init_scale": 0.3}, "second": {"name": "rbm", "init_scale": 0.3}},
        {
            "first": {"name": "jastrow", "dtype": "complex", "init_scale": 0.3},
            "second": {"name": "mlp", "alphas": [1], "activation": "tanh"},
        },
    )
    first: Ansatz = inner(
        "ansatz", "ansatz.first", "one wave function, any other ansatz; its keys: ansatz.first.init_scale"
    )
    second: Ansatz = inner(
        "ansatz", "ansatz.second", "the second wave function, any other ansatz; its keys: ansatz.second.start"
    )

    def _both(self) -> tuple[tuple[str, Ansatz], ...]:
        return (("first", self.first), ("second", self.second))

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        parts: dict[str, Any] = {}
        for name, part in self._both():
            if part.has_sector():
                valid = f"another: the sector of {part.name} would not be that of the product"
                raise bad(f"{prefix}.{name}", part.name, valid)
            parts[name] = part.resolved(lattice, basis, prefix=f"{prefix}.{name}")
        return dataclasses.replace(self, **parts)

    def has_signs(self, lattice: Lattice, basis: Callable[[], Basis]) -> bool:
        return self.row_size() == 1 and any(part.has_signs(lattice, basis) for _, part in self._both())

    def row_size(self) -> int:
        sizes = {part.row_size() for _, part in self._both()}
        return sizes.pop() if len(sizes) == 1 else 4

    def complex_keys(self) -> str:
        return self.first.complex_keys().replace("ansatz.", "ansatz.first.")

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        first, second = (part.invariance(lattice, basis) for _, part in self._both())
        if first is None or second is None:
            return None
        shared = {tuple(perm) for perm in second.tolist()}
        return first[[tuple(perm) in shared for perm in first.tolist()]]

    def is_even(self) -> bool:
        return self.first.is_even() and self.second.is_even()

    def is_of_one_size(self) -> bool:
        return self.first.is_of_one_size() or self.second.is_of_one_size()

    def lines(self, lattice: Lattice, basis: Basis) -> list[str]:
        return [line for _, part in self._both() for line in part.lines(lattice, basis)]

    def warnings(self, lattice: Lattice, basis: Basis) -> list[str]:
        return [line for _, part in self._both() for line in part.warnings(lattice, basis)]

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.products import product_of

        return product_of(self.first.make(lattice, basis, float_dtype), self.second.make(lattice, basis, float_dtype))
