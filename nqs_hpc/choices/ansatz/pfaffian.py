"""ansatz=pfaffian: fermions in pairs; the amplitudes of the pairs are the parameters (`ansatz.pfaffian`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nqs_hpc.choices.ansatz.slater import Slater
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.system import orbitals
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions

PAIRS = {"restricted": "singlets", "unrestricted": "opposite", "generalised": "all"}


@dataclass(frozen=True, kw_only=True)
class Pfaffian(Slater):
    examples: ClassVar[Examples] = (
        {"noise": 0.3},
        {"kind": "restricted", "dtype": "complex", "noise": 0.3},
        {"kind": "generalised", "noise": 0.3},
    )
    kind: Literal["restricted", "unrestricted", "generalised"] = key(
        checks.choice("restricted", "unrestricted", "generalised"),
        "pairs: singlets, any pairs of opposite spin, or pairs of any two modes (always, without spin)",
    )

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.pfaffian import pfaffian

        numbers = [total for _, total in orbitals.blocks_of(basis.hilbert)]
        first = self._first(basis)
        if self.kind == "generalised" and self.start == "free":  # up spins are paired with down spins
            first = orbitals.free_orbitals(basis.fermions, basis.hilbert)
        return pfaffian(
            numbers,
            first,
            pairs="all" if len(numbers) == 1 else PAIRS[self.kind],  # type: ignore[arg-type]
            noise=self.noise,
            dtype=self.dtype,
            float_dtype=float_dtype,
        )
