"""The facts and methods of every observable."""

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
    examples: ClassVar[Examples] = ({},)  # keys with which contract tests run it, on a chain of six sites
    of_trajectories: ClassVar[bool] = False  # whether it compares the state of a trajectory with its first one
    place: ClassVar[str] = "observables.LABEL"  # the key of a choice

    of_state: ClassVar[bool] = (
        True  # whether it depends only on the wave function, not on the network that represents it
    )
    of_sites: ClassVar[bool] = True  # whether it depends on the values of single sites, or permutes the sites
    of_hamiltonian: ClassVar[bool] = False  # whether it is made from the matrix elements of the Hamiltonian
    few_values: ClassVar[int] = 1  # most values per sample that are kept to the end; 0 if sums are kept

    def resolved(self, context: Context, prefix: str) -> Self:
        """The choice with every key in its final form; InputError if it does not fit the system. ``prefix``: its
        key."""
        del context, prefix
        return self

    def make(self, pieces: Pieces) -> Functions:
        raise NotImplementedError
