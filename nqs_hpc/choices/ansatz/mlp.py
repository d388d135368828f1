"""ansatz=mlp: a multilayer perceptron (`ansatz.mlp`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from nqs_hpc.ansatz.names import Activation
from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Mlp(Ansatz):
    examples: ClassVar[Examples] = ({"alphas": [1]}, {"alphas": [1.5, 1], "activation": "tanh", "dtype": "complex"})
    alphas: tuple[float, ...] = key(
        checks.list_of(checks.positive), "widths of the hidden layers, in units of the number of sites"
    )
    activation: Activation = _keys.activation("activation of the hidden layers")
    dtype: Literal["real", "complex"] = _keys.dtype("complex: real parameters, two outputs, log |psi| and the phase")
    init_scale: float = _keys.init_scale("factor on LeCun's normal initial weights")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        if min(round(alpha * lattice.n_sites) for alpha in self.alphas) < 1:
            valid = f"numbers that give at least one hidden unit on {lattice.n_sites} sites"
            raise bad(f"{prefix}.alphas", self.alphas, valid)
        return self

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 4

    def is_of_one_size(self) -> bool:
        return True

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.mlp import mlp

        return mlp(
            lattice.n_sites,
            widths=tuple(max(1, round(alpha * lattice.n_sites)) for alpha in self.alphas),
            activation=self.activation,
            dtype=self.dtype,
            init_scale=self.init_scale,
            float_dtype=float_dtype,
        )
