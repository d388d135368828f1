"""The momentum distribution of fermions, and the one-body density matrix, whose Fourier transform it is.

    C_ij = <c^+_i c_j>,      n(k) = 1/N sum_ij exp(i k . (r_i - r_j)) C_ij = <c^+_k c_k>

for each spin, with r the true positions of the sites: where a cell holds one site it lies between 0 and 1, and its sum
over k is the number of particles. A jump of n(k) is the surface of a Fermi liquid.

Where hops across the boundary have phases exp(i phi_d), the waves that obey it have k . L_d a_d = 2 pi m - phi_d: all k
are shifted by -phi_d / L_d along direction d, L_d its extent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.observables.correlations import matrix_output, pairs, symmetric, wave_output
from nqs_hpc.system.fermion_strings import hop, jordan_wigner, number
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import one_layer
from nqs_hpc.system.wave_vectors import WaveVectors, wave_vectors
from nqs_hpc.types import Observable, Output

SPINS = (("up", "↑"), ("down", "↓"))


def momentum_distribution(lattice: Lattice, *, is_real: bool, phases: Sequence[float] = ()) -> Observable:
    """``lattice`` is that of the modes. Outputs: the matrix ``one_body`` (N, N), Re C_ij summed over spins, and on
    periodic lattices the arrays ``n_k`` (Q,), summed over spins, and of fermions with spin ``up`` and ``down``.

    Of a wave function that ``is_real`` C is real, else its imaginary part is measured with the same ratios. ``phases``
    in units of pi, one for each direction: of a hop out of the far side of the lattice and into the near one.
    """
    layers, one = lattice.layers, one_layer(lattice)
    n, waves = one.n_sites, wave_vectors(one)
    if waves is not None and any(phases):
        reciprocal = 2 * np.pi * np.linalg.inv(one.vectors).T
        waves = waves._replace(q_QD=waves.q_QD - np.array(phases) / 2 / np.array(one.extent) @ reciprocal)
    i, j = pairs(n)
    n_pairs, parts = len(i), (0.5,) if is_real else (0.5, -0.5j)  # (C + C^+) / 2 and (C - C^+) / 2i
    both = list(zip(i.tolist(), j.tolist(), strict=True))
    numbers = [jordan_wigner((number(1.0, mode),)) for mode in range(layers * n)]
    hops = [
        jordan_wigner(hop(part, a + layer * n, b + layer * n))
        for layer in range(layers)
        for part in parts
        for a, b in both
    ]
    strings = (*numbers, *hops)

    def derived(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        own, of_pairs = np.split(np.real(means), [layers * n], axis=-1)
        own = own.reshape(*own.shape[:-1], layers, n)
        of_pairs = of_pairs.reshape(*of_pairs.shape[:-1], layers, len(parts), n_pairs)
        real = symmetric(of_pairs[..., 0, :], own)
        found = {"one_body": real.sum(axis=-3)}
        if waves is None:
            return found
        imaginary = np.zeros_like(real)
        if not is_real:
            imaginary[..., i, j], imaginary[..., j, i] = of_pairs[..., 1, :], -of_pairs[..., 1, :]
        of_k = transformed(real, imaginary, one, waves)
        found["n_k"] = of_k.sum(axis=-2)
        return found | {name: of_k[..., layer, :] for layer, (name, _) in enumerate(SPINS[: layers * (layers > 1)])}

    outputs: tuple[Output, ...] = (matrix_output("one_body", "Re ⟨c†ᵢ cⱼ⟩", one),)
    if waves is not None:
        outputs += (wave_output("n_k", "n(k)", waves),)
        if layers > 1:
            outputs += tuple(wave_output(name, f"n{arrow}(k)", waves) for name, arrow in SPINS)
    return Observable(strings=strings, outputs=outputs, derived=derived, n_values=len(strings))


def transformed(
    real: NDArray[np.float64], imaginary: NDArray[np.float64], lattice: Lattice, waves: WaveVectors
) -> NDArray[np.float64]:
    """1/N sum_ij exp(i k . (r_i - r_j)) C_ij (..., Q) of Hermitian matrices (..., N, N)."""
    phase_QN = waves.q_QD @ lattice.positions.T
    cos, sin = np.cos(phase_QN), np.sin(phase_QN)
    # with e = cos + i sin: sum e_i C_ij e_j^*
    of_real = ((cos @ real) * cos + (sin @ real) * sin).sum(axis=-1)
    of_imaginary = ((cos @ imaginary) * sin - (sin @ imaginary) * cos).sum(axis=-1)
    return np.asarray(of_real + of_imaginary) / lattice.n_sites
