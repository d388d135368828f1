"""Symmetries of Hamiltonians by matrix elements, against dense commutators; lowest energies of sectors, against all."""

import functools

import numpy as np
import pytest

from nqs_hpc.operators.bose_hubbard import bose_hubbard
from nqs_hpc.operators.exact import lowest_states, sector_basis, sparse_matrix
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.projected import projected
from nqs_hpc.operators.spin_s import spin_s
from nqs_hpc.operators.symmetric import broken
from nqs_hpc.system.characters import Symmetry, momentum, space_group, with_spin_flip
from nqs_hpc.system.hilbert import Block, Hilbert, bosons, codes, decode, encode, members, spin_half
from nqs_hpc.system.lattice import FACTORIES, bipartition, neighbours
from nqs_hpc.system.spaces import constrained, spin
from nqs_hpc.system.symmetry import translations

RING = FACTORIES["chain"]((6,), (True,))
TURNS = with_spin_flip(translations(RING), momentum(RING, None), 1)


def j1j2(signs: bool, lattice=RING):
    edges = [neighbours(lattice, n) for n in (1, 2)]
    return heisenberg(6, edges, [1.0, 0.4], marshall_signs=bipartition(lattice) if signs else None)


def open_chain():
    return ising(6, np.array([(i, i + 1) for i in range(5)]), J=1.0, h=0.7, g=0.0)


def projected_on(operator, space):
    return projected(operator, space), space


OPERATORS = {
    "ring": lambda: (ising(6, neighbours(RING, 1), J=1.0, h=0.7, g=0.0), spin_half(6)),
    "field": lambda: (ising(6, neighbours(RING, 1), J=1.0, h=0.7, g=0.1), spin_half(6)),
    "open": lambda: (open_chain(), spin_half(6)),
    "j1j2": lambda: (j1j2(False), spin_half(6, 0)),
    "j1j2 with Marshall's signs": lambda: (j1j2(True), spin_half(6, 0)),
    "one bond": lambda: (heisenberg(6, [np.array([[0, 1]])], [1.0]), spin_half(6, 0)),
    "spins 1": lambda: (spin_s(6, neighbours(RING, 1), two_s=2, Q=0.3), spin(6, 2, 2)),
    "blockade": lambda: projected_on(
        ising(6, neighbours(RING, 1), J=1.0, h=0.7, g=0.1), constrained(spin_half(6), excluded=neighbours(RING, 1))
    ),
    "blocks": lambda: (
        bose_hubbard(6, np.array([(0, 2), (2, 4), (4, 0), (1, 3), (3, 5), (5, 1)]), J=1.0, U=2.0, mu=0.3, n_max=2),
        constrained(bosons(6, 2), blocks=[Block((0, 2, 4), 2), Block((1, 3, 5), 3)]),
    ),
    "bosons": lambda: (bose_hubbard(6, neighbours(RING, 1), J=1.0, U=2.0, mu=0.3, n_max=2), bosons(6, 2, 4)),
}


def images(hilbert: Hilbert, symmetry: Symmetry, g: int) -> np.ndarray | None:
    """Where the states go: state n is carried to state images[n]."""
    s_nN = decode(hilbert, codes(hilbert))
    out = np.empty_like(s_nN)
    out[:, symmetry.perms[g]] = s_nN * symmetry.flips[g]
    if not members(hilbert, out).all():
        return None  # out of the space
    return np.searchsorted(codes(hilbert), encode(hilbert, out))


@pytest.mark.parametrize("name", OPERATORS)
def test_against_commutators(name):
    operator, hilbert = OPERATORS[name]()
    symmetry = TURNS if hilbert.local_values == (1, -1) else Symmetry(*(part[:6] for part in TURNS))
    matrix = sparse_matrix(operator, hilbert).toarray()
    wanted = None
    for g in reversed(range(len(symmetry.perms))):
        to = images(hilbert, symmetry, g)
        if to is None or np.max(np.abs(matrix[np.ix_(to, to)] - matrix)) > 1e-12:
            wanted = g
    assert broken(operator, hilbert, symmetry) == wanted
    assert (wanted is not None) == (name in ("field", "open", "one bond", "blockade", "blocks"))


@pytest.mark.parametrize("chord", [(4, 8), (1, 2), (17, 35), (10, 12), (30, 39)])
def test_one_bond_of_many_that_one_flipped_spin_seldom_sees(chord):
    """A ring of 40 sites with a chord has no mirror, but where that leaves the chord as it is."""
    n = 40
    ring = FACTORIES["chain"]((n,), (True,))
    operator = heisenberg(n, [neighbours(ring, 1), np.array([chord])], [1.0, 0.7])
    mirror = np.stack([np.arange(n), -np.arange(n) % n]).astype(np.int32)
    assert broken(operator, spin_half(n, n - 2), with_spin_flip(mirror, np.ones(2, complex), None)) == 1


def test_marshalls_signs_on_an_odd_pair_of_sublattices():
    """A translation by one site of an open ladder's rung order is a symmetry of H and of U H U alike only where it maps
    sublattices onto sublattices: signs that do not are found."""
    signs = np.array([1, 1, -1, 1, -1, -1], np.int8)
    operator = heisenberg(6, [neighbours(RING, 1)], [1.0], marshall_signs=signs)
    assert broken(operator, spin_half(6, 0), TURNS) == 1


@functools.cache
def spectrum_of_projectors():
    operator = j1j2(True)
    hilbert = spin_half(6, 0)
    return operator, hilbert, sparse_matrix(operator, hilbert).toarray()


@pytest.mark.parametrize("parity", [None, 1, -1])
@pytest.mark.parametrize("k", range(6))
def test_sectors(k, parity):
    """H of a sector against P H P, and all sectors together have every energy once."""
    operator, hilbert, matrix = spectrum_of_projectors()
    symmetry = with_spin_flip(translations(RING), momentum(RING, (k,)), parity)
    projector = np.zeros(matrix.shape, complex)
    for g, character in enumerate(symmetry.characters):
        projector[np.arange(len(matrix)), images(hilbert, symmetry, g)] += character.conj() / len(symmetry.perms)
    basis = sector_basis(hilbert, symmetry)
    assert np.max(np.abs(basis @ basis.conj().T - projector)) < 1e-12
    energies, vectors = lowest_states(operator, hilbert, symmetry=symmetry)
    wanted = np.linalg.eigvalsh(projector @ matrix @ projector + 100 * (np.eye(len(matrix)) - projector))[0]
    assert abs(energies[0] - wanted) < 1e-10
    assert np.max(np.abs(projector @ vectors - vectors)) < 1e-10


def test_two_dimensions_have_no_such_basis():
    perms, irreps = space_group(FACTORIES["square"]((3, 3), (True, True)), None)
    with pytest.raises(ValueError, match="dimension 2"):
        sector_basis(spin_half(9, 1), with_spin_flip(perms, irreps["E"], None))
