"""What Hamiltonians with exchange of spins 1/2 share: Marshall's signs on two sublattices, and the least total."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice, bipartition


@dataclass(frozen=True)
class Marshalled(Hamiltonian):
    """A Hamiltonian with exchange of spins 1/2 and the key ``marshall``, which is a boolean once resolved."""

    signs_key: ClassVar[str] = "hamiltonian.marshall"
    marshall: bool = key(
        checks.either("auto", checks.boolean),
        "Marshall sign rule; auto: if signs make all off-diagonal elements negative, or if antiferromagnetism on two "
        "sublattices prevails",
    )

    def is_antiferromagnet(self, lattice: Lattice) -> bool:
        """Whether nearest neighbours on two sublattices prevail over frustrated couplings."""
        raise NotImplementedError

    def marshalled(self, lattice: Lattice) -> Self:
        """The choice with Marshall's rule on or off; raises InputError. If frustration does not allow signs that make
        all elements negative, an antiferromagnet on two sublattices has those of its nearest neighbours, which are
        right for weak other couplings.
        """
        found, has_two, given = self.positive_signs(lattice), bipartition(lattice) is not None, self.marshall
        on: Any = given
        if on == "auto":
            on = bool((found < 0).any()) if found is not None else has_two and self.is_antiferromagnet(lattice)
        elif on and found is None and not has_two:
            raise bad("hamiltonian.marshall", True, "auto or false: the nearest neighbours do not form two sublattices")
        return dataclasses.replace(self, marshall=on)

    def conserves(self) -> bool:
        return True

    def conserves_spin(self) -> bool:
        """Whether it commutes with the total spin, not only with its z component."""
        return True

    def compared(self, hilbert: Hilbert, *, of_symmetry: bool) -> list[Hilbert]:
        if self.conserves_spin() and hilbert.total is not None:
            return [self.space(hilbert.n_sites, hilbert.n_sites % 2)]  # every multiplet has a state of the least total
        return super().compared(hilbert, of_symmetry=of_symmetry)

    def signs(self, lattice: Lattice) -> NDArray[np.int8] | None:
        if not self.marshall:
            return None
        found = self.positive_signs(lattice)
        return bipartition(lattice) if found is None else found

    def as_written(self) -> Self:
        return dataclasses.replace(self, marshall=False)
