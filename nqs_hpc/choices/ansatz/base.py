"""The facts and methods of every ansatz. The defaults are safe for any network: no built-in symmetry, no conditionals,
and numbers that may be complex.
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
    """``lattice`` is that of the sites; ``prefix`` is the key of the choice."""

    name: str
    examples: ClassVar[Examples] = ({},)  # keys with which contract tests run it, on a chain of six sites
    # further overrides of such a test if a chain does not fit: six sites, or more along x
    tried_with: ClassVar[dict[str, Any]] = {}
    runs_code: ClassVar[bool] = False  # whether one of its keys names code to run
    is_autoregressive: ClassVar[bool] = False  # whether all networks of the class are (`has_conditionals`)
    package: ClassVar[str | None] = None  # a package it needs, an extra of this package
    needs_fermions: ClassVar[bool] = False  # whether it needs fermions in fixed numbers
    takes_couplings: ClassVar[bool] = (
        False  # whether couplings of the Hamiltonian are inputs of it (`types.Ansatz.bound`)
    )

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        """The choice with every key in its final form; InputError if the ansatz does not fit the sites or the basis.

        Call ``basis`` only if it matters: on large lattices its signs take time.
        """
        del lattice, basis, prefix
        return self

    def knowing(self, hamiltonian: Hamiltonian, swept: Sequence[str]) -> Self:
        """A resolved choice that knows a resolved Hamiltonian, whose couplings ``swept`` take several values in the
        run; raises InputError. Returns itself if the network takes no couplings.
        """
        del hamiltonian, swept
        return self

    @property
    def told_names(self) -> tuple[str, ...]:
        """The names of the couplings that are inputs of a resolved choice."""
        return ()

    def told(self, hamiltonian: Hamiltonian) -> tuple[float, ...]:
        """The values of these couplings in a resolved Hamiltonian."""
        del hamiltonian
        return ()

    def modulus_of(self) -> tuple[str, Ansatz]:
        """The ansatz of |psi|, which is enough for sampling, and its key below that of this ansatz."""
        return "", self

    def row_size(self) -> int:
        """The size of a sample's entries in the kernel of minsr: 1 real, 2 holomorphic, 4 complex with real parameters,
        which has two rows per sample.
        """
        return 4

    def is_real(self) -> bool:
        """Whether psi has no phases but signs, as far as its keys say."""
        return self.row_size() == 1

    def complex_keys(self) -> str:
        """What makes a real one complex, as one gives it."""
        return "ansatz.dtype=complex"

    def has_conditionals(self) -> bool:
        """Whether sampler=autoregressive can draw from it: for most a fact of the class, for some it depends on
        keys."""
        return self.is_autoregressive

    def has_signs(self, lattice: Lattice, basis: Callable[[], Basis]) -> bool:
        """Whether psi can change its sign although its numbers are real (kind ``signed`` of `types.Ansatz`)."""
        del lattice, basis
        return False

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        """The group of permutations (G, N) under which the network is invariant by construction, for any parameters;
        None if there is none.
        """
        del lattice, basis
        return None

    def is_even(self) -> bool:
        """Whether psi(-s) = psi(s) by construction, for any parameters."""
        return False

    def is_of_one_size(self) -> bool:
        """Whether the shapes of its parameters depend on the size of the lattice."""
        return False

    def has_fields(self, *, complex_: bool) -> bool:
        """Whether its parameters include a field a_i s_i for each site, complex or real (`types.Ansatz.shifted`)."""
        del complex_
        return False

    def why_not(self, fields_N: NDArray[np.complex128], lattice: Lattice, basis: Basis) -> str:
        """What is valid instead of the product state of these fields (`types.Ansatz.product_state`) if the network
        cannot represent it; empty if it can.
        """
        del fields_N, lattice, basis
        able = "rbm, rbm_symm, jastrow, modulus_phase of two of them, or ansatz=anchored ansatz.net"
        return (
            f"null with ansatz={self.name}, which cannot be a product state exactly; one with ansatz={able}={self.name}"
        )

    def own_symmetry(self, lattice: Lattice, basis: Basis, prefix: str = "ansatz") -> Symmetry | None:
        """The sector that keys of this ansatz choose, instead of `symmetrize`; raises InputError."""
        del lattice, basis, prefix
        return None

    def has_sector(self) -> bool:
        """Whether keys of this ansatz choose a sector; these are ``group``, ``momentum`` and ``irrep``."""
        return False

    def lines(self, lattice: Lattice, basis: Basis) -> list[str]:
        """Lines for the start of a run about the initial state."""
        del lattice, basis
        return []

    def warnings(self, lattice: Lattice, basis: Basis) -> list[str]:
        """Warnings about what can spoil a run, one line each, printed at the start and kept in the summary."""
        del lattice, basis
        return []

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        """The ansatz on the sites of ``lattice``, in ``basis``."""
        raise NotImplementedError
