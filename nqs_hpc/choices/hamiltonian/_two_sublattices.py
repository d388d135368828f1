"""Marshall's signs for antiferromagnets with frustrating further couplings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian.base import Gauged
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks
from nqs_hpc.system.graph import connected
from nqs_hpc.system.lattice import Lattice, bipartition, bond_weights, neighbours


@dataclass(frozen=True)
class TwoSublattices(Gauged):
    """A Hamiltonian that takes the signs of two sublattices if no signs make all off-diagonal elements negative."""

    gauge: bool | None = key(
        checks.optional(checks.either("auto", checks.boolean)),
        "signs of the basis states that make off-diagonal elements negative; auto: if they exist for all elements, "
        "else Marshall's if nearest neighbours are antiferromagnetic on two sublattices",
        physics="given",
    )

    def nearest_coupling(self) -> float:
        """The in-plane coupling of nearest neighbours, positive for an antiferromagnet; 0 if no signs suit it."""
        raise NotImplementedError

    def nearly_positive_signs(self, lattice: Lattice) -> NDArray[np.int8] | None:
        coupling = self.nearest_coupling()
        if coupling <= 0:
            return None
        try:
            bonds, weights = neighbours(lattice, 1), bond_weights(lattice, 1)
        except ValueError:  # positions whose shells overlap
            return None
        weakest = 1.0 if weights is None else float(weights.min())
        return bipartition(lattice) if weakest > 0 and connected(lattice.n_sites, bonds) else None
