"""Symmetry sectors of fermions: together they are the whole spectrum, and what commutes is what dense matrices say."""

from itertools import product

import numpy as np
import pytest

from nqs_hpc.operators import lowest
from nqs_hpc.operators.exact import lowest_states, sector_basis, sparse_matrix
from nqs_hpc.operators.irrep_rows import row_basis
from nqs_hpc.operators.symmetric import broken
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.characters import may_flip, momentum, point_irreps, space_group, with_spin_flip
from nqs_hpc.system.hilbert import dimension
from nqs_hpc.system.layers import exchanged
from nqs_hpc.system.spaces import fermions
from nqs_hpc.system.symmetry import translations
from nqs_hpc.system.traces import sector_dimension
from tests.fermions import representation, system

SYSTEMS = {
    "ring of 4, [2, 2]": ((4,), 2, 2),
    "ring of 4, [2, 1]": ((4,), 2, 1),
    "2x2, [2, 2]": ((2, 2), 2, 2),
    "2x3, [2, 2]": ((2, 3), 2, 2),
    "3x3, [1, 1]": ((3, 3), 1, 1),
    "ring of 6, 3": ((6,), 3),
    "ring of 6, 4": ((6,), 4),
    "3x3, 4": ((3, 3), 4),
}


def projector(hilbert, symmetry):
    """d / |G| sum_g chi(g) U_g."""
    found = np.zeros((dimension(hilbert),) * 2, complex)
    for perm, character in zip(symmetry.perms, symmetry.characters, strict=True):
        found += symmetry.dimension / len(symmetry.perms) * character * representation(hilbert, perm)
    return found


@pytest.mark.parametrize("name", SYSTEMS)
def test_all_sectors_together_are_the_spectrum(name):
    lattice, hilbert, operator = system(*SYSTEMS[name])
    matrix = sparse_matrix(operator, hilbert).toarray()
    parities = (1, -1) if may_flip(hilbert, lattice) else (None,)
    assert (len(parities) == 2) == (name.endswith("[2, 2]") or name.endswith("[1, 1]"))
    levels, dimensions = [], set()
    for k, parity in product(product(*map(range, lattice.extent)), parities):
        perms, irreps = space_group(lattice, k)
        for characters in irreps.values():
            symmetry = with_spin_flip(perms, characters, parity, fermionic=True)
            d = symmetry.dimension
            basis = row_basis(hilbert, symmetry).toarray()
            assert basis.shape[1] * d == sector_dimension(symmetry, hilbert)
            dimensions.add(d)
            if basis.shape[1] == 0:
                continue
            inside = basis.conj().T @ (matrix @ basis)
            assert np.abs(matrix @ basis - basis @ inside).max() < 1e-12  # H stays in the row
            found = np.linalg.eigvalsh(inside)
            levels += list(np.repeat(found, d))
            if d == 1:
                of_orbits = sector_basis(hilbert, symmetry).toarray()
                assert np.abs(of_orbits @ of_orbits.conj().T - basis @ basis.conj().T).max() < 1e-12
            assert abs(lowest_states(operator, hilbert, symmetry=symmetry)[0][0] - found[0]) < 1e-10
    assert np.abs(np.sort(levels) - np.linalg.eigvalsh(matrix)).max() < 1e-10
    assert max(dimensions) == (2 if name.startswith("3x3") else 1)


@pytest.mark.parametrize(
    ("name", "k", "irrep", "parity"), [("2x3, [2, 2]", (0, 1), "A", -1), ("3x3, 4", (0, 0), "E", None)]
)
def test_a_sector_is_the_image_of_the_dense_projector(name, k, irrep, parity):
    lattice, hilbert, _ = system(*SYSTEMS[name])
    perms, irreps = space_group(lattice, k)
    symmetry = with_spin_flip(perms, irreps.get(irrep, next(iter(irreps.values()))), parity, fermionic=True)
    dense = projector(hilbert, symmetry)
    basis = (sector_basis if symmetry.dimension == 1 else row_basis)(hilbert, symmetry).toarray()
    assert np.abs(dense @ dense - dense).max() < 1e-12
    assert np.abs(dense @ basis - basis).max() < 1e-12
    assert round(np.trace(dense).real) == sector_dimension(symmetry, hilbert) == symmetry.dimension * basis.shape[1]


