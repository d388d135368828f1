"""Signs of permutations of modes, against creation operators that are moved to their places one by one."""

import numpy as np
import pytest

from nqs_hpc.system.exchange import image, masks, one_sign
from nqs_hpc.system.hilbert import codes, decode
from nqs_hpc.system.spaces import fermions, spinless_fermions
from tests.fermions import created

SPACES = [
    fermions(3, 1, 2),
    fermions(3, 2, 2),
    fermions(4, 3, 3),
    fermions(3, 3, 2),
    fermions(3, None, None),
    spinless_fermions(6, 1),
    spinless_fermions(6, 3),
    spinless_fermions(6, 5),
    spinless_fermions(6, 6),
]


def permutations(n: int) -> list[np.ndarray]:
    """Random ones, and some whose sign is the same for all states of some spaces."""
    rng = np.random.default_rng(0)
    ring = np.roll(np.arange(n // 2), 1)
    layers = [np.concatenate([ring, ring + n // 2]), np.concatenate([ring + n // 2, ring])]
    return [np.arange(n), np.roll(np.arange(n), 1), *layers, *(rng.permutation(n) for _ in range(15))]


@pytest.mark.parametrize("space", SPACES)
def test_signs_of_states_and_of_spaces(space):
    states = decode(space, codes(space))
    for perm in permutations(space.n_sites):
        found = [created([int(perm[mode]) for mode in np.flatnonzero(s)]) for s in states]
        moved, sign = image(space, perm, 1, states)
        assert sign.tolist() == [one for one, _ in found]
        assert [tuple(np.flatnonzero(s)) for s in moved] == [modes for _, modes in found]
        assert one_sign(space, perm[None])[0] == (sign[0] if len(set(sign.tolist())) == 1 else 0)


def test_masks_are_the_pairs_that_are_exchanged():
    perm = np.random.default_rng(1).permutation(70)
    for both in (False, True):
        words = masks(perm[None], both=both)[0]
        assert words.shape == (70, 3)
        bits = np.array([[words[i, j // 32] >> np.uint32(j % 32) & 1 for j in range(70)] for i in range(70)], bool)
        for i in range(70):
            for j in range(70):
                assert bits[i, j] == ((i < j or both) and (i - j) * (perm[i] - perm[j]) < 0)
