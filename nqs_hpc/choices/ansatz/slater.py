"""ansatz=slater: determinants; the orbitals are the parameters (`ansatz.slater`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, derived, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import InputError, bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import orbitals
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hartree_fock import MeanField, hartree_fock
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions

STARTS = ("free", "hartree_fock")


@dataclass(frozen=True)
class Slater(Ansatz):
    """Resolved: ``rows`` are the orbitals of a file; of complex orbitals first the real, then the imaginary parts."""

    needs_fermions: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {"noise": 0.2},
        {"kind": "restricted", "dtype": "complex", "noise": 0.2},
        {"kind": "generalised", "start": "hartree_fock", "noise": 0.2},
    )
    kind: Literal["restricted", "unrestricted", "generalised"] = key(
        checks.choice("restricted", "unrestricted", "generalised"),
        "orbitals: the same for both spins, different for each spin, or mixing the spins",
    )
    dtype: Literal["real", "complex"] = _keys.dtype("real or complex orbitals")
    start: str = key(
        checks.path._replace(words=("free", "hartree_fock")),
        "initial orbitals: free, hartree_fock, or a file .npy or .txt with a row for each mode",
    )
    noise: float = key(
        checks.number(least=0, most=10),
        "standard deviation of random numbers added to the initial orbitals, relative to their entries",
    )
    rows: tuple[tuple[float, ...], ...] = derived(physics="given")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        known = basis()
        if not known.hilbert.fermionic:
            raise InputError(f"{prefix}={self.name} needs fermions, such as those of hamiltonian=hubbard")
        blocks = one_line(prefix, self.name, lambda: orbitals.blocks_of(known.hilbert))
        if not any(total for _, total in blocks):
            raise bad(prefix, self.name, "another ansatz in a sector without fermions")
        made = self if self.start in STARTS or self.rows else self._from_file(known, prefix)
        if made.rows:
            try:
                array = made._array(known)
            except (TypeError, ValueError, IndexError) as error:
                raise bad(f"{prefix}.rows", self.rows, f"what a run has read from {prefix}.start ({error})") from None
            complex_ = np.iscomplexobj(array)
        else:
            first = one_line(f"{prefix}.start", self.start, lambda: made._first(known))
            complex_ = any(np.iscomplexobj(phi) for phi in first)
        if complex_ and self.dtype == "real":
            raise bad(f"{prefix}.dtype", self.dtype, f"complex: the orbitals of {prefix}.start={self.start} are")
        return made

    def _from_file(self, basis: Basis, prefix: str) -> Self:
        shape = orbitals.shape_in_file(self.kind, basis.hilbert)
        array = one_line(f"{prefix}.start", self.start, lambda: orbitals.read(self.start, shape))
        parts = [array.real, array.imag] if np.iscomplexobj(array) else [array]
        rows = tuple(tuple(map(float, row)) for row in np.concatenate(parts, axis=1))
        return dataclasses.replace(self, rows=rows)

    def _array(self, basis: Basis) -> NDArray[Any]:
        n_modes, n = orbitals.shape_in_file(self.kind, basis.hilbert)
        array = np.array([[float(x) for x in row] for row in self.rows])
        if array.shape not in ((n_modes, n), (n_modes, 2 * n)):
            raise ValueError(f"shape {array.shape}")
        return array if array.shape[1] == n else array[:, :n] + 1j * array[:, n:]

    def _first(self, basis: Basis) -> tuple[NDArray[Any], ...]:
        if self.rows:
            return orbitals.from_array(self.kind, basis.hilbert, self._array(basis))
        if self.start == "hartree_fock":
            return self._mean_field(basis).orbitals
        return orbitals.arranged(self.kind, orbitals.free_orbitals(basis.fermions, basis.hilbert))

    def _mean_field(self, basis: Basis) -> MeanField:
        return hartree_fock(basis.fermions, basis.hilbert, self.kind)

    def has_signs(self, lattice: Lattice, basis: Callable[[], Basis]) -> bool:
        del lattice, basis
        return self.dtype == "real"

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 2

    def is_of_one_size(self) -> bool:
        return True

    def why_not(self, fields_N: NDArray[np.complex128], lattice: Lattice, basis: Basis) -> str:
        return f"null with ansatz={self.name}, which begins from ansatz.start"

    def lines(self, lattice: Lattice, basis: Basis) -> list[str]:
        if self.rows:
            return [f"orbitals: {self.kind}, from {self.start}"]
        if self.start == "free":
            return []
        found = self._mean_field(basis)
        said = [f"orbitals: {self.kind} Hartree-Fock, energy {found.energy:.9g}, best of {found.n_starts} starts"]
        if found.residual > 1e-5:
            said.append(f"orbitals: Hartree-Fock has not converged, [F, rho] is {found.residual:.1e}")
        return said

    def warnings(self, lattice: Lattice, basis: Basis) -> list[str]:
        if self.rows:
            return []
        is_free = self.start == "free"
        levels = orbitals.free_levels(basis.fermions, basis.hilbert) if is_free else self._mean_field(basis).blocks
        return orbitals.open_shells(levels)

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.slater import slater

        numbers = [total for _, total in orbitals.blocks_of(basis.hilbert)]
        return slater(
            [sum(numbers)] if self.kind == "generalised" else numbers,
            self._first(basis),
            shared=self.kind == "restricted",
            noise=self.noise,
            dtype=self.dtype,
            float_dtype=float_dtype,
        )
