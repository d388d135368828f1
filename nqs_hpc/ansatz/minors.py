"""Products of determinants, one for each block of modes, of matrices that may depend on what is occupied.

psi(n) = prod_b det A_b(n),    A_b: the rows of the modes of block b that are occupied, in order, and further rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.determinants import log_det_of_rows
from nqs_hpc.ansatz.names import NumberName
from nqs_hpc.ansatz.slater import Hops


def log_minors(matrices: Sequence[Array], n_fermions: Sequence[int], s_N: Array) -> Array:
    """log psi, complex, of one matrix for each block: (modes + h, fermions + h), the last h of its rows always taken.

    -inf where a block has another number of fermions. The imaginary part is between -pi and pi.
    """
    s_bM = s_N.reshape(len(matrices), -1)
    more = matrices[0].shape[0] - s_bM.shape[1]
    dtype = jnp.result_type(matrices[0].dtype, jnp.complex64)
    found = jnp.zeros((), dtype)
    for s_M, matrix, n in zip(s_bM, matrices, n_fermions, strict=True):
        rows = jnp.concatenate([s_M, jnp.ones(more, s_M.dtype)])
        value = log_det_of_rows(matrix, rows) if n + more else jnp.zeros((), dtype)
        found = found + jnp.where(jnp.sum(s_M) == n, value, -jnp.inf)
    turns = jnp.round(found.imag / (2 * np.pi))
    return found if len(matrices) == 1 else found - (2j * np.pi * turns).astype(dtype)


def is_odd(s_N: Array, hops: Hops) -> Array:
    """Whether sorting the occupied modes is odd, each fermion that hops standing where it stood before."""
    below_N = jnp.cumsum(s_N, dtype=jnp.int32) - s_N
    low, high = jnp.minimum(hops.origin_h, hops.to_h), jnp.maximum(hops.origin_h, hops.to_h)
    passed = below_N[high] - below_N[low] - (hops.origin_h < hops.to_h)
    total = jnp.sum(jnp.where(hops.real_h, passed, 0))
    for i in range(len(hops.to_h)):
        for j in range(i):  # the fermions that have hopped before are elsewhere
            came = (low[i] < hops.to_h[j]) & (hops.to_h[j] < high[i])
            left = (low[i] < hops.origin_h[j]) & (hops.origin_h[j] < high[i])
            total = total + (came ^ left) * (hops.real_h[i] & hops.real_h[j])
    return total % 2 == 1


def check_orbitals(
    n_fermions: Sequence[int], orbitals: Sequence[NDArray[np.number]], dtype: NumberName, *, shared: bool
) -> int:
    """The modes of a block. ValueError if orbitals (modes, fermions) do not fit: one matrix for each block, or
    ``shared`` by all; complex ones with real numbers; no fermions at all.
    """
    wanted = [max(n_fermions)] if shared else list(n_fermions)
    shapes = [phi.shape for phi in orbitals]
    n_modes = shapes[0][0]
    if shapes != [(n_modes, n) for n in wanted] or max(wanted) > n_modes:
        raise ValueError(f"orbitals of shapes {shapes} for {list(n_fermions)} fermions: each has (modes, fermions)")
    if not any(n_fermions):
        raise ValueError("no fermions at all: a determinant has at least one")
    if dtype == "real" and any(np.abs(phi.imag).max(initial=0.0) > 1e-12 for phi in orbitals):
        raise ValueError("the orbitals are complex, and dtype=real")
    return n_modes


def in_planes(phi: NDArray[np.number], dtype: NumberName) -> NDArray[np.floating]:
    """Orbitals as real numbers: complex ones with the imaginary parts as further columns."""
    return np.concatenate([phi.real, phi.imag], axis=1) if dtype == "complex" else phi.real


def of_planes(planes: Array, dtype: NumberName) -> Array:
    """The inverse of `in_planes`."""
    if dtype == "real":
        return planes
    n = planes.shape[1] // 2
    return jnp.asarray(planes[:, :n] + 1j * planes[:, n:])


def size_of(orbitals: Sequence[NDArray[np.number]]) -> float:
    """The root mean square of the entries."""
    return float(np.sqrt(np.mean(np.concatenate([np.abs(phi).ravel() ** 2 for phi in orbitals]))))
