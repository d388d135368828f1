"""The total spin <S^2> = <(sum_i S_i)^2> = S (S + 1), and the S that it belongs to,

    S = (sqrt(1 + 4 <S^2>) - 1) / 2,

which is the spin where the state has one. S^2 is one sum over all pairs of sites, whose flips cost a ratio where the
two spins are antiparallel. Of fermions S_i is the spin of all that orbital i holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.observables.correlations import pairs
from nqs_hpc.observables.spin_pairs import total_spin_squared
from nqs_hpc.operators.fermion_products import product, spin, spin_squared, times
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.fermion_strings import jordan_wigner
from nqs_hpc.types import Observable, Output, PauliString

OUTPUTS = (Output("s2", label="⟨S²⟩"), Output("s", label="S"))


def total_spin(basis: Basis, *, chunk: int | None, memory: int) -> Observable:
    """The numbers ``s2`` and ``s``, in units of hbar = 1."""
    if basis.hilbert.fermionic:
        return Observable(strings=(_of_fermions(basis.hilbert.n_sites // 2),), outputs=OUTPUTS, derived=derived)
    n, two_s = basis.hilbert.n_sites, basis.hilbert.local_values[0]
    if two_s > 1:
        return Observable(total_spin_squared(basis, chunk=chunk, memory=memory), OUTPUTS, derived)
    i, j = pairs(n)
    both = list(zip(i.tolist(), j.tolist(), strict=True))
    exchange = [PauliString(0.5, 2 * letter, pair) for pair in both for letter in "XYZ"]
    return Observable(strings=((*exchange, PauliString(0.75 * n, "", ())),), outputs=OUTPUTS, derived=derived)


def _of_fermions(n: int) -> tuple[PauliString, ...]:
    """S^2 = 3/4 sum_i (n_iu - n_id)^2 + 2 sum_{i<j} S_i . S_j on ``n`` orbitals."""
    both = list(zip(*(x.tolist() for x in pairs(n)), strict=True))
    of_pairs = [times(2.0, product(spin(a, i, n), spin(a, j, n))) for i, j in both for a in "xyz"]
    of_sites = [spin_squared(i, n, 0.75) for i in range(n)]
    return jordan_wigner(string for strings in (*of_pairs, *of_sites) for string in strings)


def derived(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    squared = np.real(means[..., 0])
    # chance can bring an estimate of 0 below it
    return {"s2": squared, "s": (np.sqrt(np.maximum(1 + 4 * squared, 0)) - 1) / 2}
