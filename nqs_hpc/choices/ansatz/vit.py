"""ansatz=vit: a vision transformer over patches of cells (`ansatz.vit`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.ansatz.names import Activation
from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.patches import patches
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Vit(Ansatz):
    """Resolved: ``patch`` has one entry per dimension."""

    examples: ClassVar[Examples] = (
        {"width": 4, "heads": 2, "layers": 1, "expansion": 2},
        {"width": 4, "heads": 1, "layers": 1, "attention": "factored", "expansion": 1, "dtype": "complex"},
    )
    patch: tuple[int, ...] = key(
        checks.one_or_list(checks.integer()), "cells of a patch, or a list by direction; it must divide the extent"
    )
    width: int = key(checks.integer(), "numbers that represent a patch")
    heads: int = key(checks.integer(), "heads of the attention; they must divide the width")
    layers: int = key(checks.integer(below=2**8), "blocks of attention and perceptron")
    attention: Literal["full", "factored"] = key(
        checks.choice("full", "factored"), "weights from queries and keys, or (factored) only from relative positions"
    )
    expansion: int = key(checks.integer(), "hidden units of the perceptrons, in units of the width")
    activation: Activation = _keys.activation("activation of the hidden layers")
    dtype: Literal["real", "complex"] = _keys.dtype("complex: a complex last layer, from real parameters")
    init_scale: float = _keys.init_scale("factor on the initial weights of the last layer; small: psi nearly even")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        try:
            patches(lattice, self.patch)
        except ValueError as error:
            ends = ", where the links along an open direction are one cell" if lattice.name == LINKS else ""
            raise bad(f"{prefix}.patch", self.patch, str(error) + ends) from None
        if self.width % self.heads:
            raise bad(f"{prefix}.heads", self.heads, f"a divisor of {prefix}.width={self.width}")
        if isinstance(self.patch, int):
            return dataclasses.replace(self, patch=(self.patch,) * len(lattice.extent))
        return self

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 4

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        closed = [i for i, side in enumerate(lattice.pbc) if side]
        shape = [lattice.extent[i] for i in closed]
        steps = np.stack(np.unravel_index(np.arange(int(np.prod(shape, initial=1))), shape or (1,), order="F"), axis=1)
        whole = (steps % np.array([self.patch[i] for i in closed] or [1]) == 0).all(axis=1)
        return translations(lattice)[whole]

    def is_of_one_size(self) -> bool:
        return True

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.vit import vit

        return vit(patches(lattice, self.patch), **self._options(basis, float_dtype))

    def _options(self, basis: Basis, float_dtype: Float) -> dict[str, Any]:
        """The keyword arguments of `ansatz.vit`."""
        return {
            "width": self.width,
            "heads": self.heads,
            "layers": self.layers,
            "attention_name": self.attention,
            "expansion": self.expansion,
            "activation": self.activation,
            "dtype": self.dtype,
            "init_scale": self.init_scale,
            "local_values": basis.hilbert.local_values,
            "float_dtype": float_dtype,
        }
