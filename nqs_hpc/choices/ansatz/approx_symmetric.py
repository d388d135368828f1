"""ansatz=approx_symmetric: Wilson loops between two convolutional networks (`ansatz.approx_symmetric`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.ansatz.names import Activation
from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz._residual import by_direction
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.links import grid
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class ApproxSymmetric(Ansatz):
    """Resolved: kernels have one entry per direction."""

    examples: ClassVar[Examples] = (
        {"link_features": 3, "link_kernel": [2, 3], "loops": 2, "features": 3, "kernel": [2, 1]},
        {"link_features": 3, "link_kernel": 2, "loops": 1, "features": 2, "kernel": 1, "dtype": "complex"},
    )
    tried_with: ClassVar[dict[str, Any]] = {
        "lattice": {"name": "square", "extent": [2, 2], "pbc": [True, False]},
        "hamiltonian": {"name": "toric_code", "hx": 0.3, "hz": 0.2},
    }
    link_layers: int = key(
        checks.integer(below=2**8), "convolutions on the links; each residual block has two and begins as the identity"
    )
    link_features: int = key(checks.integer(), "hidden numbers of such a block per vertex")
    link_kernel: tuple[int, ...] = key(
        checks.one_or_list(checks.integer()), "extent of their kernels in vertices, or a list by direction"
    )
    loops: int = key(checks.integer(), "values per link, and so products around each face")
    layers: int = key(checks.integer(below=2**8), "convolutions on the faces")
    features: int = key(checks.integer(), "outputs of each of them per face")
    kernel: tuple[int, ...] = key(
        checks.one_or_list(checks.integer()), "extent of their kernels in faces, or a list by direction"
    )
    activation: Activation = _keys.activation("activation of the hidden layers")
    dtype: Literal["real", "complex"] = _keys.dtype("complex: real parameters, two outputs, log |psi| and the phase")
    init_scale: float = _keys.init_scale("factor on He's normal initial weights")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        if lattice.name != LINKS:
            raise bad(
                prefix, self.name, f"only with hamiltonian=toric_code, whose spins lie on links; not on {lattice.told}"
            )
        if self.link_layers % 2:
            raise bad(f"{prefix}.link_layers", self.link_layers, "an even number: a residual block has two layers")
        places = grid(lattice)
        link_kernel = by_direction(f"{prefix}.link_kernel", self.link_kernel, lattice._replace(extent=places.extent))
        kernel = by_direction(f"{prefix}.kernel", self.kernel, lattice._replace(extent=places.faces))
        return dataclasses.replace(self, link_kernel=link_kernel, kernel=kernel)

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 4

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        return translations(lattice)

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.approx_symmetric import approx_symmetric

        return approx_symmetric(
            grid(lattice),
            lattice.pbc,
            link_layers=self.link_layers,
            link_features=self.link_features,
            link_kernel=self.link_kernel,
            loops=self.loops,
            layers=self.layers,
            features=self.features,
            kernel=self.kernel,
            activation=self.activation,
            dtype=self.dtype,
            init_scale=self.init_scale,
            float_dtype=float_dtype,
        )
