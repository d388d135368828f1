"""ansatz=patched_transformer: an autoregressive transformer over patches (`ansatz.patched_transformer`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from nqs_hpc.ansatz.names import Activation
from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz._masked import Autoregressive
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.patches import patches
from nqs_hpc.types import Ansatz as Functions

MOST = 1024  # values of a patch; each is an output of the network


@dataclass(frozen=True)
class PatchedTransformer(Autoregressive):
    """Resolved: ``patch`` has one entry per dimension."""

    examples: ClassVar[Examples] = (
        {"width": 4, "heads": 2, "layers": 1, "expansion": 2},
        {"width": 4, "heads": 1, "layers": 2, "expansion": 1, "dtype": "complex"},
    )
    patch: tuple[int, ...] = key(
        checks.one_or_list(checks.integer()), "cells of a patch, or a list by direction; it must divide the extent"
    )
    width: int = key(checks.integer(), "numbers that represent a patch")
    heads: int = key(checks.integer(), "heads of the attention; they must divide the width")
    layers: int = key(checks.integer(below=2**8), "blocks of attention and perceptron")
    expansion: int = key(checks.integer(), "hidden units of the perceptrons, in units of the width")
    activation: Activation = _keys.activation("activation of the hidden layers")
    init_scale: float = _keys.init_scale("factor on the initial weights of the last layer")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        own = super().resolved(lattice, basis, prefix=prefix)
        try:
            sites = patches(lattice, self.patch).sites.shape[1]
        except ValueError as error:
            raise bad(f"{prefix}.patch", self.patch, str(error)) from None
        values = len(basis().hilbert.local_values)
        if values**sites > MOST:
            valid = f"at most {MOST} values of a patch; {sites} sites of {values} values each have {values**sites}"
            raise bad(f"{prefix}.patch", self.patch, valid)
        if self.width % self.heads:
            raise bad(f"{prefix}.heads", self.heads, f"a divisor of {prefix}.width={self.width}")
        patch = (self.patch,) * len(lattice.extent) if isinstance(self.patch, int) else self.patch
        return dataclasses.replace(own, patch=patch)

    def is_of_one_size(self) -> bool:
        return True

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.patched_transformer import patched_transformer

        return patched_transformer(
            patches(lattice, self.patch),
            width=self.width,
            heads=self.heads,
            layers=self.layers,
            expansion=self.expansion,
            activation=self.activation,
            **self.shared(basis, float_dtype),
        )
