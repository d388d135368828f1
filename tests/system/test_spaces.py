"""Blocks, exclusions and longer spins against filtering all configurations by hand."""

from itertools import accumulate, combinations, product
from math import comb

import numpy as np
import pytest

from nqs_hpc.system.hilbert import (
    Block,
    Hilbert,
    base_state,
    bosons,
    codes,
    decode,
    degrees,
    dimension,
    dimension_up_to,
    encode,
    is_whole,
    members,
    named_total,
    only_total,
    places,
    spin_half,
    violates,
)
from nqs_hpc.system.spaces import constrained, fermions, paths, spin, spinless_fermions

CHAIN = [(i, i + 1) for i in range(5)]
RING = [*CHAIN, (5, 0)]
GRID = [(0, 1), (2, 3), (4, 5), (0, 2), (2, 4), (1, 3), (3, 5)]  # 2 x 3
SPACES = {
    "fermions": fermions(3, 2, 1),
    "one kind": fermions(3, None, 1),
    "t-J": fermions(4, 2, 1, double=False),
    "blockade": constrained(spin_half(6), excluded=CHAIN),
    "blockade, ring, total": constrained(spin_half(6, 2), excluded=RING),
    "blockade, grid": constrained(spin_half(6), excluded=GRID),
    "hard core": constrained(bosons(6, 2, 4), excluded=GRID),
    "blocks of bosons": constrained(bosons(5, 2), blocks=[Block((4, 0), 3), Block((1, 3), 1)]),
    "block and total": constrained(bosons(5, 2, 6), blocks=[Block((4, 0), 3)]),
    "blocks and blockade": constrained(Hilbert(5, (0, 1)), blocks=[Block((0, 2, 4), 2)], excluded=CHAIN[:4]),
    "uneven": constrained(Hilbert(4, (5, -3, 0)), blocks=[Block((0, 3), 2)], excluded=[(1, 2)]),
    "spin 1": spin(4, 2, 0),
    "spin 3/2": spin(3, 3, -1),
    "paths": paths(6, 2),
    "paths to 0": paths(6, 0),
    "paths, straight": paths(5, 5),
    "paths, any": paths(5),
    "paths, any, even": paths(6),
    "paths, one step": paths(1),
}


def by_hand(space: Hilbert) -> np.ndarray:
    """The states in the order of their codes, site 0 the fastest digit."""
    kept = []
    for digits in product(space.local_values, repeat=space.n_sites):
        s = digits[::-1]
        fits = space.total is None or sum(s) == space.total
        fits = fits and all(sum(s[i] for i in sites) == total for sites, total in space.blocks)
        fits = fits and not (space.paths and min(accumulate(s)) < 0)
        empty = space.local_values[0]
        if fits and not any(s[a] != empty and s[b] != empty for a, b in space.excluded):
            kept.append(s)
    return np.array(kept, dtype=np.int8)


@pytest.mark.parametrize("name", SPACES)
def test_states_of_a_space(name):
    space = SPACES[name]
    states = by_hand(space)
    assert dimension(space) == len(states) > 0
    assert np.array_equal(decode(space, codes(space)), states)
    assert np.array_equal(encode(space, states), codes(space))
    everything = np.array([s[::-1] for s in product(space.local_values, repeat=space.n_sites)], dtype=np.int8)
    inside = members(space, everything)
    assert inside.dtype == bool and np.array_equal(everything[inside], states)
    assert not members(space, states + 50).any()  # values that no site has
    assert members(space, base_state(space)) and base_state(space).dtype == np.int8
    for limit in (1, 5, 10**6):
        found = dimension_up_to(space, limit) if name != "uneven" else len(states)
        assert found == len(states) if len(states) <= limit else limit < found <= len(states)


def test_paths():
    """As many as Catalan's numbers count, on any number of sites; totals, and sums past an int8."""
    for n in (1, 2, 3, 10, 100):
        assert dimension(paths(2 * n, 0)) == comb(2 * n, n) // (n + 1) == dimension(paths(2 * n - 1, 1))
        assert dimension_up_to(paths(2 * n, 0), 10) == dimension(paths(2 * n, 0))
    assert dimension(paths(200)) == comb(200, 100) == sum(dimension(paths(200, t)) for t in range(0, 201, 2))
    up_then_down = np.repeat(np.array([1, -1, 1], np.int8), (200, 200, 20))
    assert members(paths(420, 20), up_then_down) and not members(paths(420, 20), up_then_down[::-1])
    for n, total in ((4, -2), (4, 1), (4, 6), (3, 0)):
        with pytest.raises(ValueError, match=f"have totals from {n % 2} to {n} in steps of 2"):
            paths(n, total)
    assert not is_whole(paths(1)) and named_total(paths(4, 2)) == 2
    with pytest.raises(ValueError, match="of paths, only with one total"):
        only_total(paths(4, 2), "x")


def test_fermions_are_two_blocks():
    space = fermions(6, 3, 2)
    assert dimension(space) == comb(6, 3) * comb(6, 2) and space.total == 5
    assert (decode(space, codes(space))[:, :6].sum(axis=1) == 3).all()
    assert dimension(fermions(6, 3, 2, double=False)) == comb(6, 3) * comb(3, 2)
    assert dimension(fermions(100, 50, 40, double=False)) == comb(100, 50) * comb(50, 40)
    assert fermions(6, None, None) == Hilbert(12, (0, 1), fermionic=True, layers=2)
    assert dimension_up_to(fermions(200, 100, 100), 10**9) > 10**9


