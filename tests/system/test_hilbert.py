"""Hilbert spaces against binomials and against filtering all configurations."""

from itertools import product
from math import comb

import numpy as np
import pytest

from nqs_hpc.system.hilbert import (
    Hilbert,
    base_state,
    bosons,
    codes,
    decode,
    dimension,
    dimension_up_to,
    encode,
    spin_half,
)

VALUES = [(1, -1), (0, 1), (2, 0, -2), (0, 1, 2, 3), (5, -3, 0), (0, 7, 3), (4,)]


def all_states(n_sites, values):
    """Every configuration in the order of the codes: site 0 is the fastest digit."""
    return np.array([s[::-1] for s in product(values, repeat=n_sites)])


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("n_sites", [1, 2, 5])
def test_spaces_and_all_their_sectors(values, n_sites):
    everything = all_states(n_sites, values)
    space = Hilbert(n_sites, values)
    assert dimension(space) == len(values) ** n_sites
    assert codes(space).tolist() == list(range(len(everything)))
    states = decode(space, codes(space))
    assert states.dtype == np.int8 and (states == everything).all()
    sums = everything.sum(axis=1)
    for total in range(sums.min() - 2, sums.max() + 3):
        sector = Hilbert(n_sites, values, total)
        expected = np.nonzero(sums == total)[0]
        assert dimension(sector) == len(expected)
        if len(expected):
            found = codes(sector)
            assert found.dtype == np.int64 and found.tolist() == expected.tolist()
            assert encode(sector, everything[expected]).tolist() == expected.tolist()
            assert base_state(sector).dtype == np.int8
            assert base_state(sector).tolist() in everything[expected].tolist()
        else:
            for function in (codes, base_state):
                with pytest.raises(ValueError, match=f"^sector={total}: {n_sites} sites"):
                    function(sector)


def test_sectors_of_spins_are_binomials():
    for n, up in ((20, 10), (20, 3), (63, 2), (100, 50), (1000, 499)):
        assert dimension(spin_half(n, 2 * up - n)) == comb(n, up)
    assert dimension(spin_half(300)) == 2**300
    for n, up in ((20, 10), (20, 17), (63, 2)):
        found = codes(spin_half(n, 2 * up - n))
        assert len(found) == comb(n, up) and (np.diff(found) > 0).all() and found[0] >= 0
        assert (decode(spin_half(n), found).sum(axis=1) == 2 * up - n).all()


@pytest.mark.parametrize("values", [(1, -1), (0, 1), (2, 0, -2), (0, 1, 2, 3), tuple(range(8))])
@pytest.mark.parametrize("n_sites", [1, 2, 5, 9])
def test_dimensions_up_to_a_limit(values, n_sites):
    """Every sector, against the polynomial: exact up to the limit, and above it wherever the exact number is."""
    for total in (None, *range(n_sites * min(values) - 2, n_sites * max(values) + 3)):
        space = Hilbert(n_sites, values, total)
        exact = dimension(space)
        for limit in (1, 7, 10**6):
            found = dimension_up_to(space, limit)
            assert found == exact if exact <= limit else limit < found <= exact


def test_bosons_on_large_lattices_are_counted_at_once():
    n = 65536
    assert dimension_up_to(bosons(n, 4, 1), 10**9) == dimension_up_to(bosons(n, 4, 4 * n - 1), 10**9) == n
    assert dimension_up_to(bosons(n, 4, 2), 10**10) == comb(n, 2) + n
    assert dimension_up_to(bosons(n, 1, 2), 10**10) == comb(n, 2)
    assert dimension_up_to(bosons(n, 4, n), 10**10) > 10**10


def test_bit_zero_of_a_spin_is_up_and_site_zero_the_lowest():
    assert decode(spin_half(4), [0, 1, 8]).tolist() == [[1, 1, 1, 1], [-1, 1, 1, 1], [1, 1, 1, -1]]
    assert encode(spin_half(4), np.array([1, -1, 1, -1], dtype=np.int8)) == 2 + 8


@pytest.mark.parametrize(
    "space", [spin_half(20), spin_half(63), Hilbert(39, (0, 1, 2)), Hilbert(13, (-100, 100, 0, 5))]
)
def test_round_trip_of_random_codes(space):
    top = len(space.local_values) ** space.n_sites
    code = np.random.default_rng(1).integers(0, top, size=(3, 50))
    code[0, :2] = 0, top - 1
    states = decode(space, code)
    assert states.shape == (3, 50, space.n_sites)
    assert (encode(space, states) == code).all()
    digits = [int(code[1, 7]) // len(space.local_values) ** i % len(space.local_values) for i in range(space.n_sites)]
    assert states[1, 7].tolist() == [space.local_values[d] for d in digits]


def test_base_states_spread_the_total():
    assert base_state(spin_half(6, 0)).tolist() == [1, -1] * 3
    assert sorted(base_state(Hilbert(4, (0, 1, 2, 3), 6)).tolist()) == [1, 1, 2, 2]
    assert base_state(spin_half(5)).shape == (5,)
    assert base_state(spin_half(1000, 10)).sum() == 10


@pytest.mark.parametrize("n, total", [(4, 1), (4, 6), (5, 0), (5, -7)])
def test_totals_that_spins_cannot_have(n, total):
    with pytest.raises(ValueError, match=rf"^sector={total}: {n} sites .* from -{n} to {n} in steps of 2$"):
        spin_half(n, total)


def test_more_than_can_be_enumerated_or_numbered():
    for space in (spin_half(27), spin_half(40, 0)):
        with pytest.raises(ValueError, match=f"{dimension(space)} states are too many.*at most {2**26}"):
            codes(space)
    for space in (spin_half(64, 62), Hilbert(40, (0, 1, 2), 1)):
        with pytest.raises(ValueError, match="int64"):
            codes(space)
        with pytest.raises(ValueError, match="int64"):
            encode(space, base_state(space))
