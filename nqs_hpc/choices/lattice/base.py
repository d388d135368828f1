"""What every lattice answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nqs_hpc.choices.keys import Examples
from nqs_hpc.system.lattice import Lattice as Sites

if TYPE_CHECKING:
    from nqs_hpc.choices.hamiltonian.base import Hamiltonian

MAX_SITES = 2**16  # 256 x 256: a slip of the finger, not a lattice, is above it, and would not fit into memory


@dataclass(frozen=True)
class Lattice:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys under which contract tests try it: few sites
    # what a run has read from a file and keeps in config.yaml: the fields, the first of which says that it has
    read: ClassVar[tuple[str, ...]] = ()

    def resolved(self) -> Self:
        """One entry a direction, files read; raises InputError."""
        return self

    def settled(self, given: Hamiltonian, hamiltonian: Hamiltonian, *, before: Any) -> Self:
        """With what its bonds decide, as ``hamiltonian`` uses them; raises InputError where they do not fit it.

        ``given``: the Hamiltonian as it was read; ``before``: this lattice as it was read, before `resolved`. Bonds
        that a run has kept are taken as they are.
        """
        del given, hamiltonian, before
        return self

    def make(self) -> Sites:
        """The lattice of a resolved choice, as it is given: of the toric code that of the vertices."""
        raise NotImplementedError
