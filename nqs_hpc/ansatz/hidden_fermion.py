"""Determinants with hidden fermions, whose rows depend on which modes are occupied.

    psi(n) = det [ Phi_occ  chi_occ ]        Phi, chi: (M, n_e) and (M, h) visible and hidden orbitals at the modes,
                 [ U(n)     V(n)    ],       (U, V)(n): (h, n_e + h) rows of h hidden fermions, from a network.

Robledo Moreno, Carleo, Georges and Stokes, PNAS 119, e2122059119 (2022), arXiv:2111.10420. At the start chi is small
and (U, V) = (0, 1), so the state is the Slater determinant of Phi. One determinant for each spin, or one for both.

A hop changes the row of one fermion and those of the hidden ones. With the inverse B of the matrix, the new rows R and
the places P that they take

    psi(n') / psi(n) = +- det D,    D = R B_{.P},      B' = B - B_{.P} D^-1 (R B - 1_{P.}),

so of the determinant of n_e + h rows a ratio costs one of 1 + h; the network is evaluated whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.determinants import log_det, log_det_and_inverse, occupied
from nqs_hpc.ansatz.features import Features
from nqs_hpc.ansatz.full_evaluation import apply_move
from nqs_hpc.ansatz.layers import parameter_dtype
from nqs_hpc.ansatz.minors import check_orbitals, in_planes, is_odd, log_minors, of_planes, size_of
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.networked import Head, networked
from nqs_hpc.ansatz.slater import Hops, hops_of
from nqs_hpc.types import Ansatz, Move, Tree


class HiddenCache(NamedTuple):
    row_M: Array  # int32: the row of the matrix of its block that belongs to a mode, where it is occupied
    inverses: tuple[Array, ...]  # (n_e + h, n_e + h) of each block
    lives: Array  # bool: whether psi is not 0, so that they exist


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

    def matrices(hidden: Sequence[Array], fixed: Sequence[Array]) -> list[Array]:
        """Of each block (modes + h, n_e + h), hidden rows last."""
        above = [of_planes(v, dtype) for v in fixed] * (len(n_fermions) if shared else 1)
        found = []
        for of_modes, rows, n in zip(above, hidden, n_fermions, strict=True):
            columns = jnp.concatenate([of_modes[:, :n], of_modes[:, -n_hidden:]], axis=1)
            found.append(jnp.concatenate([columns, of_planes(rows, dtype)]))
        return found

    unit = size_of(orbitals)
    whole, given = networked(
        features,
        heads,
        visible,
        lambda hidden, fixed, s_N: log_minors(matrices(hidden, fixed), n_fermions, s_N),
        is_complex=dtype == "complex",
        noise=noise * unit,
        head_scale=init_scale * unit,
        dtype=parameter_dtype("real", float_dtype),
    )

    def prepare(frozen: Tree, s_N: Array) -> HiddenCache:
        s_bM = s_N.reshape(-1, n_modes)
        inverses, lives = [], jnp.array(True)
        for s_M, matrix, n in zip(s_bM, matrices(*given(frozen, s_N)), n_fermions, strict=True):
            rows = jnp.concatenate([occupied(s_M, n), n_modes + jnp.arange(n_hidden)])
            log, inverse = log_det_and_inverse(matrix[rows])
            inverses.append(inverse)
            lives = lives & jnp.isfinite(log.real) & (jnp.sum(s_M) == n)
        row_bM = jnp.cumsum(s_bM, axis=1, dtype=jnp.int32) - 1
        return HiddenCache(row_bM.ravel(), tuple(inverses), lives)

    def changes(
        frozen: Tree, cache: HiddenCache, hops: Hops, hidden: Sequence[Array]
    ) -> list[tuple[Array, Array, Array, Array]]:
        """Of each block the new rows R, their places P, which of them it has, and D, of others that of no change."""
        fixed = [v.reshape(c.shape) for v, c in zip(frozen.fixed, visible, strict=True)]
        found = []
        for b, (matrix, inverse, n) in enumerate(zip(matrices(hidden, fixed), cache.inverses, n_fermions, strict=True)):
            mine = hops.real_h & (hops.origin_h // n_modes == b)
            has = jnp.concatenate([mine, jnp.ones(n_hidden, bool)])
            places = jnp.concatenate([cache.row_M[hops.origin_h], n + jnp.arange(n_hidden)])
            places = jnp.where(has, places, 0)
            rows = matrix[jnp.concatenate([hops.to_h % n_modes, n_modes + jnp.arange(n_hidden)])]
            d = jnp.where(has[:, None] & has[None, :], rows @ inverse[:, places], jnp.eye(len(has), dtype=rows.dtype))
            found.append((rows, places, has, d))
        return found

    def attempt(frozen: Tree, s_N: Array, cache: HiddenCache, move: Move) -> tuple[Array, tuple[Array, ...]]:
        hops = hops_of(move)
        hidden, _ = given(frozen, apply_move(s_N, move))
        log = sum(log_det(d) for *_, d in changes(frozen, cache, hops, hidden))
        stays = jnp.all(~hops.real_h | (hops.origin_h // n_modes == hops.to_h // n_modes)) & hops.keeps
        log = log + jnp.where(is_odd(s_N, hops), 1j * np.pi, 0)
        log = jnp.where(cache.lives, jnp.where(stays, log, -jnp.inf), 0)
        return log.astype(jnp.result_type(cache.inverses[0].dtype, jnp.complex64)), hidden

    def advance(
        frozen: Tree, s_N: Array, cache: HiddenCache, move: Move, hidden: tuple[Array, ...], accepted: Array | bool
    ) -> HiddenCache:
        del s_N
        hops, takes = hops_of(move), accepted & cache.lives
        inverses, row_M = [], cache.row_M
        for (rows, places, has, d), inverse in zip(changes(frozen, cache, hops, hidden), cache.inverses, strict=True):
            one = jnp.arange(inverse.shape[0])[None, :] == places[:, None]
            right = jnp.where((has & takes)[:, None], rows @ inverse - one, 0)
            inverses.append(inverse - inverse[:, places] @ (log_det_and_inverse(d)[1] @ right))
        for i in range(len(hops.to_h)):
            to = jnp.where(hops.real_h[i] & takes, hops.to_h[i], len(row_M))
            row_M = row_M.at[to].set(cache.row_M[hops.origin_h[i]], mode="drop")
        return HiddenCache(row_M, tuple(inverses), cache.lives)

    return complete(
        whole.init,
        whole.log_psi,
        whole.kind,
        freeze=whole.freeze,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        factors=whole.factors,
        whole=True,
    )
