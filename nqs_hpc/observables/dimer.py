"""Bond energies and the correlations of dimers,

    D_b = S_i . S_j,   b = (i, j),        C_b = <D_r D_b> - <D_r> <D_b>,

with r one bond of reference. Bonds that share a site with it do not commute with it: of these the real part of the
correlation is meant, <(D_r D_b + D_b D_r) / 2>, as it is real where the wave function is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.operators.pauli_products import product, spin_product
from nqs_hpc.types import Observable, Output


def dimer(bonds: NDArray[np.integer], reference: int) -> Observable:
    """Of ``bonds`` (n, 2) of spins 1/2: arrays ``bonds`` <D_b> and ``correlations`` C_b (n,), the number ``mean`` over
    all bonds; hbar = 1.
    """
    n = len(bonds)
    dimers = [spin_product(i, j) for i, j in bonds.tolist()]

    def derived(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        one, two = np.real(means[..., :n]), np.real(means[..., n:])
        return {"mean": one.mean(axis=-1), "bonds": one, "correlations": two - one[..., reference, None] * one}

    axes = (("bonds", np.asarray(bonds)),)
    outputs = (
        Output("mean", label="⟨Sᵢ · Sⱼ⟩ of a bond"),
        Output("bonds", label="⟨Sᵢ · Sⱼ⟩", shape=(n,), axes=axes),
        Output(
            "correlations",
            label="⟨D D′⟩ − ⟨D⟩⟨D′⟩",
            shape=(n,),
            axes=(*axes, ("reference", np.asarray(bonds[reference]))),
        ),
    )
    strings = (*dimers, *(product(dimers[reference], one) for one in dimers))
    return Observable(strings=strings, outputs=outputs, derived=derived, n_values=2 * n)
