"""What convolutional networks share (`ansatz.resnet`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.ansatz.names import Activation
from nqs_hpc.choices.ansatz import _keys
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad, show
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.families import is_in_cells
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Residual(Ansatz):
    """Resolved: ``kernel`` has one entry per direction."""

    skip: ClassVar[bool]  # whether layers come in residual blocks of two
    layers: int = key(checks.integer(below=2**8), "convolutions; a residual block of resnet has two")
    features: int = key(checks.integer(), "outputs of each convolution per site")
    kernel: tuple[int, ...] = key(
        checks.one_or_list(checks.integer()), "extent of the kernels in sites, or a list by direction"
    )
    activation: Activation = _keys.activation("activation of the hidden layers")
    dtype: Literal["real", "complex"] = _keys.dtype("complex: real parameters, two outputs, log |psi| and the phase")
    init_scale: float = _keys.init_scale("factor on He's normal initial weights")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        if not is_regular(lattice):
            links = "hamiltonian=toric_code, whose spins lie on links,"
            here = links if lattice.name == LINKS else f"{lattice.told}"
            regular = "chain, ladder, square, cubic or triangular: convolutions need lattices with one site per cell"
            raise bad(prefix, self.name, f"with {here} another ansatz; {self.name} with lattice={regular}")
        if lattice.layers > 1:
            valid = "vit, which sees both spins of a cell, or another ansatz: convolutions need one site per cell"
            raise bad(prefix, self.name, valid)
        if self.skip and self.layers % 2:
            valid = "an even number: a residual block has two layers; or ansatz=cnn"
            raise bad(f"{prefix}.layers", self.layers, valid)
        return dataclasses.replace(self, kernel=by_direction(f"{prefix}.kernel", self.kernel, lattice))

    def row_size(self) -> int:
        return 1 if self.dtype == "real" else 4

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        return translations(lattice)

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.resnet import resnet

        return resnet(
            lattice.extent,
            lattice.pbc,
            layers=self.layers,
            features=self.features,
            kernel=self.kernel,
            activation=self.activation,
            skip=self.skip,
            dtype=self.dtype,
            init_scale=self.init_scale,
            float_dtype=float_dtype,
        )


def is_regular(lattice: Lattice) -> bool:
    """Whether convolutions are available on the lattice, which needs one site per cell."""
    return is_in_cells(lattice) and len(lattice.basis) == 1


def by_direction(key: str, kernel: int | tuple[int, ...], lattice: Lattice) -> tuple[int, ...]:
    """The extent of a kernel along each direction. InputError if it reaches a site twice."""
    n_dim = len(lattice.extent)
    found = kernel if isinstance(kernel, tuple) else (kernel,) * n_dim
    if len(found) != n_dim:
        raise bad(key, kernel, f"a whole number, or a list of {n_dim}, one per direction")
    most = [n if side else 2 * n - 1 for n, side in zip(lattice.extent, lattice.pbc, strict=True)]
    if any(size > bound for size, bound in zip(found, most, strict=True)):
        reach = f"at most {show(most)} by direction, on {show(list(lattice.extent))} sites"
        raise bad(key, kernel, f"{reach}: there a kernel reaches every site once")
    return found
