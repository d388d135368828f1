"""What determinants share whose orbitals depend on the occupied modes through a network (`ansatz.networked`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from nqs_hpc.ansatz.names import Activation
from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz._residual import by_direction, is_regular
from nqs_hpc.choices.ansatz.slater import Slater
from nqs_hpc.choices.keys import Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system import orbitals
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice

if TYPE_CHECKING:
    from nqs_hpc.ansatz.features import Features


@dataclass(frozen=True, kw_only=True)
class Networked(Slater):
    """Resolved: ``kernel`` of a convolutional network has one entry per direction."""

    net: Literal["perceptron", "convolutional"] = key(
        checks.choice("perceptron", "convolutional"),
        "network: perceptron, dense layers over all modes; convolutional, which commutes with translations",
    )
    layers: int = key(checks.integer(below=2**8), "layers of the network")
    features: int = key(checks.integer(below=2**14), "outputs of each layer, on each site if it is convolutional")
    kernel: int | tuple[int, ...] = key(
        checks.one_or_list(checks.integer()),
        "for net=convolutional: extent of the kernels in sites, or a list by direction",
    )
    activation: Activation = _keys.activation("activation after each layer")
    init_scale: float = key(
        checks.number(above=0, most=10),
        "initial size of what the network adds to the orbitals, relative to their entries",
    )

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        made = super().resolved(lattice, basis, prefix=prefix)
        if self.net == "perceptron":
            return made
        if not is_regular(lattice):
            regular = "convolutional needs one site per cell: lattice=chain, ladder, square, cubic or triangular"
            raise bad(f"{prefix}.net", self.net, f"perceptron on {lattice.told}; {regular}")
        return dataclasses.replace(made, kernel=by_direction(f"{prefix}.kernel", self.kernel, lattice))

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 4

    def network(self, lattice: Lattice, float_dtype: Float) -> Features:
        from nqs_hpc.ansatz.features import convolutional, perceptron

        if self.net == "perceptron":
            widths = (self.features,) * self.layers
            return perceptron(lattice.n_sites, widths=widths, activation=self.activation, float_dtype=float_dtype)
        assert isinstance(self.kernel, tuple)
        return convolutional(
            lattice.extent,
            lattice.pbc,
            lattice.layers,
            layers=self.layers,
            features=self.features,
            kernel=self.kernel,
            activation=self.activation,
            float_dtype=float_dtype,
        )

    def determinants(self, basis: Basis, float_dtype: Float) -> dict[str, Any]:
        """The arguments that the factories share besides the network."""
        numbers = [total for _, total in orbitals.blocks_of(basis.hilbert)]
        return {
            "n_fermions": [sum(numbers)] if self.kind == "generalised" else numbers,
            "orbitals": self._first(basis),
            "shared": self.kind == "restricted",
            "dtype": self.dtype,
            "noise": self.noise,
            "init_scale": self.init_scale,
            "float_dtype": float_dtype,
        }
