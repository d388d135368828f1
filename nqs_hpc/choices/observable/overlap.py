"""The fidelity with the wave function of another run, or with the exact ground state (`observables.overlap`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.hilbert import dimension_up_to

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions

EXACT = "exact"
MAX_STATES = 2**20  # `operators.exact`


@dataclass(frozen=True)
class Overlap(Observable):
    of_sites: ClassVar[bool] = False
    examples: ClassVar[Examples] = ({"run": EXACT},)
    few_values: ClassVar[int] = 2
    run: str = key(
        Check("exact, or the folder of a run, or one of its checkpoints step_….h5", checks.path.read, (EXACT,), "run"),
        "run folder or checkpoint of the other wave function, on the same sites; exact: the lowest eigenvector of "
        "the Hamiltonian in the sampled sector, including symmetries",
    )

    def resolved(self, context: Context, prefix: str) -> Self:
        if self.run == EXACT and dimension_up_to(context.hilbert, MAX_STATES) > MAX_STATES:
            raise bad(f"{prefix}.run", self.run, f"a run: exact diagonalisation takes at most {MAX_STATES} states")
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.overlap import exact_ground_state, overlap
        from nqs_hpc.observables.states import log_amplitudes

        if self.run == EXACT:
            operator, basis, symmetry = pieces.operator, pieces.basis, pieces.symmetry
            other = one_line("observables.LABEL.run", EXACT, lambda: exact_ground_state(operator, basis, symmetry))
        else:
            other = log_amplitudes(pieces.other("observables.LABEL.run", self.run), chunk=pieces.chunk)
        return overlap(pieces.basis, other, chunk=pieces.chunk)
