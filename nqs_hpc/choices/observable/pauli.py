"""An observable that is a sum of Pauli strings (`operators.pauli`)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs.checks import Check, Invalid, bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.operators import pauli_strings
from nqs_hpc.types import PauliString

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


def _terms(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise Invalid
    return value


@dataclass(frozen=True)
class Pauli(Observable):
    """Resolved: ``terms`` are the strings of the complete sum, sorted and merged."""

    examples: ClassVar[Examples] = (
        {"terms": ["0.5 Z0 Z1", "-1.0 X2"]},
        {"terms": [{"coefficient": 1.0, "operators": "XX", "neighbours": 1}]},
    )
    terms: tuple[PauliString, ...] = key(
        Check("a list of lines like '0.5 Z0 Z1', or of {coefficient: 0.5, operators: ZZ, neighbours: 1}", _terms),
        "the sum, as hamiltonian.terms",
    )

    def resolved(self, context: Context, prefix: str) -> Self:
        if set(context.hilbert.local_values) != {1, -1}:
            valid = f"another observable: Pauli strings act on spins 1/2, and these are {context.hamiltonian.words}"
            raise bad(prefix, self.name, valid)
        strings = one_line(f"{prefix}.terms", self.terms, lambda: pauli_strings.expand(self.terms, context.lattice))
        return dataclasses.replace(self, terms=strings)

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.types import Observable as Functions

        return Functions(strings=(self.terms,))
