"""Neural backflow: determinants of orbitals that depend on which modes are occupied.

    psi(n) = det of the occupied rows of Phi(n),      Phi_mk(n) = Phi0_mk + sum_c W_mkc x_c(n),

with features x of a network (`features`) and one determinant for each spin, or one for both. Luo and Clark, Phys. Rev.
Lett. 122, 226401 (2019), arXiv:1807.10770. With a convolutional network row m depends on the features of the site of m
alone. W starts small, so that the state begins as the Slater determinant of Phi0.

Every hop changes all rows of the matrix: a ratio has no part that a low-rank update could keep, and costs a forward
pass and a determinant.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.features import Features
from nqs_hpc.ansatz.layers import parameter_dtype
from nqs_hpc.ansatz.minors import check_orbitals, in_planes, log_minors, of_planes, size_of
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.networked import Head, networked
from nqs_hpc.types import Ansatz


def backflow(
    n_fermions: Sequence[int],
    orbitals: Sequence[NDArray[np.number]],
    features: Features,
    *,
    shared: bool = False,
    dtype: NumberName = "real",
    noise: float = 0.0,
    init_scale: float = 0.01,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """Backflow of ``orbitals`` (modes, fermions), one matrix for each block of modes or ``shared`` by all, as those of
    `slater`; of kind ``signed`` or, with dtype="complex", ``complex``: all parameters are real.

    The orbitals get normal numbers of standard deviation ``noise``, and what the network adds to them starts with
    about ``init_scale``, both in units of the root mean square of their entries. ValueError as of `check_orbitals`.
    """
    n_modes = check_orbitals(n_fermions, orbitals, dtype, shared=shared)
    heads = []
    for b, phi in enumerate(orbitals):
        rows = features.row_of_mode[b * n_modes : (b + 1) * n_modes]
        heads.append(Head(in_planes(phi, dtype), None if features.n_rows == 1 else rows))

    def value(phis: tuple[Array, ...], fixed: tuple[Array, ...], s_N: Array) -> Array:
        del fixed
        matrices = [of_planes(phi, dtype) for phi in phis] * (len(n_fermions) if shared else 1)
        return log_minors([phi[:, :n] for phi, n in zip(matrices, n_fermions, strict=True)], n_fermions, s_N)

    unit = size_of(orbitals)
    return networked(
        features,
        heads,
        (),
        value,
        is_complex=dtype == "complex",
        noise=noise * unit,
        head_scale=init_scale * unit,
        dtype=parameter_dtype("real", float_dtype),
    ).ansatz
