"""Any sum of Pauli strings with real coefficients,

    H = sum_t c_t prod_{i in X_t} sx_i prod_{i in Y_t} sy_i prod_{i in Z_t} sz_i.

Strings that flip the same sites, those of X_t and Y_t, lead to the same state s': they share one move, and their
elements are added. From sy |up> = i |down> and sy |down> = -i |up> follows <s|sy|-s> = -i s, so with s as the row

    <s|H|s'> = sum_t c_t (-i)^|Y_t| prod_{i in Y_t or Z_t} s_i.

The products are parities: the spins are packed into bits, 32 sites to a word, and the sign of a string is the parity of
the down spins under its mask. A string costs N / 32 words however long it is, and Jordan-Wigner strings are long.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.operators.local import flip_moves
from nqs_hpc.types import Move, Operator, PauliString

WORD = 32  # sites in one word
NOISE = 1e-12  # of the sum of |c_t| of one element, below which it counts as zero


def pauli(n_sites: int, strings: Sequence[PauliString], *, first: int = 1) -> Operator:
    """The sum of ``strings``; one without operators is a constant. K is the number of distinct sets of flipped sites.

    Of sites of +1 and -1, or with ``first`` 0 of occupations 0 and 1, which are Z = +1 and -1: the local value that is
    called first is up.

    Real where every string has an even number of Y, else the elements are complex. An element whose terms cancel to
    within ``NOISE`` is zero, so that XX and YY with coefficients equal but for rounding conserve the magnetisation.
    """
    # flipped sites -> sites whose spin enters the sign -> coefficient with the phase of its Y
    groups: dict[tuple[int, ...], dict[tuple[int, ...], complex]] = defaultdict(lambda: defaultdict(complex))
    for string in strings:
        flips, signs, phase = read_string(string)
        groups[flips][signs] += string.coefficient * phase
    diagonal_strings = groups.pop((), {})
    diagonal_masks = bit_masks(n_sites, diagonal_strings)
    diagonal_c = np.array(list(diagonal_strings.values()), dtype=complex).real

    flip_sets = sorted(groups)
    n_connected = len(flip_sets)
    sites_KF = np.zeros((n_connected, max(map(len, flip_sets), default=1)), dtype=np.int32)
    real_KF = np.zeros(sites_KF.shape, dtype=bool)
    # one row for each move, padded with coefficients 0: sums of unequal length would be a scatter, slow on CPUs
    c_KT = np.zeros((n_connected, max(map(len, groups.values()), default=0)), dtype=complex)
    masks_KTW = np.zeros((*c_KT.shape, diagonal_masks.shape[1]), dtype=np.uint32)
    for k, flips in enumerate(flip_sets):
        terms = groups[flips]
        sites_KF[k, : len(flips)] = flips
        real_KF[k, : len(flips)] = True
        c_KT[k, : len(terms)] = list(terms.values())
        masks_KTW[k, : len(terms)] = bit_masks(n_sites, terms)
    is_real = not np.any(c_KT.imag)
    if is_real:
        c_KT = c_KT.real
    noise_K = NOISE * np.sum(np.abs(c_KT), axis=1)

    def diagonal(s_N: Array) -> Array:
        return jnp.sum(jnp.asarray(diagonal_c) * string_signs(diagonal_masks, s_N, first))

    def connected(s_N: Array) -> tuple[Move, Array]:
        elements_K = jnp.sum(jnp.asarray(c_KT) * string_signs(masks_KTW, s_N, first), axis=1)
        alive_K = jnp.abs(elements_K) > jnp.asarray(noise_K)
        return flip_moves(sites_KF, real_KF, s_N, alive_K, first), jnp.where(alive_K, elements_K, 0.0)

    def connected_some(s_N: Array, start: Array, size: int) -> tuple[Move, Array]:
        number_k = start + jnp.arange(size, dtype=jnp.int32)
        row_k = jnp.minimum(number_k, n_connected - 1)
        c_kT, masks_kTW, noise_k, sites_kF, real_kF = (
            jnp.asarray(x)[row_k] for x in (c_KT, masks_KTW, noise_K, sites_KF, real_KF)
        )
        elements_k = jnp.sum(c_kT * string_signs(masks_kTW, s_N, first), axis=1)
        alive_k = (jnp.abs(elements_k) > noise_k) & (number_k < n_connected)
        return flip_moves(sites_kF, real_kF, s_N, alive_k, first), jnp.where(alive_k, elements_k, 0.0)

    e_infinity = sum(string.coefficient for string in strings if not string.operators)
    may_vanish = any(len(terms) > 1 for terms in groups.values())  # a single string has elements of one size
    largest = sum(abs(string.coefficient) for string in strings if string.operators)
    bounds = (float(e_infinity - largest), float(e_infinity + largest))
    return Operator(
        diagonal,
        connected,
        n_connected,
        is_real,
        float(e_infinity),
        may_vanish,
        bounds,
        connected_some=connected_some if n_connected > 0 else None,
    )


def read_string(string: PauliString) -> tuple[tuple[int, ...], tuple[int, ...], complex]:
    """The sites a string flips, the sites whose spin enters its sign, both sorted, and the phase (-i)^(number of Y)."""
    assert len(set(string.sites)) == len(string.sites) == len(string.operators)
    pairs = sorted(zip(string.sites, string.operators, strict=True))
    flips = tuple(site for site, operator in pairs if operator in "XY")
    signs = tuple(site for site, operator in pairs if operator in "YZ")
    return flips, signs, (1, -1j, -1, 1j)[string.operators.count("Y") % 4]


def bit_masks(n_sites: int, site_sets: Iterable[tuple[int, ...]]) -> np.ndarray:
    """One row of words for each set of sites, with the bits of its sites set: (n_sets, words) uint32."""
    sets = list(site_sets)
    masks = np.zeros((len(sets), -(-n_sites // WORD)), dtype=np.uint32)
    for row, sites in zip(masks, sets, strict=True):
        for site in sites:
            row[site // WORD] |= np.uint32(1 << (site % WORD))
    return masks


def string_signs(masks: np.ndarray | Array, s_N: Array, first: int = 1) -> Array:
    """prod_{i in mask} s_i of each mask: (..., words) uint32, s_N int8 of +1 and -1 -> (...) int32 of +1 and -1; of
    occupations, ``first`` 0, (-1)^{n_i} for s_i.
    """
    if (
        isinstance(masks, np.ndarray) and not masks.any()
    ):  # only strings of X: leave XLA no constants of the size of a batch to fold
        return jnp.ones(masks.shape[:-1], dtype=jnp.int32)
    return 1 - 2 * (down_spins(masks, s_N, first) & 1).astype(jnp.int32)


def down_spins(masks: np.ndarray | Array, s_N: Array, first: int = 1) -> Array:
    """How many spins are down under each mask, or sites occupied where ``first`` is 0: (..., words) uint32, s_N int8 of
    +1 and -1, or of 0 and 1 -> (...) uint32.
    """
    n_words = masks.shape[-1]
    down = jnp.pad(s_N < 0 if first == 1 else s_N > 0, (0, n_words * WORD - s_N.shape[0])).reshape(n_words, WORD)
    words = jnp.sum(down * (np.uint32(1) << np.arange(WORD, dtype=np.uint32))[None, :], axis=1, dtype=jnp.uint32)
    n_down = jnp.zeros(masks.shape[:-1], jnp.uint32)
    for w in range(n_words):  # a sum over so short a last axis is not vectorised
        n_down = n_down + jax.lax.population_count(jnp.asarray(masks[..., w]) & words[w])
    return n_down
