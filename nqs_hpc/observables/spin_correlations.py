"""Correlators of all pairs of spins, their Fourier transforms, and what follows from them.

    S(q) = 1/N sum_ij exp(i q . (r_i - r_j)) <S_i . S_j>,      <S^2> = sum_ij <S_i . S_j>,
    m2_staggered = 1/N^2 sum_ij eps_i eps_j <S_i . S_j>,

with S = sigma / 2 for spins 1/2 and eps the sign of the sublattice: the square of the staggered magnetization as in A.
W. Sandvik, Phys. Rev. B 56, 11678 (1997), doi:10.1103/PhysRevB.56.11678, where it is 3 S_zz(pi, pi) / N. What ends in
_zz has S^z_i S^z_j instead of S_i . S_j, a third of it where the state has no spin.

Of fermions S_i is the spin of all that an orbital holds (`operators.fermion_products`), which is 0 of an empty or a
doubly occupied one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.observables.correlations import (
    matrix_output,
    pairs,
    structure_factor,
    sublattices,
    symmetric,
    wave_output,
)
from nqs_hpc.observables.spin_pairs import spin_pairs, z_pairs
from nqs_hpc.operators.fermion_products import product, spin, spin_squared
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.fermion_strings import jordan_wigner
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import one_layer
from nqs_hpc.system.wave_vectors import wave_vectors
from nqs_hpc.types import Observable, Output, PauliString

LABELS = {
    "xx": "⟨Sˣᵢ Sˣⱼ⟩",
    "yy": "⟨Sʸᵢ Sʸⱼ⟩",
    "zz": "⟨Sᶻᵢ Sᶻⱼ⟩",
    "total": "⟨Sᵢ · Sⱼ⟩",
    "structure_factor": "S(q)",
    "structure_factor_zz": "Sᶻᶻ(q)",
    "m2_staggered": "m²",
    "m2_staggered_zz": "m² by SᶻSᶻ",
    "total_spin": "⟨S²⟩",
}


def spin_correlations(lattice: Lattice, basis: Basis, *, of_z: bool, chunk: int | None, memory: int) -> Observable:
    """All components, or with ``of_z`` only zz, which needs no ratio.

    ``lattice`` is that of the sites, of fermions of the modes; N are the spins, of fermions the orbitals.
    Outputs: matrices (N, N) ``xx``, ``yy`` (of spins 1/2 and fermions), ``zz`` and ``total``; ``structure_factor`` and
    ``structure_factor_zz`` (Q,) on periodic lattices; the numbers ``m2_staggered`` and ``m2_staggered_zz`` where there
    are two sublattices, and ``total_spin``. Units of hbar = 1. ``chunk`` and ``memory`` as in `operators.local_values`.
    """
    are_fermions, lattice = basis.hilbert.fermionic, one_layer(lattice)
    n, two_s = lattice.n_sites, basis.hilbert.local_values[0]
    waves, signs_N = wave_vectors(lattice), sublattices(lattice)
    i, j = pairs(n)
    n_pairs = len(i)
    letters = "Z" if of_z else "XYZ"
    length = np.full(n, two_s * (two_s + 2) / 4)  # S (S + 1)

    def of_halves(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        of_pairs, own = np.split(np.real(means), [len(letters) * n_pairs], axis=-1)
        third = own if are_fermions else length / 3  # (S^a)^2, the same for all a
        parts = of_pairs.reshape(*means.shape[:-1], len(letters), n_pairs)
        found = {2 * a.lower(): symmetric(parts[..., k, :], third) for k, a in enumerate(letters)}
        return found if of_z else found | {"total": symmetric(parts.sum(axis=-2), 3 * third)}

    def of_longer(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        found = {"zz": symmetric(means[..., :n_pairs], means[..., n_pairs : n_pairs + n])}
        return found if of_z else found | {"total": symmetric(means[..., n_pairs + n :], length)}

    def derived(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        found = of_halves(means) if two_s == 1 or are_fermions else of_longer(means)
        matrices = [(suffix, found[name]) for name, suffix in (("total", ""), ("zz", "_zz")) if name in found]
        for suffix, c_NN in matrices:
            if waves is not None:
                found["structure_factor" + suffix] = structure_factor(c_NN, lattice, waves)
            if signs_N is not None:
                signs = signs_N.astype(float)
                found["m2_staggered" + suffix] = (c_NN @ signs) @ signs / n**2
        return found if of_z else found | {"total_spin": found["total"].sum(axis=(-2, -1))}

    strings, local, n_values = None, None, len(letters) * n_pairs
    both = list(zip(i.tolist(), j.tolist(), strict=True))
    if are_fermions:
        of_pairs = [product(spin(a.lower(), p, n), spin(a.lower(), q, n)) for a in letters for p, q in both]
        strings = tuple(map(jordan_wigner, (*of_pairs, *(spin_squared(p, n, 0.25) for p in range(n)))))
        n_values += n
    elif two_s == 1:
        strings = tuple((PauliString(0.25, 2 * letter, pair),) for letter in letters for pair in both)
    else:
        n_values = n + (1 if of_z else 2) * n_pairs
        local = z_pairs() if of_z else spin_pairs(basis, chunk=chunk, memory=memory)

    def output(name: str, value: NDArray[Any]) -> Output:
        if value.ndim == 2:
            return matrix_output(name, LABELS[name], lattice)
        if value.ndim == 1:
            assert waves is not None
            return wave_output(name, LABELS[name], waves)
        return Output(name, label=LABELS[name])

    outputs = tuple(output(name, np.asarray(value)) for name, value in derived(np.zeros(n_values)).items())
    return Observable(local, outputs, derived, strings, n_values=n_values)
