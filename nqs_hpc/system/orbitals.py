"""Orbitals from which determinants begin: those of the terms of a Hamiltonian that hold two operators.

    H_1 = sum_mn h_mn c^dagger_m c_n,      h phi_k = eps_k phi_k,

the lowest of them filled; of fermions with spin each block by itself where h does not join them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.fermion_strings import FermionString
from nqs_hpc.system.hilbert import Hilbert, groups


def one_body(strings: Iterable[FermionString], n_modes: int) -> NDArray[np.complex128]:
    """h (M, M) of the products c^dagger_m c_n of a sum."""
    h_MM = np.zeros((n_modes, n_modes), dtype=np.complex128)
    for coefficient, operators in strings:
        if len(operators) == 2 and operators[0][1] and not operators[1][1]:
            h_MM[operators[0][0], operators[1][0]] += coefficient
    return h_MM


def blocks_of(hilbert: Hilbert) -> tuple[tuple[tuple[int, ...], int], ...]:
    """The sites and the number of fermions of each block: two of fermions with spin, else one. ValueError where a
    number is not fixed.
    """
    found = groups(hilbert)
    if any(total is None for _, total in found):
        raise ValueError("a determinant has a fixed number of fermions: sector=none has not")
    return tuple((sites, int(total)) for sites, total in found if total is not None)


def free_orbitals(strings: Iterable[FermionString], hilbert: Hilbert) -> tuple[NDArray[np.complex128], ...]:
    """The lowest orbitals (sites, fermions) of each block, orthonormal, without what joins the blocks."""
    h_MM = one_body(strings, hilbert.n_sites)
    found = []
    for sites, total in blocks_of(hilbert):
        _, vectors = np.linalg.eigh(h_MM[np.ix_(sites, sites)])
        found.append(vectors[:, :total])
    return tuple(found)
