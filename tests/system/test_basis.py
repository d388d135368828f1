"""The signs between the physical basis and that of an ansatz, against products over states."""

import itertools

import numpy as np
import pytest

from nqs_hpc.system.basis import Basis, sign_of_flip, signs_of_permutations, signs_of_states
from nqs_hpc.system.hilbert import Hilbert, bosons, codes, decode, spin_half
from nqs_hpc.system.spaces import spin

PERMS = np.array(list(itertools.permutations(range(4))))


@pytest.mark.parametrize(
    "space",
    [
        *(spin_half(4), spin_half(4, 0), spin_half(4, 2), bosons(4, 2), bosons(4, 2, 3)),
        *(spin(4, 2), spin(4, 2, 0), spin(4, 2, 2), spin(4, 3, -2)),
    ],
)
@pytest.mark.parametrize("signs", [[1, -1, 1, -1], [-1, -1, -1, -1], [1, -1, 1, 1]])
def test_the_sign_of_a_permutation_is_that_of_all_states(space: Hilbert, signs):
    basis = Basis(space, np.array(signs, dtype=np.int8))
    s = decode(space, codes(space))
    spins = min(space.local_values) < 0
    lowered = (max(space.local_values) - s.astype(int)) // 2 if spins else s.astype(int)  # S - m of a spin
    u = np.prod(np.where(np.array(signs) < 0, (-1) ** lowered, 1), axis=1)
    np.testing.assert_array_equal(signs_of_states(basis, s), u)
    for perm, sign in zip(PERMS, signs_of_permutations(basis, PERMS), strict=True):
        moved = np.empty_like(s)
        moved[:, perm] = s
        quotients = set((signs_of_states(basis, moved) * u).tolist())
        assert quotients == ({int(sign)} if sign else {1, -1}), perm
    if spins:
        assert set((signs_of_states(basis, -s) * u).tolist()) == {sign_of_flip(basis)}


def test_without_signs_nothing_changes():
    basis = Basis(spin_half(4))
    assert signs_of_permutations(basis, PERMS).tolist() == [1] * 24 and sign_of_flip(basis) == 1
    assert signs_of_states(basis, -np.ones((2, 4))).tolist() == [1, 1]
