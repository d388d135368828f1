"""ansatz=modulus_phase: two real networks, log |psi| and the phase (`ansatz.modulus_phase`)."""

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
class ModulusPhase(Ansatz):
    examples: ClassVar[Examples] = ({"modulus": {"name": "jastrow"}, "phase": {"name": "mlp", "alphas": [1]}},)
    modulus: Ansatz = inner(
        "ansatz", "ansatz.modulus", "real network of log |psi|, any other ansatz; its keys: ansatz.modulus.alpha"
    )
    phase: Ansatz = inner(
        "ansatz", "ansatz.phase", "real network of the phase, any other ansatz; its keys: ansatz.phase.alphas"
    )

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        parts: dict[str, Any] = {}
        for name in ("modulus", "phase"):
            part, key = getattr(self, name), f"{prefix}.{name}"
            if part.row_size() != 1:
                raise bad(f"{key}.dtype", part.dtype, f"real: {key} is one of two real networks")
            if part.has_signs(lattice, basis):
                raise bad(
                    key, part.name, f"another: its real numbers have signs, and {key} is one of two real networks"
                )
            parts[name] = part.resolved(lattice, basis, prefix=key)
        return dataclasses.replace(self, **parts)

    def modulus_of(self) -> tuple[str, Ansatz]:
        return ".modulus", self.modulus

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        modulus, phase = (part.invariance(lattice, basis) for part in (self.modulus, self.phase))
        if modulus is None or phase is None:
            return None
        shared = {tuple(perm) for perm in phase.tolist()}
        return modulus[[tuple(perm) in shared for perm in modulus.tolist()]]

    def is_even(self) -> bool:
        return self.modulus.is_even() and self.phase.is_even()

    def has_fields(self, *, complex_: bool) -> bool:
        return complex_ and self.modulus.has_fields(complex_=False) and self.phase.has_fields(complex_=False)

    def is_of_one_size(self) -> bool:
        return self.modulus.is_of_one_size() or self.phase.is_of_one_size()

    def why_not(self, fields_N: NDArray[np.complex128], lattice: Lattice, basis: Basis) -> str:
        modulus = self.modulus.why_not(fields_N.real.astype(np.complex128), lattice, basis)
        return modulus or self.phase.why_not(fields_N.imag.astype(np.complex128), lattice, basis)

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.modulus_phase import modulus_phase

        return modulus_phase(
            self.modulus.make(lattice, basis, float_dtype), self.phase.make(lattice, basis, float_dtype)
        )
