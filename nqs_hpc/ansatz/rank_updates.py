"""W = Phi A^-1 of a determinant, kept while fermions hop: entries are ratios, and an update costs its rank.

Held is its transpose of each block of modes, (blocks, fermions, modes), in one array: what a hop changes is one block.
Columns of W are in any order; ``column_M`` says which belongs to an occupied mode. For hops from l to K

    D_ij = W[K_i, l_j],      W' = W - W[:, l] D^-1 (W[K, :] - e_l)

(the Sherman-Morrison-Woodbury formula). Hops join modes of one block, so D and W are 0 between blocks.

Of many chains only those are updated that took their move, one after the other in place: a masked update of all would
read and write the W of every chain at every proposal. Programs for accelerators have the masked one, quick there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import custom_vmap

from nqs_hpc.ansatz.determinants import log_det_and_inverse, occupied
from nqs_hpc.ansatz.elimination import sign_and_size, sign_size_and_inverse
from nqs_hpc.ansatz.hops import Hops


class Rows(NamedTuple):
    """What a chain keeps."""

    column_M: Array  # int32: the column of W that belongs to a mode, where it is occupied
    w: Array  # (blocks, fermions, modes of a block): W^T of each block, 0 beyond its fermions
    lives: Array  # bool: whether psi is not 0, so that W exists


def prepared(phi_b: tuple[Array, ...], s_N: Array) -> Rows:
    """Of orbitals (modes, fermions) of each block, blocks of equally many modes."""
    n_blocks, most = len(phi_b), max(phi.shape[1] for phi in phi_b)
    columns, ws, lives = [], [], jnp.array(True)
    for phi, s_M in zip(phi_b, s_N.reshape(n_blocks, -1), strict=True):
        n = phi.shape[1]
        if not n:
            columns.append(jnp.zeros(len(s_M), jnp.int32))
            ws.append(jnp.zeros((most, len(s_M)), phi.dtype))
            continue
        value, inverse = log_det_and_inverse(phi[occupied(s_M, n)])
        columns.append(jnp.clip(jnp.cumsum(s_M, dtype=jnp.int32) - 1, 0, n - 1))
        ws.append(jnp.pad(inverse.T @ phi.T, ((0, most - n), (0, 0))))
        lives = lives & jnp.isfinite(value.real) & (jnp.sum(s_M) == n)
    return Rows(jnp.concatenate(columns), jnp.where(lives, jnp.stack(ws), 0), lives)


def entries(rows: Rows, hops: Hops) -> Array:
    """D (h, h), whose rows and columns of pads are those of the unit matrix."""
    n_modes = rows.w.shape[2]
    to, origin = hops.to_h[:, None], hops.origin_h[None, :]
    w = rows.w[to // n_modes, rows.column_M[origin], to % n_modes]
    here = jnp.where(to // n_modes == origin // n_modes, w, 0)
    real = hops.real_h[:, None] & hops.real_h[None, :]
    return jnp.where(real, here, jnp.eye(len(hops.to_h), dtype=w.dtype))


def updated(rows: Rows, hops: Hops, accepted: Array | bool) -> Rows:
    """After the hops if they were ``accepted``, else the same."""
    takes = jnp.any(hops.real_h) & accepted & rows.lives
    arguments = (rows.column_M, rows.w, takes, hops)
    column_M, w = jax.lax.platform_dependent(*arguments, cpu=_in_place, default=_masked)
    return Rows(column_M, w, rows.lives)


def revived(phi_b: tuple[Array, ...], s_N: Array, rows: Rows, wants: Array | bool) -> Rows:
    """W computed again at ``s_N`` where a chain ``wants`` it, which is rare: one that has left a state with psi = 0."""
    return _revive(phi_b, s_N, rows, jnp.asarray(wants))


@custom_vmap
def _revive(phi_b: tuple[Array, ...], s_N: Array, rows: Rows, wants: Array) -> Rows:
    return jax.tree.map(lambda x, new: jnp.where(wants, new, x), rows, prepared(phi_b, s_N))


@_revive.def_vmap
def _revive_of_chains(axis_size, is_mapped, phi_b, *arguments):
    assert not any(is_mapped[0])  # the parameters are those of all chains
    return _revive_chains(phi_b, *_all_mapped(axis_size, is_mapped[1:], arguments)), Rows(*[True] * 3)  # type: ignore[arg-type]


@custom_vmap
def _revive_chains(phi_b: tuple[Array, ...], s_CN: Array, rows_C: Rows, wants_C: Array) -> Rows:
    # a loop that mostly has nothing to do: a branch would copy what it returns at every proposal
    chain_C = jnp.nonzero(wants_C, size=len(wants_C), fill_value=0)[0].astype(jnp.int32)

    def one(i: Array, rows_C: Rows) -> Rows:
        chain = chain_C[i]
        new = prepared(phi_b, s_CN[chain])
        return jax.tree.map(lambda x, y: jax.lax.dynamic_update_index_in_dim(x, y, chain, 0), rows_C, new)

    return jax.lax.fori_loop(0, jnp.sum(wants_C, dtype=jnp.int32), one, rows_C)


@_revive_chains.def_vmap
def _revive_more(axis_size, is_mapped, phi_b, *arguments):
    assert not any(is_mapped[0])
    many = _all_mapped(axis_size, is_mapped[1:], arguments)
    found = _revive_chains(phi_b, *jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), many))
    return jax.tree.map(lambda x: x.reshape(axis_size, -1, *x.shape[1:]), found), Rows(*[True] * 3)  # type: ignore[arg-type]


def det(d_hh: Array) -> Array:
    match len(d_hh):
        case 0:
            return jnp.ones((), d_hh.dtype)
        case 1:
            return d_hh[0, 0]
        case 2:
            return d_hh[0, 0] * d_hh[1, 1] - d_hh[0, 1] * d_hh[1, 0]
    sign, size = sign_and_size(d_hh)
    return sign * jnp.exp(size)


def _inverse(d_hh: Array) -> Array:
    """The inverse, and 0 of a singular matrix, which no move that is taken has."""
    if len(d_hh) > 2:
        return sign_size_and_inverse(d_hh)[2]
    value = det(d_hh)
    scale = jnp.where(value == 0, 0, 1 / jnp.where(value == 0, 1, value))
    if len(d_hh) == 2:
        return scale * jnp.array([[d_hh[1, 1], -d_hh[0, 1]], [-d_hh[1, 0], d_hh[0, 0]]])
    return jnp.broadcast_to(scale, d_hh.shape)


def _taken(column_M: Array, w: Array, hops: Hops) -> tuple[Array, Array]:
    """The columns and W of one chain after hops that it takes."""
    n_blocks, most, n_modes = w.shape
    columns_h = column_M[hops.origin_h]
    inverse = _inverse(entries(Rows(column_M, w, jnp.array(True)), hops))
    inverse = jnp.where(hops.real_h[:, None] & hops.real_h[None, :], inverse, 0)
    here_bh = jnp.arange(n_blocks)[:, None] == (hops.origin_h // n_modes)[None, :]
    left = jnp.where(here_bh[:, :, None], w[:, columns_h], 0)  # (blocks, h, modes): columns of W
    unit = (jnp.arange(most)[None, :] == columns_h[:, None]).astype(w.dtype)
    right = w[hops.to_h // n_modes, :, hops.to_h % n_modes] - unit  # (h, fermions): rows of W
    change = jnp.einsum("kn,jk,bjm->bnm", right, inverse, left)
    for i in range(len(hops.to_h)):
        to = jnp.where(hops.real_h[i], hops.to_h[i], len(column_M))
        column_M = column_M.at[to].set(columns_h[i], mode="drop")
    return column_M, w - change


def _masked(column_M: Array, w: Array, takes: Array, hops: Hops) -> tuple[Array, Array]:
    new_M, new_w = _taken(column_M, w, hops)
    return jnp.where(takes, new_M, column_M), jnp.where(takes, new_w, w)


@custom_vmap
def _in_place(column_M: Array, w: Array, takes: Array, hops: Hops) -> tuple[Array, Array]:
    return _masked(column_M, w, takes, hops)


@_in_place.def_vmap
def _in_place_of_chains(axis_size, is_mapped, *arguments):
    return _in_place_chains(*_all_mapped(axis_size, is_mapped, arguments)), (True, True)


def _all_mapped(axis_size: int, is_mapped: Any, arguments: Any) -> Any:
    def mapped(x: Array, has_axis: bool) -> Array:
        return x if has_axis else jnp.broadcast_to(x, (axis_size, *x.shape))

    return jax.tree.map(mapped, tuple(arguments), tuple(is_mapped))


@custom_vmap
def _in_place_chains(column_CM: Array, w_C: Array, takes_C: Array, hops_C: Hops) -> tuple[Array, Array]:
    one = _one_hop if hops_C.to_h.shape[1] == 1 else _several_hops
    chain_C = jnp.nonzero(takes_C, size=len(takes_C), fill_value=0)[0].astype(jnp.int32)

    def follow(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        chain = chain_C[i]
        return one(*carry, chain, jax.tree.map(lambda x: x[chain], hops_C))

    return jax.lax.fori_loop(0, jnp.sum(takes_C, dtype=jnp.int32), follow, (column_CM, w_C))


@_in_place_chains.def_vmap
def _in_place_of_more(axis_size, is_mapped, *arguments):
    """Chains of chains, as of the images of each under a group, are as many chains."""
    many = _all_mapped(axis_size, is_mapped, arguments)
    found = _in_place_chains(*jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), many))
    return tuple(x.reshape(axis_size, -1, *x.shape[1:]) for x in found), (True, True)


def _one_hop(column_CM: Array, w_C: Array, chain: Array, hops: Hops) -> tuple[Array, Array]:
    """As `_taken`, only of the block in which the fermion hops."""
    _, _, most, n_modes = w_C.shape
    origin, to, none = hops.origin_h[0], hops.to_h[0], jnp.int32(0)
    place = (chain, origin // n_modes, none, none)
    w = jax.lax.dynamic_slice(w_C, place, (1, 1, most, n_modes))[0, 0]
    column, k = column_CM[chain, origin], to % n_modes
    left, right = w[column], w[:, k] - (jnp.arange(most) == column)
    new = w - (right / w[column, k])[:, None] * left[None, :]
    w_C = jax.lax.dynamic_update_slice(w_C, new[None, None], place)
    return jax.lax.dynamic_update_slice(column_CM, column[None, None], (chain, to)), w_C


def _several_hops(column_CM: Array, w_C: Array, chain: Array, hops: Hops) -> tuple[Array, Array]:
    column_M, w = _taken(column_CM[chain], w_C[chain], hops)
    none = jnp.int32(0)
    w_C = jax.lax.dynamic_update_slice(w_C, w[None], (chain, none, none, none))
    return jax.lax.dynamic_update_slice(column_CM, column_M[None], (chain, none)), w_C
