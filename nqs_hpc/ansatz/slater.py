"""Slater determinants with their own ratio path.

    psi(n) = prod_b det A_b,     A_b = Phi_b at the occupied modes of block b, in ascending order,

of orbitals Phi_b (modes, fermions) that are the parameters. With W = Phi A^-1, whose rows at the occupied modes are unit
vectors, fermions that go from the modes l_1 ... l_h to K_1 ... K_h have the ratio

    psi(n') / psi(n) = (-1)^inversions det D,     D_ij = W[K_i, l_j],
    W' = W - W[:, l] D^-1 (W[K, :] - e_l),

l standing for the column of W that belongs to the mode, which K takes over (Becca and Sorella 2017, "Quantum Monte
Carlo approaches for correlated systems", ch. 5). The inversions are those of sorting the modes when K_i stands where
l_i stood. So a hop costs one entry of W, and all ratios of a state are read from one W; a hop that is taken costs the
rows of its block times its fermions.

Several blocks are one matrix Phi whose entries between blocks are 0, and so is W: D needs no case of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.determinants import log_det_and_gradient, log_det_and_inverse, log_det_of_rows, occupied
from nqs_hpc.ansatz.elimination import sign_and_size, sign_size_and_inverse
from nqs_hpc.ansatz.layers import normal, parameter_dtype
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.types import Ansatz, Factors, Kind, Move

PAD = 2**30  # beyond all modes


class SlaterParams(NamedTuple):
    phi: tuple[Array, ...]  # each (modes, fermions): one of restricted and generalised orbitals, else one a block


class SlaterCache(NamedTuple):
    column_M: Array  # int32: the column of W that belongs to a mode, where it is occupied
    w: Array  # (blocks, modes, most fermions): W of each block, columns beyond its fermions 0
    lives: Array  # bool: whether psi is not 0, so that W exists


class Hops(NamedTuple):
    """A move as h fermions that go from modes to modes; of pads both are mode 0."""

    origin_h: Array  # int32
    to_h: Array
    real_h: Array  # bool: False of pads
    keeps: Array  # bool: as many fermions appear as disappear


def slater(
    n_fermions: Sequence[int],
    orbitals: Sequence[NDArray[Any]],
    *,
    shared: bool = False,
    noise: float = 0.0,
    dtype: NumberName = "real",
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """Determinants of ``n_fermions[b]`` fermions in block b of the modes, of kind ``signed`` or, with dtype="complex",
    ``holomorphic``.

    ``orbitals``: the first parameters, (modes, fermions) of each block, blocks of equally many modes one after another;
    or ``shared`` by all blocks, of which each takes as many columns as it has fermions. To each entry a normal number
    is added of standard deviation ``noise`` times the root mean square of the entries. Of one block over all modes the
    orbitals are general. ``modulus`` leaves out the signs. From a state with psi = 0 every ratio is 1, as in
    `full_evaluation`.

    Raises ValueError for shapes that do not fit, no fermions at all, and complex orbitals of real parameters.
    """
    param_dtype = parameter_dtype(dtype, float_dtype)
    log_dtype = jnp.result_type(param_dtype, jnp.complex64)
    real_dtype = np.zeros(0, param_dtype).real.dtype
    n_modes = _modes_of_a_block(n_fermions, orbitals, shared)
    if dtype == "real" and any(np.iscomplexobj(phi) and np.abs(phi.imag).max(initial=0) > 1e-12 for phi in orbitals):
        raise ValueError("the orbitals are complex, and dtype=real")
    n_blocks, most = len(n_fermions), max(n_fermions)

    def init(key: Array) -> SlaterParams:
        keys = jax.random.split(key, len(orbitals))
        found = []
        for key_of, phi in zip(keys, orbitals, strict=True):
            size = noise * float(np.sqrt(np.mean(np.abs(phi) ** 2))) if phi.size else 0.0
            first = np.asarray(phi if dtype == "complex" else phi.real, param_dtype)
            found.append(jnp.asarray(first) + normal(key_of, first.shape, size, param_dtype))
        return SlaterParams(tuple(found))

    def of_block(params: SlaterParams, b: int) -> Array:
        return params.phi[0][:, : n_fermions[b]] if shared else params.phi[b]

    def blocks_of(s_N: Array) -> Array:
        return s_N.reshape(n_blocks, n_modes)

    def log_psi(params: SlaterParams, s_N: Array) -> Array:
        s_bM = blocks_of(s_N)
        total = jnp.zeros((), log_dtype)
        for b, n in enumerate(n_fermions):
            value = log_det_of_rows(of_block(params, b), s_bM[b]) if n else jnp.zeros((), log_dtype)
            total = total + jnp.where(jnp.sum(s_bM[b]) == n, value, -jnp.inf)
        return total

    def prepare(params: SlaterParams, s_N: Array) -> SlaterCache:
        s_bM = blocks_of(s_N)
        columns, ws, lives = [], [], jnp.array(True)
        for b, n in enumerate(n_fermions):
            phi = of_block(params, b)
            places = jnp.clip(jnp.cumsum(s_bM[b]) - 1, 0, max(n - 1, 0)).astype(jnp.int32)
            if n:
                value, inverse = log_det_and_inverse(phi[occupied(s_bM[b], n)])
                w = phi @ inverse
                lives = lives & jnp.isfinite(value.real) & jnp.all(jnp.isfinite(w)) & (jnp.sum(s_bM[b]) == n)
                columns.append(places)
                ws.append(jnp.pad(w, ((0, 0), (0, most - n))))
            else:
                columns.append(places)
                ws.append(jnp.zeros((n_modes, most), param_dtype))
        w = jnp.stack(ws)
        return SlaterCache(jnp.concatenate(columns), jnp.where(lives, w, 0), lives)

    def entries(cache: SlaterCache, hops: Hops) -> Array:
        """D (h, h), whose rows and columns of pads are those of the unit matrix."""
        to, origin = hops.to_h[:, None], hops.origin_h[None, :]
        same = to // n_modes == origin // n_modes
        w = cache.w[to // n_modes, to % n_modes, cache.column_M[origin]]
        real = hops.real_h[:, None] & hops.real_h[None, :]
        return jnp.where(real, jnp.where(same, w, 0), jnp.eye(len(hops.to_h), dtype=param_dtype))

    def size_of(cache: SlaterCache, move: Move) -> tuple[Array, Hops, Array]:
        """log of the modulus of the ratio, the hops, and det D with its sign."""
        hops = hops_of(move)
        det = jnp.where(cache.lives, _det(entries(cache, hops)), 1)
        log_modulus = jnp.log(jnp.abs(det)).astype(real_dtype)
        return jnp.where(hops.keeps | ~cache.lives, log_modulus, -jnp.inf), hops, det

    def whole(cache: SlaterCache, below_N: Array, move: Move) -> Array:
        """log of the ratio; ``below_N`` the number of fermions below each mode."""
        log_modulus, hops, det = size_of(cache, move)
        odd = _inversions(hops, below_N) % 2 == 1
        signed = jnp.where(odd & cache.lives, -det, det)
        phase = jnp.angle(signed) if dtype == "complex" else jnp.where(signed < 0, np.pi, 0.0)
        return jax.lax.complex(log_modulus, phase.astype(real_dtype))

    def attempt(params: SlaterParams, s_N: Array, cache: SlaterCache, move: Move) -> tuple[Array, tuple[()]]:
        del params
        return whole(cache, _below(s_N), move), ()

    def attempt_size(params: SlaterParams, s_N: Array, cache: SlaterCache, move: Move) -> tuple[Array, tuple[()]]:
        del params, s_N
        return size_of(cache, move)[0], ()

    def log_ratios(params: SlaterParams, s_N: Array, cache: SlaterCache, moves_KF: Move) -> Array:
        del params
        below_N = _below(s_N)
        return jax.vmap(lambda move: whole(cache, below_N, move))(moves_KF)

    def advance(
        params: SlaterParams, s_N: Array, cache: SlaterCache, move: Move, tried: tuple[()], accepted: Array | bool
    ) -> SlaterCache:
        del params, s_N, tried
        hops = hops_of(move)
        inverse = _inverse(entries(cache, hops))
        takes = hops.real_h & accepted & cache.lives
        w, column_M = cache.w, cache.column_M
        h = len(hops.to_h)
        columns_h = column_M[hops.origin_h]
        block_h = hops.origin_h // n_modes
        here_bh = jnp.arange(n_blocks)[:, None] == block_h[None, :]
        left = jnp.where((here_bh & takes)[:, None, :], w[:, :, columns_h], 0)  # (blocks, modes, h)
        unit = (jnp.arange(most)[None, :] == columns_h[:, None]).astype(param_dtype)
        right = w[hops.to_h // n_modes, hops.to_h % n_modes] - unit  # (h, fermions)
        w = w - (left @ jnp.where(takes[:, None] & takes[None, :], inverse, 0)) @ right
        for i in range(h):
            to = jnp.where(takes[i], hops.to_h[i], len(column_M))
            column_M = column_M.at[to].set(columns_h[i], mode="drop")
        return SlaterCache(column_M, w, cache.lives)

    def factors_of(params: SlaterParams, s_N: Array) -> tuple[Array, ...]:
        s_bM = blocks_of(s_N)
        found = [
            log_det_and_gradient(of_block(params, b), s_bM[b])[1] if n else jnp.zeros((n_modes, 0), param_dtype)
            for b, n in enumerate(n_fermions)
        ]
        if shared:
            width = params.phi[0].shape[1]
            found = [sum((jnp.pad(g, ((0, 0), (0, width - g.shape[1]))) for g in found), jnp.zeros(()))]
        return tuple(gradient.ravel() for gradient in found)

    kind: Kind = "signed" if dtype == "real" else "holomorphic"
    modulus = complete(
        init,
        lambda params, s_N: jnp.real(log_psi(params, s_N)),
        "real",
        prepare=prepare,
        attempt=attempt_size,
        advance=advance,
    )
    return complete(
        init,
        log_psi,
        kind,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        log_ratios=log_ratios,
        factors=Factors(factors_of, tuple((i,) for i in range(len(orbitals)))),
        modulus=modulus,
    )


def hops_of(move: Move) -> Hops:
    """The modes that are emptied and those that are filled, both ascending, so that a pair lies in one block."""
    h = move.sites.shape[0] // 2
    leaves, comes = move.deltas < 0, move.deltas > 0
    n_leave = jnp.sum(leaves)

    def modes(here: Array) -> Array:
        if h == 1:
            return jnp.sum(jnp.where(here, move.sites, 0), keepdims=True)
        return jnp.sort(jnp.where(here, move.sites, PAD))[:h] % PAD

    return Hops(modes(leaves), modes(comes), jnp.arange(h) < n_leave, n_leave == jnp.sum(comes))


def _modes_of_a_block(n_fermions: Sequence[int], orbitals: Sequence[NDArray[Any]], shared: bool) -> int:
    wanted = [max(n_fermions)] if shared else list(n_fermions)
    shapes = [phi.shape for phi in orbitals]
    n_modes = shapes[0][0] if shapes and len(shapes[0]) == 2 else 0
    if shapes != [(n_modes, n) for n in wanted] or max(wanted) > n_modes:
        raise ValueError(f"orbitals of shapes {shapes} for {list(n_fermions)} fermions: each has (modes, fermions)")
    if not any(n_fermions):
        raise ValueError("no fermions at all: a determinant has at least one")
    return n_modes


def _below(s_N: Array) -> Array:
    """How many fermions are in the modes before each: (N,) int32."""
    return jnp.cumsum(s_N, dtype=jnp.int32) - s_N


def _inversions(hops: Hops, below_N: Array) -> Array:
    """How many exchanges sort the modes after the hops."""
    low, high = jnp.minimum(hops.origin_h, hops.to_h), jnp.maximum(hops.origin_h, hops.to_h)
    between = below_N[high] - below_N[low] - (hops.origin_h < hops.to_h)  # fermions strictly between
    # of which those that leave too do not count
    gone_hh = (low[:, None] < hops.origin_h[None, :]) & (hops.origin_h[None, :] < high[:, None])
    gone_hh = gone_hh & hops.real_h[:, None] & hops.real_h[None, :]
    return jnp.sum(jnp.where(hops.real_h, between, 0)) - jnp.sum(gone_hh)


def _det(d_hh: Array) -> Array:
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
    det = _det(d_hh)
    scale = jnp.where(det == 0, 0, 1 / jnp.where(det == 0, 1, det))
    match len(d_hh):
        case 0:
            return d_hh
        case 1:
            return jnp.broadcast_to(scale, (1, 1))
        case 2:
            return scale * jnp.array([[d_hh[1, 1], -d_hh[0, 1]], [-d_hh[1, 0], d_hh[0, 0]]])
    return sign_size_and_inverse(d_hh)[2]
