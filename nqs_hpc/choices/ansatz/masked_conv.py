"""ansatz=masked_conv: an autoregressive network of masked convolutions (`ansatz.masked_conv`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from nqs_hpc.choices.ansatz._masked import Masked
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions

GRIDS = ("chain", "square", "triangular")  # one site per cell, along at most two directions


@dataclass(frozen=True)
class MaskedConv(Masked):
    examples: ClassVar[Examples] = ({"layers": 2, "features": 4, "activation": "tanh", "dtype": "complex"},)
    kernel: int = key(
        checks.integer(least=2), "sites of a chain, or rows of a lattice, that a layer sees, including its own"
    )

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        if lattice.name not in GRIDS:
            raise bad(prefix, self.name, f"masked_dense, or one of lattice={', '.join(GRIDS)}: sites in rows")
        if lattice.layers > 1:
            raise bad(prefix, self.name, "masked_dense or another ansatz: modes of two spins are not in rows")
        if self.kernel > min(lattice.extent):
            valid = f"at most {min(lattice.extent)}, the smallest extent of the lattice"
            raise bad(f"{prefix}.kernel", self.kernel, valid)
        return super().resolved(lattice, basis, prefix=prefix)

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.masked_conv import masked_conv

        return masked_conv(lattice.extent, kernel=self.kernel, **self.shared(basis, float_dtype))
