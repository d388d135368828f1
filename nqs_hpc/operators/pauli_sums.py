"""Local values of many sums of Pauli strings at once, which share all their ratios: correlators of all pairs, say.

    A_d = sum_t C_dt P_t,      A_d,loc(s) = sum_t C_dt phase_t sign_t(s) psi(s^t) / psi(s),

with s^t the state that P_t leads to from s (`pauli`). All strings that flip the same sites share one ratio, whichever
sums they are in; strings of only Z need none. A ratio is asked for where it counts: where its flip stays in the space
of the ansatz, and the coefficients of some sum do not cancel (XX + YY on parallel spins). Means over samples are means
of the distinct strings first, to which the coefficients come at the end.

The sums are given as they are written, physically; signs of basis states (`basis_change`) turn into signs of flips.
Of fermions the strings are those of Jordan and Wigner (`system.fermion_strings`), an occupied mode Z = -1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.operators.local import flip_moves
from nqs_hpc.operators.local_values import living_ratios, pairs_at_once
from nqs_hpc.operators.pauli import NOISE, bit_masks, down_spins, read_string, string_signs
from nqs_hpc.operators.projected import projected
from nqs_hpc.parallel.chunk import activations, chunked, chunked_map, even_part
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import Hilbert, groups, is_restricted
from nqs_hpc.types import Ansatz, Local, Move, Operator, PauliString, Tree

PATTERNS = 4  # of coefficients on one flip; of more it is not worth asking whether all of them cancel
TOGETHER = 2**28  # bytes of all that the ratios of some samples make on their way, of which a fifth lives at a time
DENSE = 16  # a sum of more than a sixteenth of all strings is a product with a row of them
BLOCK = 2**23  # bytes of what is held of the samples of one block, at most: they stay in the cache of a core

String = tuple[tuple[int, ...], tuple[int, ...]]  # the sites it flips, and those whose spins enter its sign
Strings = dict[String, complex]  # a sum of them


class Rows(NamedTuple):
    """Sums of about as many strings each, padded with coefficients 0."""

    sum_d: NDArray[np.int32]  # which sums they are
    string_dT: NDArray[np.int32]
    c_dT: NDArray[np.complex128]


class Tables(NamedTuple):
    """The distinct strings U, first those of only Z, then by the flips K that they share."""

    masks_UW: NDArray[np.uint32]  # of the sites whose spins enter the sign
    flip_V: NDArray[np.int32]  # which flip, of the strings after those of Z
    sites_KF: NDArray[np.int32]
    real_KF: NDArray[np.bool_]
    always_K: NDArray[np.bool_]  # whether some sum needs the ratio whatever the state
    pattern_masks_KQTW: NDArray[np.uint32]  # of the strings of a flip in Q sums, up to a factor
    pattern_c_KQT: NDArray[np.complex128]
    rows: tuple[Rows, ...]


def pauli_sums(sums: Sequence[Sequence[PauliString]], basis: Basis, *, chunk: int | None, memory: int) -> Local:
    """The local values (B, D) of D sums, float64 or, where the ansatz or a coefficient is, complex128.

    ``basis`` is that of the ansatz, of spins 1/2 or of modes of fermions: what leads out of its space counts 0.
    ``chunk`` bounds how many configurations the network sees at a time, as in `local_values`; ``memory``, in bytes,
    what is held of the samples of a block besides. ``binned`` never holds the values of more than a block.
    """
    assert basis.hilbert.local_values in ((1, -1), (0, 1))
    first = basis.hilbert.local_values[0]
    tables = read_sums(sums, basis)
    n_sums, n_strings = len(sums), len(tables.masks_UW)
    n_flips, n_diagonal = len(tables.sites_KF), len(tables.masks_UW) - len(tables.flip_V)
    is_real = not any(rows.c_dT.imag.any() for rows in tables.rows)
    connected = flips(tables, basis)
    held = n_flips * (5 * tables.sites_KF.shape[1] + 32) + 48 * n_strings + 16 * n_sums  # bytes a sample

    def samples_at_once(n: int) -> int:
        return even_part(n, max(1, min(chunk or n, n, min(BLOCK, memory // 8) // held)))

    def ratios(ansatz: Ansatz, frozen: Tree, s_bN: Array, pairs: int) -> Array:
        """psi(s') / psi(s) of all flips, 0 of those that do not count: (b, K)."""
        if ansatz.whole:
            moves_bKF, elements_bK = jax.vmap(connected)(s_bN)
            return living_ratios(ansatz, frozen, s_bN, moves_bKF, elements_bK != 0, pairs)

        # a ratio without a forward pass costs less than to find out which of them are needed
        def of_sample(s_N: Array) -> Array:
            moves_KF, elements_K = connected(s_N)
            cache = ansatz.prepare(frozen, s_N)
            ratios_K = chunked(lambda some: ansatz.log_ratios(frozen, s_N, cache, some), moves_KF, pairs)
            return jnp.where(elements_K != 0, jnp.exp(ratios_K), 0)

        numbers = activations(jax.make_jaxpr(of_sample)(s_bN[0]).jaxpr)
        together = pairs // n_flips if chunk is not None else min(TOGETHER, memory // 8) // (8 * numbers)
        return chunked_map(of_sample, s_bN, max(1, together))

    def strings(ansatz: Ansatz, frozen: Tree, s_bN: Array, pairs: int) -> Array:
        """The local values of the strings, without their coefficients: (b, U)."""
        signs_bU = jax.vmap(lambda s_N: string_signs(tables.masks_UW, s_N, first))(s_bN)
        if not n_flips:
            return signs_bU.astype(float)
        ratios_bK = ratios(ansatz, frozen, s_bN, pairs)
        ratios_bK = ratios_bK.astype(jnp.result_type(ratios_bK, float))
        off_bV = signs_bU[:, n_diagonal:] * ratios_bK[:, tables.flip_V]
        return jnp.concatenate([signs_bU[:, :n_diagonal].astype(off_bV.dtype), off_bV], axis=1)

    def of_sums(strings_bU: Array, some: Sequence[int] | None = None) -> Array:
        """Every sum, or some of them, of what was found of its strings: (b, D)."""
        found = []
        every_row = tables.rows if some is None else tuple(only(rows, some) for rows in tables.rows)
        for rows in every_row:
            c_dT = rows.c_dT.real if is_real else rows.c_dT
            if DENSE * rows.c_dT.shape[1] >= n_strings:  # a few long sums: a product with a matrix gathers nothing
                c_dU = np.zeros((len(c_dT), n_strings), c_dT.dtype)
                np.add.at(c_dU, (np.arange(len(c_dT))[:, None], rows.string_dT), c_dT)
                found.append(strings_bU.astype(jnp.result_type(strings_bU, c_dU.dtype)) @ jnp.asarray(c_dU.T))
            else:
                found.append(jnp.sum(jnp.asarray(c_dT)[None, :, :] * strings_bU[:, rows.string_dT], axis=2))
        place_of = {d: at for at, d in enumerate(np.concatenate([rows.sum_d for rows in every_row]).tolist())}
        places = [place_of[d] for d in (range(n_sums) if some is None else some)]
        return jnp.concatenate(found, axis=1)[:, np.array(places, dtype=np.int32)]

    def pairs_of(ansatz: Ansatz, frozen: Tree, s_BN: Array) -> int:
        return pairs_at_once(ansatz, connected, frozen, s_BN[0], chunk) if n_flips else 0

    def prepare(ansatz: Ansatz) -> Callable[..., Array]:
        def values(frozen: Tree, s_BN: Array, time: Array | None = None) -> Array:
            del time
            pairs = pairs_of(ansatz, frozen, s_BN)
            some = samples_at_once(len(s_BN))
            return chunked(lambda s_bN: of_sums(strings(ansatz, frozen, s_bN, pairs)), s_BN, some)

        return values

    def binned(ansatz: Ansatz) -> Callable[..., tuple[Array, Array]]:
        def sums_of_bins(
            frozen: Tree, s_BN: Array, w_B: Array, bin_B: Array, n_bins: int, few: Sequence[int] = ()
        ) -> tuple[Array, Array]:
            pairs = pairs_of(ansatz, frozen, s_BN)
            some = samples_at_once(len(s_BN))
            pads = -len(s_BN) % some

            def of_block(sum_nU: Array, block: tuple[Array, Array, Array]) -> tuple[Array, Array]:
                s_bN, w_b, bin_b = block
                # states of weight 0 count as 0 even where psi vanishes and a ratio is not finite
                strings_bU = jnp.where(w_b[:, None] > 0, strings(ansatz, frozen, s_bN, pairs), 0)
                weights_nb = jnp.where(bin_b[None, :] == jnp.arange(n_bins)[:, None], w_b[None, :], 0)
                of_each_bF = of_sums(strings_bU, few) if few else jnp.zeros((some, 0), strings_bU.dtype)
                return sum_nU + weights_nb.astype(strings_bU.dtype) @ strings_bU, of_each_bF

            blocks = (
                jnp.pad(s_BN, ((0, pads), (0, 0)), mode="edge").reshape(-1, some, s_BN.shape[1]),
                jnp.pad(w_B, (0, pads)).reshape(-1, some),
                jnp.pad(bin_B, (0, pads)).reshape(-1, some),
            )
            dtype = jax.eval_shape(lambda s_bN: strings(ansatz, frozen, s_bN, pairs), blocks[0][0]).dtype
            sum_nU, of_each = jax.lax.scan(of_block, jnp.zeros((n_bins, n_strings), dtype), blocks)
            return of_sums(sum_nU), of_each.reshape(of_each.shape[0] * some, len(few))[: len(s_BN)]

        return sums_of_bins

    return Local(prepare, binned)


def only(rows: Rows, some: Sequence[int]) -> Rows:
    """Those of the rows that are of some sums."""
    kept = np.isin(rows.sum_d, some)
    return Rows(rows.sum_d[kept], rows.string_dT[kept], rows.c_dT[kept])


def flips(tables: Tables, basis: Basis) -> Callable[[Array], tuple[Move, Array]]:
    """``s_N -> (moves, elements)`` of all flips: an element is 1 where the ratio counts, else 0 with no move."""
    n_flips, first = len(tables.sites_KF), basis.hilbert.local_values[0]
    flip_sets = [set(row[real].tolist()) for row, real in zip(tables.sites_KF, tables.real_KF, strict=True)]
    fixed = []
    for group in groups(basis.hilbert):
        if group.total is not None:
            inside = [tuple(flipped.intersection(group.sites)) for flipped in flip_sets]
            n_inside = np.array([len(sites) for sites in inside], dtype=np.uint32)
            fixed.append((bit_masks(basis.hilbert.n_sites, inside), n_inside))
    size_KQ = np.sum(np.abs(tables.pattern_c_KQT), axis=2)
    c_KQT = tables.pattern_c_KQT if tables.pattern_c_KQT.imag.any() else tables.pattern_c_KQT.real
    always_K = tables.always_K | counts_within(tables, basis.hilbert)

    def connected(s_N: Array) -> tuple[Move, Array]:
        alive_K = jnp.asarray(always_K)
        if not always_K.all():
            elements_KQ = jnp.sum(jnp.asarray(c_KQT) * string_signs(tables.pattern_masks_KQTW, s_N, first), axis=2)
            alive_K = alive_K | jnp.any(jnp.abs(elements_KQ) > jnp.asarray(NOISE * size_KQ), axis=1)
        for masks_KW, n_K in fixed:  # half of the flipped spins are down: the total stays
            alive_K = alive_K & (2 * down_spins(masks_KW, s_N, first) == jnp.asarray(n_K))
        return flip_moves(tables.sites_KF, tables.real_KF, s_N, alive_K, first), alive_K.astype(float)

    every = Operator(lambda s_N: jnp.zeros(()), connected, n_flips, is_real=True, e_infinity=0.0)
    return projected(every, basis.hilbert).connected if is_restricted(basis.hilbert) else connected


def counts_within(tables: Tables, hilbert: Hilbert) -> NDArray[np.bool_]:
    """Which flips (K,) count wherever they stay in the space: of two spins in one fixed total, which are antiparallel
    there, those with strings that see the same others, if any, and do not cancel then (XX + YY, the hop of a fermion).
    """
    fixed = [set(group.sites) for group in groups(hilbert) if group.total is not None]
    found = np.zeros(len(tables.sites_KF), dtype=np.bool_)
    masks_KF = bit_masks(
        hilbert.n_sites, [tuple(row[real]) for row, real in zip(tables.sites_KF, tables.real_KF, strict=True)]
    )
    for k, (sites, real) in enumerate(zip(tables.sites_KF, tables.real_KF, strict=True)):
        flipped = set(sites[real].tolist())
        if len(flipped) != 2 or not any(flipped <= group for group in fixed):
            continue
        masks_QTW, c_QT = tables.pattern_masks_KQTW[k], tables.pattern_c_KQT[k]
        own_QTW, others_QTW = masks_QTW & masks_KF[k], masks_QTW & ~masks_KF[k]
        none_QT, both_QT = ~own_QTW.any(axis=2), (own_QTW == masks_KF[k]).all(axis=2)
        same_QT = (others_QTW == others_QTW[:, :1]).all(axis=2)  # the first string of a sum is not a pad
        if np.all((none_QT | both_QT) & same_QT | (c_QT == 0)):
            at_antiparallel_Q = np.sum(c_QT * np.where(none_QT, 1, -1), axis=1)
            found[k] = bool(np.any(np.abs(at_antiparallel_Q) > NOISE * np.sum(np.abs(c_QT), axis=1)))
    return found


def read_sums(sums: Sequence[Sequence[PauliString]], basis: Basis) -> Tables:
    """The distinct strings of all sums, equal ones of one sum added up, and which are in which sum."""
    n_sites = basis.hilbert.n_sites
    down = set() if basis.signs_N is None else set(np.flatnonzero(basis.signs_N < 0).tolist())
    terms: list[Strings] = []
    for strings in sums:
        terms.append(defaultdict(complex))
        for string in strings:
            flipped, signs, phase = read_string(string)
            terms[-1][flipped, signs] += string.coefficient * phase * (-1) ** len(down.intersection(flipped))
    distinct = sorted({string for own in terms for string in own})  # no flips sorts first
    number = {string: u for u, string in enumerate(distinct)}
    flip_sets = sorted({flipped for flipped, _ in distinct if flipped})
    flip_of = {flipped: k for k, flipped in enumerate(flip_sets)}

    sites_KF = np.zeros((len(flip_sets), max(map(len, flip_sets), default=1)), dtype=np.int32)
    real_KF = np.zeros(sites_KF.shape, dtype=bool)
    for k, flipped in enumerate(flip_sets):
        sites_KF[k, : len(flipped)] = flipped
        real_KF[k, : len(flipped)] = True
    always_K, masks_KQTW, c_KQT = patterns(n_sites, terms, flip_of)
    return Tables(
        bit_masks(n_sites, [signs for _, signs in distinct]),
        np.array([flip_of[flipped] for flipped, _ in distinct if flipped], dtype=np.int32),
        sites_KF,
        real_KF,
        always_K,
        masks_KQTW,
        c_KQT,
        rows_of(terms, number),
    )


def patterns(
    n_sites: int, terms: list[Strings], flip_of: dict[tuple[int, ...], int]
) -> tuple[NDArray[np.bool_], NDArray[np.uint32], NDArray[np.complex128]]:
    """The flips whose ratio some sum always needs, having one string of them, and for the others the sums of strings
    that have to vanish all for the ratio not to count: masks (K, Q, T, words), coefficients (K, Q, T).
    """
    found: list[set[tuple[tuple[tuple[int, ...], complex], ...]]] = [set() for _ in flip_of]
    for own in terms:
        by_flip = defaultdict(list)
        for (flipped, signs), c in sorted(own.items()):
            if flipped:
                by_flip[flip_of[flipped]].append((signs, c))
        for k, group in by_flip.items():
            largest = max((c for _, c in group), key=abs)
            if largest:  # one factor for all: sums that vanish together are one
                found[k].add(tuple((signs, complex(np.round(c / largest, 12))) for signs, c in group if c))
    always_K = np.array([len(own) > PATTERNS or any(len(row) == 1 for row in own) for own in found], dtype=bool)
    kept = [() if always else tuple(sorted(own, key=str)) for own, always in zip(found, always_K, strict=True)]
    shape = (
        len(kept),
        max((len(own) for own in kept), default=0),
        max((len(row) for own in kept for row in own), default=0),
    )
    c_KQT, masks_KQTW = np.zeros(shape, dtype=complex), np.zeros((*shape, bit_masks(n_sites, []).shape[1]), np.uint32)
    for k, group_rows in enumerate(kept):
        for q, row in enumerate(group_rows):
            c_KQT[k, q, : len(row)] = [c for _, c in row]
            masks_KQTW[k, q, : len(row)] = bit_masks(n_sites, [signs for signs, _ in row])
    return always_K, masks_KQTW, c_KQT


def rows_of(
    terms: list[Strings],
    number: dict[String, int],
) -> tuple[Rows, ...]:
    """The sums by the power of two that their length reaches: no row is padded to more than twice its length."""
    by_size = defaultdict(list)
    for d, own in enumerate(terms):
        by_size[(max(1, len(own)) - 1).bit_length()].append(d)
    found = []
    for group in by_size.values():
        width = max(1, *(len(terms[d]) for d in group))
        string_dT, c_dT = np.zeros((len(group), width), dtype=np.int32), np.zeros((len(group), width), dtype=complex)
        for row, d in enumerate(group):
            string_dT[row, : len(terms[d])] = [number[string] for string in terms[d]]
            c_dT[row, : len(terms[d])] = list(terms[d].values())
        found.append(Rows(np.array(group, dtype=np.int32), string_dT, c_dT))
    return tuple(found)
