"""What autoregressive networks share (`ansatz.conditionals`), in particular those with masked weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from nqs_hpc.ansatz.names import Activation
from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import has_one_total, only_total
from nqs_hpc.system.lattice import Lattice


@dataclass(frozen=True)
class Autoregressive(Ansatz):
    """The keys of all autoregressive networks; their parameters are real."""

    is_autoregressive: ClassVar[bool] = True
    dtype: Literal["real", "complex"] = _keys.dtype("complex: real parameters, and outputs for the phases")
    init_scale: float = _keys.init_scale("factor on LeCun's normal initial weights")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        space = basis().hilbert
        if not has_one_total(space):
            what = "are steps of paths" if space.paths else "have several, or exclude each other"
            valid = f"another ansatz: it counts one total, and these sites {what}"
            raise bad(prefix, self.name, valid)
        return self

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 4

    def shared(self, basis: Basis, float_dtype: Float) -> dict[str, Any]:
        """The arguments that the factories of these networks share."""
        return {
            "dtype": self.dtype,
            "init_scale": self.init_scale,
            "local_values": basis.hilbert.local_values,
            "total": only_total(basis.hilbert, f"ansatz={self.name}"),
            "float_dtype": float_dtype,
        }


@dataclass(frozen=True)
class Masked(Autoregressive):
    layers: int = key(checks.integer(below=2**8), "layers, including the output layer")
    features: int = key(checks.integer(), "numbers per site in each layer except the last")
    activation: Activation = _keys.activation("activation between the layers")

    def shared(self, basis: Basis, float_dtype: Float) -> dict[str, Any]:
        own = {"layers": self.layers, "features": self.features, "activation": self.activation}
        return own | super().shared(basis, float_dtype)
