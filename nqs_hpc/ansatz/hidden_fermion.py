"""Determinants with hidden fermions, whose rows depend on which modes are occupied.

    psi(n) = det [ Phi_occ  chi_occ ]        Phi, chi: (M, n_e) and (M, h) visible and hidden orbitals at the modes,
                 [ U(n)     V(n)    ],       (U, V)(n): (h, n_e + h) rows of h hidden fermions, from a network.

Robledo Moreno, Carleo, Georges and Stokes, PNAS 119, e2122059119 (2022), arXiv:2111.10420. At the start chi is small
and (U, V) = (0, 1), so the state is the Slater determinant of Phi. One determinant for each spin, or one for both.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.features import Features
from nqs_hpc.ansatz.layers import parameter_dtype
from nqs_hpc.ansatz.minors import check_orbitals, in_planes, log_minors, of_planes, size_of
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.networked import Head, networked
from nqs_hpc.types import Ansatz


def hidden_fermion(
    n_fermions: Sequence[int],
    orbitals: Sequence[NDArray[np.number]],
    features: Features,
    *,
    n_hidden: int,
    shared: bool = False,
    dtype: NumberName = "real",
    noise: float = 0.01,
    init_scale: float = 0.01,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """``n_hidden`` fermions more in the determinant of each block of modes; ``orbitals`` and kinds as of `backflow`.

    Phi, chi and (U, V) get normal numbers of standard deviation ``noise``, and what the network adds to (U, V) starts
    with about ``init_scale``, both in units of the root mean square of the entries of Phi. ValueError as of
    `check_orbitals`, and for no hidden fermion.
    """
    n_modes = check_orbitals(n_fermions, orbitals, dtype, shared=shared)
    if n_hidden < 1:
        raise ValueError(f"n_hidden={n_hidden}: at least 1")
    visible = [in_planes(np.pad(phi, ((0, 0), (0, n_hidden))), dtype) for phi in orbitals]
    heads = [Head(in_planes(np.eye(n + n_hidden)[n:], dtype)) for n in n_fermions]

    def value(hidden: tuple[Array, ...], fixed: tuple[Array, ...], s_N: Array) -> Array:
        above = [of_planes(v, dtype) for v in fixed] * (len(n_fermions) if shared else 1)
        matrices = []
        for of_modes, rows, n in zip(above, hidden, n_fermions, strict=True):
            columns = jnp.concatenate([of_modes[:, :n], of_modes[:, -n_hidden:]], axis=1)
            matrices.append(jnp.concatenate([columns, of_planes(rows, dtype)]))
        return log_minors(matrices, n_fermions, s_N)

    assert n_modes
    unit = size_of(orbitals)
    return networked(
        features,
        heads,
        visible,
        value,
        is_complex=dtype == "complex",
        noise=noise * unit,
        head_scale=init_scale * unit,
        dtype=parameter_dtype("real", float_dtype),
    )
