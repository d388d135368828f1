"""Signs of basis states against all 2^N choices of them."""

import itertools

import numpy as np
import pytest

from nqs_hpc.system.gauge import signs
from nqs_hpc.system.lattice import FACTORIES, bipartition, neighbours


def solves(signs_N: np.ndarray, elements: list[tuple[tuple[int, ...], int]]) -> bool:
    """Whether every element times the signs of the sites that it changes is negative."""
    return all(sign * np.prod(signs_N[list(sites)]) < 0 for sites, sign in elements)


@pytest.mark.parametrize("longest", [1, 2, 4])
def test_signs_exist_exactly_where_some_choice_of_them_solves(longest):
    rng = np.random.default_rng(longest)
    seen = set()
    for n_elements in [3, 4, 5, 6, 7, 8] * 20:
        elements = []
        for _ in range(n_elements):
            sites = tuple(sorted(rng.choice(6, size=rng.integers(1, longest + 1), replace=False).tolist()))
            elements.append((sites, int(rng.choice([-1, 1]))))
        found = signs(6, elements)
        possible = any(solves(np.array(choice), elements) for choice in itertools.product((1, -1), repeat=6))
        assert (found is not None) == possible
        assert found is None or solves(found, elements)
        seen.add(possible)
    assert seen == {True, False}


@pytest.mark.parametrize("name", ["chain", "square", "honeycomb"])
def test_an_antiferromagnet_has_the_signs_of_marshall(name):
    lattice = FACTORIES[name]((4,) * (1 if name == "chain" else 2), (True,) * (1 if name == "chain" else 2))
    bonds = [(bond, 1) for bond in map(tuple, neighbours(lattice, 1).tolist())]
    found = signs(lattice.n_sites, bonds)
    assert found is not None and found.tolist() == bipartition(lattice).tolist()


def test_nothing_changes_where_all_is_negative_already():
    assert signs(4, [((0, 1), -1), ((2,), -1), ((0, 1, 2, 3), -1)]).tolist() == [1, 1, 1, 1]
    assert signs(3, []).tolist() == [1, 1, 1]


def test_a_large_lattice_is_quick():
    lattice = FACTORIES["square"]((64, 64), (True, True))
    bonds = [(bond, 1) for bond in map(tuple, neighbours(lattice, 1).tolist())]
    assert signs(lattice.n_sites, bonds).sum() == 0