def test_what_commutes_is_what_dense_matrices_say():
    """Symmetries of a ring and other exchanges of modes, one element at a time."""
    lattice, hilbert, operator = system((4,), 2, 2)
    matrix = sparse_matrix(operator, hilbert).toarray()
    rng = np.random.default_rng(2)
    one, flip = np.arange(8), exchanged(8)
    of_one_spin = np.concatenate([np.roll(np.arange(4), 1), np.arange(4, 8)])  # moves spins up alone
    pair = np.array([1, 0, 2, 3, 4, 5, 6, 7])
    of_both = np.concatenate([rng.permutation(4), 4 + rng.permutation(4)])
    given = [translations(lattice)[1], point_irreps(lattice)[0][1], flip, of_one_spin, pair, of_both]
    commuting = []
    for perm in given:
        group = with_spin_flip(np.stack([one, perm]).astype(np.int32), np.ones(2, complex), None)
        u = representation(hilbert, perm)
        does = np.abs(u @ matrix - matrix @ u).max() < 1e-12
        assert broken(operator, hilbert, group) == (None if does else 1)
        commuting.append(does)
    # a hop over the seam passes another fermion: without signs the ring of two has no translations
    assert commuting == [True] * 3 + [False] * 3
    turn = representation(hilbert, translations(lattice)[1], signed=False)
    assert np.abs(turn @ matrix - matrix @ turn).max() > 1


def test_an_exchange_of_unequal_numbers_leaves_the_space():
    lattice, hilbert, operator = system((4,), 2, 1)
    assert not may_flip(hilbert, lattice)
    group = with_spin_flip(np.arange(8, dtype=np.int32)[None], np.ones(1, complex), 1, fermionic=True)
    assert broken(operator, hilbert, group) == 1


def test_numbers_of_states_with_exclusions():
    """Of the t-J model, where no site holds two: by the dense projectors."""
    lattice, _, _ = system((4,), 2, 1)
    for numbers, parities in (((2, 1), (None,)), ((1, 1), (1, -1))):
        hilbert = fermions(4, *numbers, double=False)
        counted = []
        for k, parity in product(range(4), parities):
            symmetry = with_spin_flip(translations(lattice), momentum(lattice, (k,)), parity, fermionic=True)
            counted.append(sector_dimension(symmetry, hilbert))
            assert counted[-1] == round(np.trace(projector(hilbert, symmetry)).real)
        assert sum(counted) == dimension(hilbert)


def test_where_a_level_is():
    """The sector that `lowest` names holds the level, and none of the others does where it is not degenerate."""
    lattice, hilbert, operator = system((2, 3), 2, 2)
    energies, vectors = lowest_states(operator, hilbert, 2)
    assert energies[1] - energies[0] > 1e-3
    v = lowest.vector(Basis(hilbert), vectors[:, 0])
    k, v = lowest.of_one_momentum(v, lattice)
    perms, irreps = space_group(lattice, k)
    irrep, v = lowest.of_one_irrep(v, perms, irreps)
    parity = lowest.of_one_parity(v)
    here = with_spin_flip(perms, irreps[irrep], parity, fermionic=True)
    assert np.abs(projector(hilbert, here) @ vectors[:, 0] - vectors[:, 0]).max() < 1e-10
    assert lowest.is_in(hilbert, vectors[:, 0], here)
    there = with_spin_flip(perms, irreps[irrep], -parity, fermionic=True)
    assert not lowest.is_in(hilbert, vectors[:, 0], there)
