"""ansatz=mps: a matrix product state (`ansatz.mps`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, derived, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import has_one_total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Mps(Ansatz):
    """Resolved: ``boundary`` is open or periodic."""

    examples: ClassVar[Examples] = (
        {"chi": 3, "boundary": "open", "init_scale": 0.3},
        {"chi": 2, "dtype": "complex", "init_scale": 0.3},
        {"chi": 3, "cell": 2, "init_scale": 0.3},
    )
    chi: int = key(checks.integer(below=2**10), "bond dimension: the size of the matrices")
    boundary: Literal["open", "periodic"] = key(
        checks.choice("auto", "open", "periodic"),
        "open: from the first site to the last; periodic: the trace of a ring; auto: as lattice=chain, else open",
    )
    cell: int | None = key(
        checks.optional(checks.integer()),
        "period of the matrices of a ring, 1 makes psi translation-invariant; null: each site has its own",
    )
    path: Literal["numbers", "snake"] = key(
        checks.choice("numbers", "snake"),
        "order of the sites: by their numbers, or with every second row backwards, from neighbour to neighbour",
    )
    dtype: Literal["real", "complex"] = _keys.dtype("real or complex parameters; real ones give a psi with signs")
    init_scale: float = _keys.init_scale("standard deviation of the initial parameters, around equal amplitudes")
    draws: bool = derived(physics=False)  # whether sites can be sampled one after the other

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        is_ring = len(lattice.extent) == 1 and lattice.edges is None and all(lattice.pbc) and lattice.layers == 1
        boundary = self.boundary
        if boundary not in ("open", "periodic"):
            boundary = "periodic" if is_ring else "open"
        if self.cell is not None:
            if boundary == "open":
                raise bad(f"{prefix}.cell", self.cell, f"null with {prefix}.boundary=open, where no matrix repeats")
            if lattice.n_sites % self.cell:
                raise bad(f"{prefix}.cell", self.cell, f"a number that divides the {lattice.n_sites} sites")
        if self.path == "snake" and not has_rows(lattice):
            here = f"numbers on {lattice.told}; snake on square, cubic or triangular"
            raise bad(f"{prefix}.path", self.path, here)
        space = basis().hilbert
        draws = boundary == "open" and self.path == "numbers" and has_one_total(space)
        return dataclasses.replace(self, boundary=boundary, draws=draws)

    def has_conditionals(self) -> bool:
        return self.draws

    def has_signs(self, lattice: Lattice, basis: Callable[[], Basis]) -> bool:
        del lattice, basis
        return self.dtype == "real"

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 2

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        if self.cell is None or basis.hilbert.fermionic:
            return None
        path_N = self.along(lattice)
        perms = np.empty((lattice.n_sites // self.cell, lattice.n_sites), np.int32)
        for number, perm in enumerate(perms):
            perm[path_N] = np.roll(path_N, -number * self.cell)
        return perms

    def is_of_one_size(self) -> bool:
        return self.cell is None

    def along(self, lattice: Lattice) -> NDArray[np.int32]:
        """The sites in the order of their matrices."""
        numbers = np.arange(lattice.n_sites, dtype=np.int32)
        return snake(lattice.extent) if self.path == "snake" else numbers

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.mps import mps

        return mps(
            lattice.n_sites,
            chi=self.chi,
            periodic=self.boundary == "periodic",
            cell=self.cell,
            path=None if self.path == "numbers" else self.along(lattice).tolist(),
            dtype=self.dtype,
            init_scale=self.init_scale,
            local_values=basis.hilbert.local_values,
            total=basis.hilbert.total if self.draws else None,
            conditionals=self.draws,
            float_dtype=float_dtype,
        )


def has_rows(lattice: Lattice) -> bool:
    """Whether sites lie in rows with one site per cell, in more than one direction."""
    regular = lattice.edges is None and lattice.layers == 1 and len(lattice.extent) > 1
    return regular and len(lattice.basis) == 1 and int(np.prod(lattice.extent)) == lattice.n_sites


def snake(extent: tuple[int, ...]) -> NDArray[np.int32]:
    """The sites row by row, and plane by plane, each in the direction opposite to the previous one."""
    numbers = np.arange(extent[0], dtype=np.int32)
    for length in extent[1:]:
        step = len(numbers)
        numbers = np.concatenate([numbers[:: 1 if k % 2 == 0 else -1] + k * step for k in range(length)])
    return numbers
