"""The spectrum and the rank of the quantum geometric tensor (`observables.qgt`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.keys import key
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Qgt(Observable):
    of_sites: ClassVar[bool] = False
    of_state: ClassVar[bool] = False
    few_values: ClassVar[int] = 0
    cut: float = key(
        checks.number(least=0, below=1), "eigenvalues above this fraction of the largest one count for the rank"
    )

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.qgt import most_parameters, qgt

        found = qgt(pieces.ansatz, pieces.hilbert, cut=self.cut, chunk=pieces.chunk)
        n, most = found.outputs[0].shape[0], most_parameters(pieces.memory)
        if n > most:
            gib = pieces.memory / 2**30
            valid = f"a network of at most {most} parameters, not {n}: their matrix must fit into memory_gib={gib:g}"
            raise bad("observables.LABEL", self.name, valid)
        return found
