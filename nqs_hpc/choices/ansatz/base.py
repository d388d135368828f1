"""What every ansatz answers. The defaults are safe for a network that says nothing of itself: it has no built-in
symmetry and no conditionals, and its numbers may be complex.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.keys import Examples, Float
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions

if TYPE_CHECKING:
    from nqs_hpc.choices.hamiltonian.base import Hamiltonian


@dataclass(frozen=True)
class Ansatz:
    """``lattice`` is that of the sites; ``prefix`` the key under which the choice stands."""

    name: str
    examples: ClassVar[Examples] = ({},)  # keys under which contract tests try it, on a chain of six sites
    # what else of the configuration such a test then gives, where a chain does not do: of six sites, along x of more
    tried_with: ClassVar[dict[str, Any]] = {}
    runs_code: ClassVar[bool] = False  # whether one of its keys names code that is run
    is_autoregressive: ClassVar[bool] = False  # whether its class makes all of them so (`has_conditionals`)
    package: ClassVar[str | None] = None  # that it needs, an extra of this one
    needs_fermions: ClassVar[bool] = False  # whether it is a wave function of fermions in fixed numbers alone
    takes_couplings: ClassVar[bool] = False  # whether it is told couplings of the Hamiltonian (`types.Ansatz.bound`)

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        """Every key in its final form; InputError where the ansatz does not fit the sites, or the basis in which it is.

        ``basis`` is asked where it matters: on large lattices its signs take their time.
        """
        del lattice, basis, prefix
        return self

    def knowing(self, hamiltonian: Hamiltonian, swept: Sequence[str]) -> Self:
        """A resolved choice that knows a resolved Hamiltonian, of which the couplings ``swept`` take several values in
        the run; raises InputError. Itself where it is told none.
        """
        del hamiltonian, swept
        return self

    @property
    def told_names(self) -> tuple[str, ...]:
        """The couplings that a resolved choice is told, by name."""
        return ()

    def told(self, hamiltonian: Hamiltonian) -> tuple[float, ...]:
        """What a network that takes couplings is told of a resolved Hamiltonian."""
        del hamiltonian
        return ()

    def modulus_of(self) -> tuple[str, Ansatz]:
        """The ansatz of |psi|, and its key below this one's: where sampling needs less than the whole."""
        return "", self

    def row_size(self) -> int:
        """The numbers of a sample in the kernel of minsr, squared: 1 real, 2 holomorphic, 4 complex with real
        parameters, which has two rows a sample.
        """
        return 4

    def is_real(self) -> bool:
        """Whether psi has no phases but signs, as far as its keys say."""
        return self.row_size() == 1

    def complex_keys(self) -> str:
        """What makes a real one complex, as one gives it."""
        return "ansatz.dtype=complex"

    def has_conditionals(self) -> bool:
        """Whether sampler=autoregressive can draw from it: of most a fact of their class, of some one of their keys."""
        return self.is_autoregressive

    def has_signs(self, lattice: Lattice, basis: Callable[[], Basis]) -> bool:
        """Whether psi can change its sign though its numbers are real (kind ``signed`` of `types.Ansatz`)."""
        del lattice, basis
        return False

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        """The permutations (G, N), a group, under which the network is invariant by construction, whatever its
        parameters; None where there are none.
        """
        del lattice, basis
        return None

    def is_even(self) -> bool:
        """Whether psi(-s) = psi(s) by construction, whatever the parameters."""
        return False

    def is_of_one_size(self) -> bool:
        """Whether the shapes of its parameters depend on the size of the lattice, so that they fit no other size."""
        return False

    def has_fields(self, *, complex_: bool) -> bool:
        """Whether its parameters hold a field a_i s_i of each site, complex or real (`types.Ansatz.shifted`)."""
        del complex_
        return False

    def why_not(self, fields_N: NDArray[np.complex128], lattice: Lattice, basis: Basis) -> str:
        """What would be valid in place of the product state of these fields (`types.Ansatz.product_state`), where the
        network cannot be that; empty where it can.
        """
        del fields_N, lattice, basis
        able = "rbm, rbm_symm, jastrow, modulus_phase of two of them, or ansatz=anchored ansatz.net"
        return f"null with ansatz={self.name}, which can be none exactly; one with ansatz={able}={self.name}"

    def own_symmetry(self, lattice: Lattice, basis: Basis, prefix: str = "ansatz") -> Symmetry | None:
        """The sector that keys of this ansatz choose, in place of `symmetrize`; raises InputError."""
        del lattice, basis, prefix
        return None

    def has_sector(self) -> bool:
        """Whether keys of this ansatz choose a sector: then they are ``group``, ``momentum`` and ``irrep``."""
        return False

    def lines(self, lattice: Lattice, basis: Basis) -> list[str]:
        """Lines for the start of a run: what it begins from."""
        del lattice, basis
        return []

    def warnings(self, lattice: Lattice, basis: Basis) -> list[str]:
        """What of it can spoil a run, a line each: said at the start, and kept in the summary."""
        del lattice, basis
        return []

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        """The ansatz on the sites of ``lattice``, in ``basis``."""
        raise NotImplementedError
