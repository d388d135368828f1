"""Pairing wave functions: Pfaffians of the pair amplitudes of all pairs of occupied modes.

    psi(n) = Pf X,     X_ab = F_{m_a m_b},      F antisymmetric: exp(1/2 sum_kl F_kl c^dagger_k c^dagger_l) |0>

with the numbers of particles that are fixed. Bouchaud, Georges and Lhuillier, J. Phys. France 49, 553 (1988); Bajdich,
Mitas, Drobny, Wagner and Schmidt, Phys. Rev. Lett. 96, 130201 (2006), cond-mat/0512327. Where only modes of opposite
spin are paired, F_{i up, j down} = f_ij, this is a determinant of entries of f. Fermions without a partner have
orbitals of their own: they are paired with further modes, which are always occupied. A Slater determinant of the
orbitals phi is F = sum of phi_k phi_l^T - phi_l phi_k^T over pairs (k, l) of them.

With Y = X^-1 and W = F_{. m} Y, fermions that go from the modes at the places A of X to modes K have the ratio

    psi(n') / psi(n) = +- Pf [[ Y_AA, -W_KA^T ], [ W_KA, F_KK + W_K F_Km^T ]],

which is W_KA for one of them; a hop that is taken is an update of Y of rank two. The sign is that of sorting the modes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.determinants import as_logarithm, log_det_and_inverse, occupied
from nqs_hpc.ansatz.hops import Hops, hops_of
from nqs_hpc.ansatz.layers import normal, parameter_dtype
from nqs_hpc.ansatz.minors import check_orbitals, is_odd, size_of
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.pfaffians import log_pfaffian, small_inverse, small_pfaffian
from nqs_hpc.types import Ansatz, Kind, Move

Pairs = Literal["singlets", "opposite", "all"]


class PfaffianParams(NamedTuple):
    pairs: Array  # F above its diagonal, row by row; of opposite pairs f, of singlets f on and above its diagonal
    unpaired: Array  # (modes, unpaired fermions): but of all pairs the modes of the spin with more fermions


class PfaffianCache(NamedTuple):
    modes_n: Array  # int32: the mode of each row of X, further modes last
    y_nn: Array  # X^-1
    lives: Array  # bool: whether psi is not 0, so that Y exists


def pfaffian(
    n_fermions: Sequence[int],
    orbitals: Sequence[NDArray[np.number]],
    *,
    pairs: Pairs = "all",
    noise: float = 0.0,
    dtype: NumberName = "real",
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """Pairs of ``n_fermions[b]`` fermions in block b of the modes, blocks of equally many modes one after another; of
    kind ``signed`` or, with dtype="complex", ``holomorphic``.

    ``singlets``: f is symmetric; ``opposite``: f is any matrix, singlets and triplets; ``all``: F is any. It begins as
    the Slater determinant of ``orbitals`` (modes, fermions), of singlets one matrix for both spins, of all pairs also
    one of all modes, else one for each block, with normal numbers of standard deviation ``noise`` times the root mean
    square of the pair amplitudes. ``modulus`` leaves out the signs. From a state with psi = 0 every ratio is 1, as in
    `full_evaluation`. ValueError for other than all pairs of one block, and as of `check_orbitals`.
    """
    param_dtype = parameter_dtype(dtype, float_dtype)
    is_one = pairs == "all" and len(orbitals) == 1
    check_orbitals([sum(n_fermions)] if is_one else n_fermions, orbitals, dtype, shared=pairs == "singlets")
    if pairs != "all" and len(n_fermions) != 2:
        raise ValueError(f"pairs={pairs!r}: of two blocks of modes, one for each spin")
    size = orbitals[0].shape[0] // (len(n_fermions) if is_one else 1)  # of a block
    n_modes = size * len(n_fermions)
    first_pairs, first_unpaired = _first(n_fermions, orbitals, pairs)
    n_unpaired = first_unpaired.shape[1]
    n = sum(n_fermions) + n_unpaired
    major = 0 if pairs == "all" or n_fermions[0] >= n_fermions[1] else 1  # the block with unpaired fermions
    upper = np.triu_indices(n_modes, k=1) if pairs == "all" else np.triu_indices(size)

    def init(key: Array) -> PfaffianParams:
        found = []
        for one, first in zip(jax.random.split(key), (first_pairs, first_unpaired), strict=True):
            scale = noise * size_of([first]) if first.size else 0.0
            begun = jnp.asarray(first if dtype == "complex" else first.real, param_dtype)
            found.append(begun + normal(one, first.shape, scale, param_dtype))
        return PfaffianParams(*found)

    def amplitudes(params: PfaffianParams) -> Array:
        """F of all modes and the further ones."""
        whole = jnp.zeros((n_modes + n_unpaired,) * 2, param_dtype)
        if pairs == "all":
            whole = whole.at[*upper].set(params.pairs).at[:n_modes, n_modes:].set(params.unpaired)
        else:
            f = params.pairs
            if pairs == "singlets":
                f = jnp.zeros((size, size), param_dtype).at[*upper].set(f)
                f = f + jnp.triu(f, k=1).T
            rows = slice(major * size, (major + 1) * size)
            whole = whole.at[:size, size:n_modes].set(f).at[rows, n_modes:].set(params.unpaired)
        return whole - whole.T

    def modes_of(s_N: Array) -> Array:
        blocks = enumerate(zip(s_N.reshape(-1, size), n_fermions, strict=True))
        further = jnp.arange(n_modes, n_modes + n_unpaired, dtype=jnp.int32)
        return jnp.concatenate([*(occupied(s_M, k) + b * size for b, (s_M, k) in blocks), further]).astype(jnp.int32)

    def fits(s_N: Array) -> Array:
        return jnp.all(jnp.sum(s_N.reshape(-1, size), axis=1) == jnp.asarray(n_fermions))

    # opposite pairs: X joins the places of one side only with those of the other
    if pairs != "all":
        up, down, more = np.split(np.arange(n), np.cumsum(n_fermions))
        left, right = (up, np.append(down, more)) if major == 0 else (np.append(up, more), down)
        half, turned = len(left), n_unpaired * n_fermions[1] if major else 0
        negative = (half * (half - 1) // 2 + turned) % 2 == 1

    def inverse_of(x_nn: Array) -> tuple[Array, Array]:
        """log |Pf X| and X^-1, which is 0 where X is singular."""
        if pairs == "all":
            log, y_nn = log_det_and_inverse(x_nn)
            return log.real / 2, (y_nn - y_nn.T) / 2
        log, inverse = log_det_and_inverse(x_nn[np.ix_(left, right)])
        y_nn = jnp.zeros_like(x_nn).at[np.ix_(right, left)].set(inverse).at[np.ix_(left, right)].set(-inverse.T)
        return log.real, y_nn

    def logarithm(x_nn: Array) -> Array:
        if pairs == "all":
            return log_pfaffian(x_nn)
        log = log_det_and_inverse(x_nn[np.ix_(left, right)])[0]
        return log + 1j * np.pi if negative else log

    @jax.custom_jvp
    def value(f_MM: Array, modes_n: Array, occupied_M: Array) -> Array:
        del occupied_M
        return logarithm(f_MM[modes_n[:, None], modes_n[None, :]])

    @value.defjvp
    def _(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        f_MM, modes_n, occupied_M = primals
        y_nn = inverse_of(f_MM[modes_n[:, None], modes_n[None, :]])[1]
        # a gather: a scatter, the derivative of the one above, is many times as slow
        place_M = jnp.clip(jnp.cumsum(occupied_M > 0) - 1, 0, n - 1)
        both = (occupied_M[:, None] > 0) & (occupied_M[None, :] > 0)
        y_MM = jnp.where(both, y_nn[place_M[:, None], place_M[None, :]], 0)
        found = value(*primals)
        return found, (jnp.sum(y_MM.T * tangents[0]) / 2).astype(found.dtype)

    def log_psi(params: PfaffianParams, s_N: Array) -> Array:
        occupied_M = jnp.concatenate([s_N, jnp.ones(n_unpaired, s_N.dtype)]).astype(param_dtype.type(0).real.dtype)
        found = value(amplitudes(params), modes_of(s_N), occupied_M)
        return jnp.where(fits(s_N), found, -jnp.inf)

    def log_modulus(params: PfaffianParams, s_N: Array) -> Array:
        modes_n = modes_of(s_N)
        x_nn = amplitudes(params)[modes_n[:, None], modes_n[None, :]]
        return jnp.where(fits(s_N), inverse_of(x_nn)[0], -jnp.inf)

    def prepare(f_MM: Array, s_N: Array) -> PfaffianCache:
        modes_n = modes_of(s_N)
        log, y_nn = inverse_of(f_MM[modes_n[:, None], modes_n[None, :]])
        return PfaffianCache(modes_n, y_nn, fits(s_N) & jnp.isfinite(log))

    def places_of(cache: PfaffianCache, hops: Hops) -> Array:
        return jnp.argmax(cache.modes_n[None, :] == hops.origin_h[:, None], axis=1)

    def reduced(f_MM: Array, cache: PfaffianCache, hops: Hops, w_hn: Array) -> Array:
        """The matrix (2h, 2h) whose Pfaffian is the ratio; fermions of pads are a pair of their own, with ratio 1."""
        a, k = places_of(cache, hops), hops.to_h
        h = len(k)
        if h == 1:
            w = jnp.where(hops.real_h[0], w_hn[0, a[0]], 1)
            return jnp.array([[0, -w], [w, 0]])
        w_hh = w_hn[:, a]
        new = f_MM[k[:, None], k[None, :]] + w_hn @ f_MM[k[:, None], cache.modes_n[None, :]].T
        both = hops.real_h[:, None] & hops.real_h[None, :]
        unit = jnp.eye(h, dtype=param_dtype)
        w_hh = jnp.where(both, w_hh, unit)
        old, new = jnp.where(both, cache.y_nn[a[:, None], a[None, :]], 0), jnp.where(both, new, 0)
        return jnp.block([[old, -w_hh.T], [w_hh, (new - new.T) / 2]])

    def ratio(f_MM: Array, cache: PfaffianCache, hops: Hops, w_hn: Array) -> Array:
        h = len(hops.to_h)
        sign = (-1) ** (h * (h + 1) // 2)
        found = sign * small_pfaffian(reduced(f_MM, cache, hops, w_hn))
        return jnp.where(cache.lives, jnp.where(hops.keeps, found, 0), 1)

    def rows_of_w(f_MM: Array, cache: PfaffianCache, hops: Hops) -> Array:
        return f_MM[hops.to_h[:, None], cache.modes_n[None, :]] @ cache.y_nn

    def signed(found: Array, s_N: Array, cache: PfaffianCache, hops: Hops) -> Array:
        odd = is_odd(s_N, hops) & cache.lives
        size = jnp.abs(found)
        phase = jnp.where(size > 0, found / jnp.where(size > 0, size, 1), 1)
        return as_logarithm(jnp.where(odd, -phase, phase), jnp.log(size))

    def attempt(f_MM: Array, s_N: Array, cache: PfaffianCache, move: Move) -> tuple[Array, tuple[()]]:
        hops = hops_of(move)
        return signed(ratio(f_MM, cache, hops, rows_of_w(f_MM, cache, hops)), s_N, cache, hops), ()

    def attempt_size(f_MM: Array, s_N: Array, cache: PfaffianCache, move: Move) -> tuple[Array, tuple[()]]:
        del s_N
        hops = hops_of(move)
        return jnp.log(jnp.abs(ratio(f_MM, cache, hops, rows_of_w(f_MM, cache, hops)))), ()

    def log_ratios(f_MM: Array, s_N: Array, cache: PfaffianCache, moves_KF: Move) -> Array:
        w_Mn = f_MM[:, cache.modes_n] @ cache.y_nn

        def one(move: Move) -> Array:
            hops = hops_of(move)
            if len(hops.to_h) == 1:  # one entry of W
                place = places_of(cache, hops)[0]
                w = jnp.where(hops.real_h[0], w_Mn[hops.to_h[0], place], 1)
                found = jnp.where(cache.lives, jnp.where(hops.keeps, w, 0), 1)
            else:
                found = ratio(f_MM, cache, hops, w_Mn[hops.to_h])
            return signed(found, s_N, cache, hops)

        return jax.vmap(one)(moves_KF)

    def advance(
        f_MM: Array, s_N: Array, cache: PfaffianCache, move: Move, tried: tuple[()], accepted: Array | bool
    ) -> PfaffianCache:
        del s_N, tried
        hops = hops_of(move)
        takes = hops.real_h & accepted & cache.lives
        a, k, h = places_of(cache, hops), hops.to_h, len(hops.to_h)
        modes_n = cache.modes_n
        for i in range(h):
            modes_n = jnp.where((modes_n == hops.origin_h[i]) & takes[i], hops.to_h[i], modes_n)
        unit = jnp.where(takes[:, None], jnp.arange(n)[None, :] == a[:, None], False).astype(param_dtype)
        # X' - X = E V - V^T E^T with E the columns of `unit`: entries between two changed rows count in both, half each
        v_hn = f_MM[k[:, None], modes_n[None, :]] - f_MM[hops.origin_h[:, None], cache.modes_n[None, :]]
        changed = jnp.sum(unit, axis=0) > 0
        v_hn = jnp.where(takes[:, None], jnp.where(changed[None, :], v_hn / 2, v_hn), 0)
        b_2hn = jnp.concatenate([unit, v_hn])
        yb_n2h = cache.y_nn @ b_2hn.T
        zero, one = jnp.zeros((h, h), param_dtype), jnp.eye(h, dtype=param_dtype)
        inner = small_inverse(_antisymmetric(jnp.block([[zero, -one], [one, zero]]) + b_2hn @ yb_n2h))
        y_nn = cache.y_nn + yb_n2h @ inner @ yb_n2h.T
        return PfaffianCache(modes_n, y_nn, cache.lives)

    kind: Kind = "signed" if dtype == "real" else "holomorphic"
    modulus = complete(
        init,
        log_modulus,
        "real",
        freeze=amplitudes,
        prepare=prepare,
        attempt=attempt_size,
        advance=advance,
    )
    return complete(
        init,
        log_psi,
        kind,
        freeze=amplitudes,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        log_ratios=log_ratios,
        modulus=modulus,
    )


def _antisymmetric(a_nn: Array) -> Array:
    return (a_nn - a_nn.T) / 2


def _first(
    n_fermions: Sequence[int], orbitals: Sequence[NDArray[np.number]], pairs: Pairs
) -> tuple[NDArray[np.number], NDArray[np.number]]:
    """The pair amplitudes and the orbitals of unpaired fermions of a Slater determinant."""
    if pairs != "all":
        (phi_up, phi_down), most = orbitals if len(orbitals) == 2 else (orbitals[0],) * 2, min(n_fermions)
        major = phi_up if n_fermions[0] >= n_fermions[1] else phi_down
        f = phi_up[:, :most] @ phi_down[:, :most].T
        return f if pairs == "opposite" else f[np.triu_indices(len(f))], major[:, most:]
    n_modes = sum(phi.shape[0] for phi in orbitals)
    columns, start = [], 0
    for phi in orbitals:
        padded = np.zeros((n_modes, phi.shape[1]), phi.dtype)
        padded[start : start + len(phi)] = phi
        columns.append(padded.T)
        start += len(phi)
    if len(columns) == 2:  # k of one spin with k of the other, the rest among themselves
        most = min(n_fermions)
        paired = np.stack([columns[0][:most], columns[1][:most]], axis=1).reshape(2 * most, n_modes)
        order = np.concatenate([paired, columns[0][most:], columns[1][most:]])
    else:
        order = np.concatenate(columns)
    even = len(order) // 2 * 2
    f_MM = order[:even:2].T @ order[1:even:2]
    f_MM = f_MM - f_MM.T
    return f_MM[np.triu_indices(n_modes, k=1)], order[even:].T
