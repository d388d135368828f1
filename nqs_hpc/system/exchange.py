"""The sign of a fermion state under a permutation of modes: that of sorting the images of the occupied modes.

    g c^dagger_{m_1} ... c^dagger_{m_n} |0> = c^dagger_{g m_1} ... c^dagger_{g m_n} |0> = sign(g, s) |g s>,
    sign(g, s) = (-1)^q,     q = sum_{i < j} n_i n_j [g i > g j],

for creation operators in the order of the modes. g acts on states by a representation of the group, and a wave function
of the character chi obeys

    sign(g, s) psi(g s) = chi(g) psi(s),     psi_chi(s) = (d / |G|) sum_g chi*(g) sign(g, s) psi(g s).

q is a quadratic form of bits. Let the bits of the mask I_i be the modes j > i that g moves in front of mode i, and
those of B_i all modes whose order with i changes. Then for a state s, and for s' in which the modes m are changed,

    q(s) = |(XOR_{i in s} I_i) AND s|,     q(s') = q(s) + |(XOR_{i in m} B_i) AND s| + |(XOR_{i in m} I_i) AND m|

modulo 2. For G elements and N modes in W = N / 32 words a state costs G N W operations on words, a move of F modes
G F W. `odd` and `odd_change` accept arrays of NumPy or jax.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.hilbert import Hilbert, base_state, groups

BITS = 32  # of a word of a mask


def inversions(perm: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(N, N) whether i < j and the permutation (N,) moves i behind j."""
    return np.triu(perm[:, None] > perm[None, :], 1)


def masks(perms: NDArray[np.integer], *, both: bool = False) -> NDArray[np.uint32]:
    """(G, N, W) the masks I of each permutation (G, N), mode j in bit j % 32 of word j // 32; with ``both`` the masks
    B."""
    n_modes = perms.shape[1]
    places_NW = _places(np.arange(n_modes), -(-n_modes // BITS))
    found = np.zeros((len(perms), *places_NW.shape), dtype=np.uint32)
    for g, perm in enumerate(perms):
        rows_NN = inversions(perm)
        rows_NN = rows_NN | rows_NN.T if both else rows_NN
        found[g] = rows_NN.astype(np.int64) @ places_NW.astype(np.int64)  # sums of different bits
    return found


def odd(masks_GNW: Any, s_N: Any) -> Any:
    """(G,) bool whether the sign of each element is -1 in the state s; from the masks I."""
    bits_N = (s_N & 1).astype(np.uint32)
    words_W = (bits_N[:, None] * _places(np.arange(len(s_N)), masks_GNW.shape[2])).sum(axis=0, dtype=np.uint32)
    return _is_odd(_xor(bits_N[None, :, None] * masks_GNW) & words_W[None, :])


def odd_change(later_GNW: Any, either_GNW: Any, s_N: Any, sites_F: Any, deltas_F: Any) -> Any:
    """(G,) bool whether a move of the state s changes the sign of each element; from the masks I and B."""
    bits_N, moved_F = (s_N & 1).astype(np.uint32), (deltas_F & 1).astype(np.uint32)
    n_words = later_GNW.shape[2]
    words_W = (bits_N[:, None] * _places(np.arange(len(s_N)), n_words)).sum(axis=0, dtype=np.uint32)
    moved_W = (moved_F[:, None] * _places(sites_F, n_words)).sum(axis=0, dtype=np.uint32)
    with_others_GW = _xor(moved_F[None, :, None] * either_GNW[:, sites_F]) & words_W[None, :]
    return _is_odd(with_others_GW ^ (_xor(moved_F[None, :, None] * later_GNW[:, sites_F]) & moved_W[None, :]))


def _places(sites: Any, n_words: int) -> Any:
    """(F, W) the bit of each site in its word."""
    bit_F = np.uint32(1) << (sites % BITS).astype(np.uint32)
    return (sites[:, None] // BITS == np.arange(n_words)[None, :]).astype(np.uint32) * bit_F[:, None]


def _xor(masks: Any) -> Any:
    """The XOR of masks (G, F, W) over F."""
    last = masks[:, :0].sum(axis=1, dtype=np.uint32)
    while masks.shape[1]:
        half = masks.shape[1] // 2
        if masks.shape[1] % 2:
            last = last ^ masks[:, -1]
        masks = masks[:, :half] ^ masks[:, half : 2 * half]
    return last


def _is_odd(words_GW: Any) -> Any:
    """Whether the number of bits of each row is odd."""
    folded = _xor(words_GW[:, :, None])[:, 0]
    for shift in (16, 8, 4, 2, 1):
        folded = folded ^ (folded >> np.uint32(shift))
    return folded & np.uint32(1) == 1


def image(
    hilbert: Hilbert, perm: NDArray[np.integer], flip: int, s_BN: NDArray[np.int8]
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """g s of configurations (B, N), and its sign (B,), 1 if the sites are not modes of fermions.

    ``perm`` (N,) says where sites go; all spins are flipped if ``flip`` is -1.
    """
    moved_BN = flip * s_BN[:, np.argsort(perm)]
    if not hilbert.fermionic:
        return moved_BN, np.ones(len(s_BN), dtype=np.int8)
    n_BN = s_BN.astype(np.float32)  # sums of bits are exact, and matrix products are fast
    odd_B = (np.einsum("bi,bi->b", n_BN @ inversions(perm).astype(np.float32), n_BN).astype(np.int64) % 2).astype(bool)
    return moved_BN, np.where(odd_B, -1, 1).astype(np.int8)


def one_sign(hilbert: Hilbert, perms: NDArray[np.integer]) -> NDArray[np.int8]:
    """sign(g, s) of each permutation (G, N) if it is the same for all states: +1 or -1, else 0.

    Exclusions are ignored: the result may be 0 although the sign differs only on excluded states.
    """
    if not hilbert.fermionic:
        return np.ones(len(perms), dtype=np.int8)
    base_BN = base_state(hilbert._replace(excluded=()))[None]
    found = np.zeros(len(perms), dtype=np.int8)
    for g, perm in enumerate(perms):
        if _is_one(hilbert, inversions(perm)):
            found[g] = image(hilbert, perm, 1, base_BN)[1][0]
    return found


def _is_one(hilbert: Hilbert, rows_NN: NDArray[np.bool_]) -> bool:
    """Whether q is the same for all states. Hops between neighbours in the list of a group's modes, and filling single
    modes if no total is fixed, connect all states, so it is enough that none of these changes q.
    """
    either_NN = rows_NN | rows_NN.T
    sets = [(list(sites), total) for sites, total in groups(hilbert)]
    for sites, total in sets:
        steps: list[tuple[int, ...]] = []
        if total is None:
            steps = [(site,) for site in sites]
        elif 0 < total < len(sites):
            steps = list(pairwise(sites))
        for step in steps:
            change_N = np.logical_xor.reduce(either_NN[list(step)])  # the change of q, for each other occupied mode
            if not _is_even(change_N, sets, step):
                return False
    return True


def _is_even(change_N: NDArray[np.bool_], sets: list[tuple[list[int], int | None]], step: tuple[int, ...]) -> bool:
    """Whether the number of occupied modes with a change is even in all states that allow ``step``."""
    odd = 0
    for sites, total in sets:
        others = [site for site in sites if site not in step]
        inside = change_N[others]
        if total is None:
            if inside.any():
                return False
            continue
        left = total - (1 if len(others) < len(sites) else 0)  # one fermion of this group takes part in the step
        if 0 < left < len(others) and inside.any() and not inside.all():
            return False
        odd += min(left, int(inside.sum()))  # all or none, if not every mode is filled
    return odd % 2 == 0