def test_a_blockade_on_a_chain_has_as_many_states_as_fibonacci_counts():
    a, b = 1, 2
    for n in range(1, 60):
        assert dimension(constrained(spin_half(n), excluded=[(i, i + 1) for i in range(n - 1)])) == b
        a, b = b, a + b


def test_hard_squares_on_a_lattice():
    """Independent sets of the n x n grid, OEIS A006506."""
    for n, known in ((2, 7), (3, 63), (4, 1234), (5, 55447), (6, 5598861)):
        right = [(n * i + j, n * i + j + 1) for i in range(n) for j in range(n - 1)]
        up = [(n * i + j, n * i + j + n) for i in range(n - 1) for j in range(n)]
        assert dimension(constrained(spin_half(n * n), excluded=right + up)) == known


def test_what_takes_too_long_to_count_is_said_or_bounded(monkeypatch):
    all_pairs = list(combinations(range(40), 2))
    assert dimension(constrained(spin_half(40), excluded=all_pairs)) == 41
    n = 48
    spread = [(i, n + j) for i in range(n) for j in {i, (7 * i + 3) % n, (11 * i + 5) % n, (17 * i + 1) % n}]
    free = constrained(spin_half(2 * n), excluded=spread)
    fixed = constrained(spin_half(2 * n, 40), excluded=spread)
    assert dimension_up_to(free, 10**6) > 10**6 and dimension_up_to(fixed, 10**6) > 10**6
    assert members(free, base_state(free))
    monkeypatch.setattr("nqs_hpc.system.constraints.MOST_KEYS", 1000)
    for function, space in ((dimension, free), (dimension, fixed), (base_state, fixed)):
        with pytest.raises(ValueError, match="cannot be counted"):
            function(space)


def test_one_block_of_all_sites_is_a_total():
    assert constrained(bosons(4, 2), blocks=[Block((3, 2, 1, 0), 3)]) == bosons(4, 2, 3)
    assert constrained(spin_half(4, 0)) == spin_half(4, 0)
    assert is_whole(spin_half(4)) and not is_whole(spin_half(4, 0))
    assert not is_whole(SPACES["blockade"]) and not is_whole(SPACES["one kind"])


def test_spins():
    assert spin(4, 1) == spin_half(4) and spin(4, 1, 0) == spin_half(4, 0)
    assert spin(4, 2).local_values == (2, 0, -2)
    assert dimension(spin(6, 2, 0)) == 141  # the central trinomial coefficient
    for bad in (0, -1):
        with pytest.raises(ValueError, match=f"two_s={bad}"):
            spin(4, bad)
    with pytest.raises(ValueError, match="sector=1"):
        spin(4, 2, 1)


@pytest.mark.parametrize(
    "options, word",
    [
        ({"blocks": [Block((0, 1), 1), Block((1, 2), 1)]}, "disjoint"),
        ({"blocks": [Block((0, 9), 1)]}, "0 to 3"),
        ({"blocks": [Block((), 0)]}, "disjoint"),
        ({"blocks": [Block((0, 1), 5)]}, "sector=5: 2 sites"),
        ({"excluded": [(0, 0)]}, "two different sites"),
        ({"excluded": [(0, 4)]}, "0 to 3"),
    ],
)
def test_what_is_refused(options, word):
    with pytest.raises(ValueError, match=word):
        constrained(bosons(4, 2), **options)


def test_totals_that_contradict_each_other():
    with pytest.raises(ValueError, match="sector=3: the totals of the blocks sum to 2"):
        constrained(bosons(4, 2, 3), blocks=[Block((0, 1), 1), Block((2, 3), 1)])
    with pytest.raises(ValueError, match="sector=-1: 2 sites"):  # what is left for the other two
        constrained(bosons(4, 2, 1), blocks=[Block((0, 1), 2)])
    full = constrained(bosons(3, 1, 2), excluded=combinations(range(3), 2))
    for function in (codes, base_state):
        with pytest.raises(ValueError, match="no state of 3 sites"):
            function(full)
    assert dimension(full) == dimension_up_to(full, 5) == 0


def test_what_knows_one_total_refuses_more():
    assert only_total(spin_half(4, 0), "x") == 0
    for space in (SPACES["fermions"], SPACES["blockade"]):
        with pytest.raises(ValueError, match=r"^ansatz=masked_dense: not available"):
            only_total(space, "ansatz=masked_dense")


def test_exclusions_of_whole_batches():
    space = SPACES["blockade"]
    s = np.ones((2, 3, 6), dtype=np.int8)
    s[0, 1, 2:4] = -1
    assert violates(space, s).tolist() == [[False, True, False], [False] * 3]


def test_what_a_site_of_fermions_is():
    """Two modes with spin; of fermions a V-score counts how many there are, where that is fixed."""
    found = [(places(one), degrees(one), named_total(one)) for one in (
        fermions(8, 3, 4), fermions(8, 2, 1, double=False), fermions(8, None, None), spinless_fermions(8, 3),
        bosons(8, 2, 5), spin_half(8, 2),
    )]  # fmt: skip
    assert found == [(8, 7, (3, 4)), (8, 3, (2, 1)), (8, 8, None), (8, 3, 3), (8, 8, 5), (8, 8, 2)]
