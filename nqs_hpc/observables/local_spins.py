"""The expectation values of the spins 1/2 of all sites, one by one.

    x_i = <sigma^x_i>,      y_i = <sigma^y_i>,      z_i = <sigma^z_i>,

in units of Pauli matrices. Along a trajectory they show how what was changed at one site travels to the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Observable, Output, PauliString

LABELS = {"x": "⟨σˣᵢ⟩", "y": "⟨σʸᵢ⟩", "z": "⟨σᶻᵢ⟩"}


def local_spins(lattice: Lattice, axes: str = "xyz") -> Observable:
    """Outputs x, y and z, those of ``axes``: arrays (N,) over the sites. z by itself needs no ratios."""
    n = lattice.n_sites
    where = (("positions", lattice.positions),) if lattice.edges is None else ()
    sums = tuple((PauliString(1.0, axis.upper(), (i,)),) for axis in axes for i in range(n))
    outputs = tuple(
        Output(axis, label=LABELS[axis], shape=(n,), axes=(("sites", np.arange(n)), *where)) for axis in axes
    )

    def derived(means: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {axis: np.real(means[..., k * n : (k + 1) * n]) for k, axis in enumerate(axes)}

    return Observable(outputs=outputs, derived=derived, strings=sums, n_values=len(sums))
