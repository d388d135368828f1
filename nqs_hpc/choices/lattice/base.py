"""The facts and methods of every lattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nqs_hpc.choices.keys import Examples
from nqs_hpc.system.lattice import Lattice as Sites

if TYPE_CHECKING:
    from nqs_hpc.choices.hamiltonian.base import Hamiltonian

MAX_SITES = 2**16  # 256 x 256: more is a typing error, and would not fit into memory


@dataclass(frozen=True)
class Lattice:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys with which contract tests run it: few sites
    # fields read from a file, which a run keeps in config.yaml; the first one shows whether they have been read
    read: ClassVar[tuple[str, ...]] = ()

    def resolved(self) -> Self:
        """The choice with one entry per direction and its files read; raises InputError."""
        return self

    def settled(self, given: Hamiltonian, hamiltonian: Hamiltonian, *, before: Any) -> Self:
        """The choice with everything that depends on the bonds that ``hamiltonian`` uses; raises InputError if they do
        not fit.

        ``given``: the Hamiltonian as read; ``before``: this lattice as read, before `resolved`. Bonds that a run has
        kept are taken unchanged.
        """
        del given, hamiltonian, before
        return self

    def make(self) -> Sites:
        """The lattice of a resolved choice as given; for the toric code that of the vertices."""
        raise NotImplementedError
