"""Signs of permutations of modes, against creation operators that are moved to their places one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.system.exchange import image, masks, odd, odd_change, one_sign
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


@pytest.mark.parametrize("n", [7, 32, 70])
def test_signs_by_masks(n):
    """Of states and of moves, of as many modes as one word has bits and of more, the same in NumPy and jax."""
    rng = np.random.default_rng(n)
    perms = np.array([rng.permutation(n) for _ in range(5)])
    later, either = masks(perms), masks(perms, both=True)
    moved = jax.jit(lambda s, sites, deltas: odd_change(jnp.asarray(later), jnp.asarray(either), s, sites, deltas))

    def wanted(s):
        return [created([int(perm[mode]) for mode in np.flatnonzero(s)])[0] < 0 for perm in perms]

    for _ in range(10):
        s = rng.integers(0, 2, n).astype(np.int8)
        sites = np.append(rng.choice(n, 3, replace=False), 0).astype(np.int32)  # and a pad
        deltas = np.append(1 - 2 * s[sites[:3]], 0).astype(np.int8)
        new = s.copy()
        np.add.at(new, sites, deltas)
        assert odd(later, s).tolist() == wanted(s)
        change = odd_change(later, either, s, sites, deltas)
        assert (np.array(wanted(s)) ^ change).tolist() == wanted(new)
        assert np.array_equal(moved(s, sites, deltas), change)
