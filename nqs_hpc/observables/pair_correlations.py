"""Correlations of singlet pairs of fermions,

    P_ij = Re <D^+_i D_j>,      P(q) = 1/N sum_ij exp(i q . (r_i - r_j)) P_ij,
    D_i = c_iu c_id                                                    (wave = s),
    D_i = sum_delta f(delta) (c_iu c_{i+delta,d} - c_id c_{i+delta,u}) / sqrt 2,

delta the steps to the nearest neighbours, f = 1 (extended_s), or +1 along x and -1 along y of the square lattice (d):
S. R. White, D. J. Scalapino, R. L. Sugar, N. E. Bickers and R. T. Scalettar, Phys. Rev. B 39, 839 (1989),
doi:10.1103/PhysRevB.39.839. Long-range order of pairs is a P_ij that does not vanish at large distances. On a side of
extent 2 both steps lead to one site, which counts twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.observables.correlations import matrix_output, pairs, structure_factor, symmetric, wave_output
from nqs_hpc.operators.fermion_products import Sum, adjoint, product, real_part
from nqs_hpc.system.fermion_strings import FermionString
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import one_layer
from nqs_hpc.system.pairing import form_factors
from nqs_hpc.system.wave_vectors import wave_vectors
from nqs_hpc.types import Observable, Output

LABELS = {"s": "s", "extended_s": "s*", "d": "d"}


def pair_correlations(lattice: Lattice, wave: str) -> Observable:
    """``lattice`` is that of the modes. Outputs: the matrix ``correlations`` (N, N), the number ``order``, sum_ij P_ij
    / N^2, and on periodic lattices the array ``structure_factor`` (Q,). ValueError for a wave that the lattice lacks.
    """
    one = one_layer(lattice)
    n, waves = one.n_sites, wave_vectors(one)
    each = [pair(i, weights, n) for i, weights in enumerate(form_factors(one, wave))]
    i, j = pairs(n)
    both = [*zip(i.tolist(), j.tolist(), strict=True), *((a, a) for a in range(n))]
    strings = tuple(real_part(product(adjoint(each[a]), each[b])) for a, b in both)

    def derived(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        of_pairs = np.real(means)
        p_NN = symmetric(of_pairs[..., : len(i)], of_pairs[..., len(i) :])
        found = {"order": p_NN.mean(axis=(-2, -1)), "correlations": p_NN}
        return found if waves is None else found | {"structure_factor": structure_factor(p_NN, one, waves)}

    name = LABELS[wave]
    outputs: tuple[Output, ...] = (
        Output("order", label=f"Σ P_{name} / N²"),
        matrix_output("correlations", f"P_{name} = ⟨D†ᵢ Dⱼ⟩", one),
    )
    if waves is not None:
        outputs += (wave_output("structure_factor", f"P_{name}(q)", waves),)
    return Observable(strings=strings, outputs=outputs, derived=derived, n_values=len(strings))


def pair(i: int, weights: dict[int, float], n: int) -> Sum:
    """D_i on ``n`` orbitals, by the other orbital of the pair; c_iu c_id where that is i itself."""
    found = []
    for j, weight in weights.items():
        if i == j:
            found.append(FermionString(weight, ((i, False), (i + n, False))))
            continue
        c = weight / np.sqrt(2)
        found.append(FermionString(c, ((i, False), (j + n, False))))
        found.append(FermionString(-c, ((i + n, False), (j, False))))
    return tuple(found)
