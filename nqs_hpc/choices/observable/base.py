"""What every observable answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Observable:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys under which contract tests try it, on a chain of six sites
    of_trajectories: ClassVar[bool] = False  # whether it compares the state of a trajectory with its first one
    place: ClassVar[str] = "observables.LABEL"  # where a choice stands

    of_state: ClassVar[bool] = True  # whether it is of the wave function, and not of the network that represents it
    of_sites: ClassVar[bool] = True  # whether it asks what spins or particles each site holds, or permutes the sites
    of_hamiltonian: ClassVar[bool] = False  # whether it is made from the matrix elements of the Hamiltonian
    few_values: ClassVar[int] = 1  # values of each sample that are kept to the end, at most; 0 where sums are kept

    def resolved(self, context: Context, prefix: str) -> Self:
        """Every key in its final form; InputError where it does not fit the system. ``prefix``: the key it is under."""
        del context, prefix
        return self

    def make(self, pieces: Pieces) -> Functions:
        raise NotImplementedError
