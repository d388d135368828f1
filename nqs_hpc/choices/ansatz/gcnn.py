"""ansatz=gcnn: a group-convolutional network (`ansatz.gcnn`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.ansatz.names import Activation
from nqs_hpc.choices import sectors
from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.characters import Symmetry, with_spin_flip
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions

MAX_WIDTH = 8192  # elements times features of a group convolution; its matrix has the square of this number


@dataclass(frozen=True)
class Gcnn(Ansatz):
    examples: ClassVar[Examples] = ({"layers": 2, "features": 3}, {"layers": 3, "features": 2, "dtype": "complex"})
    layers: int = key(checks.integer(below=2**8), "layers, including the one from sites to the group")
    features: int = key(checks.integer(), "features of each layer, for each element of the group")
    group: Literal["translations", "space_group"] = key(
        checks.choice("translations", "space_group"), "symmetries of the network; space_group includes the point group"
    )
    momentum: tuple[int, ...] | None = key(
        checks.optional(checks.integers(least=None)),
        "as symmetrize.momentum; values other than null need dtype=complex, unless Marshall's signs make it 0",
    )
    irrep: str | None = key(
        checks.optional(checks.name), "as symmetrize.irrep, for the point operations in space_group"
    )
    activation: Activation = _keys.activation("activation between the layers")
    dtype: Literal["real", "complex"] = _keys.dtype(
        "real: psi > 0; complex: real parameters, a last layer of complex numbers"
    )
    init_scale: float = _keys.init_scale("factor on LeCun's normal initial weights")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        """InputError if the lattice does not have the sector, or the network's numbers do not allow it."""
        if lattice.edges is not None:
            file = "another ansatz, and permutations of its sites in symmetrize.file"
            raise bad(prefix, self.name, f"with lattice=edges, which has bonds and no geometry, {file}")
        known = basis()
        if known.hilbert.fermionic:
            valid = "with fermions another ansatz, and symmetrize.group for its sector: exchanges bring signs"
            raise bad(prefix, self.name, valid)
        own = self.own_symmetry(lattice, known, prefix)
        if self.dtype == "real" and not own.is_trivial:
            what = "complex" if prefix == "ansatz" else f"null for {prefix}.momentum and {prefix}.irrep"
            seen = "" if known.signs_N is None else f", with the signs of {known.key},"
            valid = f"{what}: the characters of this momentum and irrep{seen} are not all 1"
            raise bad(f"{prefix}.dtype", "real", valid)
        most = MAX_WIDTH // len(own.perms)
        if most < 1:
            why = f"this one has {len(own.perms)} elements, and a network at most {MAX_WIDTH}"
            raise bad(f"{prefix}.group", self.group, f"a smaller group, or another ansatz: {why}")
        if self.features > most:
            valid = f"at most {most} for a group of {len(own.perms)} elements"
            raise bad(f"{prefix}.features", self.features, valid)
        return self

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 4

    def has_sector(self) -> bool:
        return True

    def own_symmetry(self, lattice: Lattice, basis: Basis, prefix: str = "ansatz") -> Symmetry:
        if self.irrep is not None and self.group != "space_group":
            raise bad(f"{prefix}.irrep", self.irrep, f"null without {prefix}.group=space_group")
        found = sectors.sector(prefix, self.group, self.momentum, self.irrep, lattice, basis)
        return with_spin_flip(*found, None)

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        own = self.own_symmetry(lattice, basis)
        return own.perms[np.abs(own.characters - own.dimension) < 1e-9]

    def is_of_one_size(self) -> bool:
        return True

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.gcnn import gcnn

        return gcnn(
            self.own_symmetry(lattice, basis),
            layers=self.layers,
            features=self.features,
            activation=self.activation,
            dtype=self.dtype,
            init_scale=self.init_scale,
            local_values=basis.hilbert.local_values,
            float_dtype=float_dtype,
        )
