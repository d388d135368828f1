"""ansatz=table: every amplitude is a parameter, for few states (`ansatz.table`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import dimension_up_to
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions

MAX_STATES = 2**16  # as many complex parameters; the dense matrices of SR are the tighter limit


@dataclass(frozen=True)
class Table(Ansatz):
    examples: ClassVar[Examples] = ({"init_scale": 0.3},)
    init_scale: float = _keys.init_scale("standard deviation of the initial logarithms of amplitudes")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        if dimension_up_to(basis().hilbert, MAX_STATES) > MAX_STATES:
            few = f"another ansatz: a table has a parameter for each state, and these are more than {MAX_STATES}"
            raise bad(prefix, self.name, few)
        return self

    def row_size(self) -> int:
        return 2

    def is_of_one_size(self) -> bool:
        return True

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.table import table

        return table(basis.hilbert, init_scale=self.init_scale, float_dtype=float_dtype)
