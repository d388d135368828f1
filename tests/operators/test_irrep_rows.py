"""One row of a representation: every level of the whole matrix, as often as the dimensions say."""

from itertools import product

import numpy as np
import pytest

from nqs_hpc.config.compose import checked
from nqs_hpc.operators.exact import lowest_states, sector_basis, sparse_matrix
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.irrep_rows import row_basis
from nqs_hpc.parallel.comm import serial
from nqs_hpc.parts import build
from nqs_hpc.parts.reference import exact_reference
from nqs_hpc.system.characters import (
    Symmetry,
    generic_irreps,
    point_irreps,
    space_group,
    with_spin_flip,
)
from nqs_hpc.system.hilbert import codes, decode, encode, spin_half
from nqs_hpc.system.lattice import FACTORIES, neighbours
from nqs_hpc.system.traces import sector_dimension


def of_lattice(name, extent):
    lattice = FACTORIES[name](extent, (True,) * len(extent))
    operator = heisenberg(lattice.n_sites, [neighbours(lattice, 1)], [1.0])
    hilbert = spin_half(lattice.n_sites, lattice.n_sites % 2)
    return lattice, operator, hilbert, sparse_matrix(operator, hilbert)


def projector(hilbert, symmetry):
    """d / |G| sum_g chi*(g) g as a dense matrix."""
    states = codes(hilbert)
    s_nN = decode(hilbert, states)
    matrix = np.zeros((len(states), len(states)), dtype=complex)
    for perm, flip, character in zip(symmetry.perms, symmetry.flips, symmetry.characters, strict=True):
        image = np.searchsorted(states, encode(hilbert, flip * s_nN[:, np.argsort(perm)]))
        matrix[np.arange(len(states)), image] += character.conj() * symmetry.dimension / len(symmetry.perms)
    return matrix


@pytest.mark.parametrize(("name", "extent"), [("square", (3, 3)), ("triangular", (3, 3))])
def test_all_rows_together_are_the_spectrum(name, extent):
    lattice, _, hilbert, matrix = of_lattice(name, extent)
    parities = (None,) if hilbert.total else (1, -1)
    levels, dimensions = [], set()
    for k, parity in product(product(*map(range, extent)), parities):
        perms, irreps = space_group(lattice, k)
        for characters in irreps.values():
            symmetry = with_spin_flip(perms, characters, parity)
            basis = row_basis(hilbert, symmetry)
            assert basis.shape[1] * symmetry.dimension == sector_dimension(symmetry, hilbert)
            basis = basis.toarray()
            inside = basis.conj().T @ (matrix @ basis)
            assert np.abs(np.asarray(matrix @ basis - basis @ inside)).max(initial=0) < 1e-12  # H stays in the row
            levels += list(np.repeat(np.linalg.eigvalsh(inside), symmetry.dimension))
            dimensions.add(symmetry.dimension)
    assert np.abs(np.sort(levels) - np.linalg.eigvalsh(matrix.toarray())).max() < 1e-10
    assert max(dimensions) == 2


def test_three_dimensions_of_the_cube():
    lattice = FACTORIES["cubic"]((2, 2, 2), (False, False, False))
    perms, irreps = point_irreps(lattice)
    hilbert = spin_half(8, 0)
    matrix = sparse_matrix(heisenberg(8, [neighbours(lattice, 1)], [1.0]), hilbert)
    assert len(perms) == 48 and sorted(round(c[0].real) for c in irreps.values()) == [1, 1, 1, 1, 2, 2, 3, 3, 3, 3]
    levels = []
    for characters in irreps.values():
        symmetry = with_spin_flip(perms, characters, None)
        basis = row_basis(hilbert, symmetry).toarray()
        assert basis.shape[1] * symmetry.dimension == sector_dimension(symmetry, hilbert)
        levels += list(np.repeat(np.linalg.eigvalsh(basis.conj().T @ (matrix @ basis)), symmetry.dimension))
    assert np.abs(np.sort(levels) - np.linalg.eigvalsh(matrix.toarray())).max() < 1e-10


def test_lowest_level_of_e_against_the_dense_projector():
    lattice, operator, hilbert, matrix = of_lattice("square", (3, 3))
    perms, irreps = space_group(lattice, None)
    symmetry = with_spin_flip(perms, irreps["E"], None)
    dense, onto = matrix.toarray(), projector(hilbert, symmetry)
    wanted = np.linalg.eigvalsh(onto @ dense @ onto + 100 * (np.eye(len(dense)) - onto))[:2]
    energies, vectors = lowest_states(operator, hilbert, symmetry=symmetry)
    assert np.abs(wanted - energies[0]).max() < 1e-10  # twice in the sector, once in a row
    assert np.abs(onto @ vectors - vectors).max() < 1e-10


def test_of_one_dimension_it_is_the_sector_and_phases_may_be_complex():
    lattice, _, hilbert, _ = of_lattice("chain", (6,))
    for k in range(6):
        symmetry = with_spin_flip(*_first(space_group(lattice, (k,))), -1)
        own, known = row_basis(hilbert, symmetry), sector_basis(hilbert, symmetry)
        assert np.abs(own @ own.conj().T - known @ known.conj().T).max() < 1e-12
        assert np.iscomplexobj(own) == (k not in (0, 3))


def _first(found):
    perms, irreps = found
    return perms, next(iter(irreps.values()))


def test_a_group_without_real_eigenvalues():
    """The quaternions' representation of dimension 2: every element but two has eigenvalues i and -i."""
    i, j = np.diag([1j, -1j]), np.array([[0, 1], [-1, 0]], dtype=complex)
    matrices = [sign * m for sign in (1, -1) for m in (np.eye(2), i, j, i @ j)]
    number = [[next(n for n, m in enumerate(matrices) if np.allclose(m, a @ b)) for b in matrices] for a in matrices]
    perms = np.array(number, dtype=np.int32)
    hilbert = spin_half(8, 2)
    characters = next(c for c in generic_irreps(perms).values() if c[0].real == 2)
    symmetry = Symmetry(perms, np.ones(8, dtype=np.int8), characters)
    basis = row_basis(hilbert, symmetry)
    assert basis.shape[1] == sector_dimension(symmetry, hilbert) // 2 > 0 and np.iscomplexobj(basis)
    onto = projector(hilbert, symmetry)
    assert np.abs(onto @ basis - basis).max() < 1e-12
    assert np.abs((basis.conj().T @ basis).toarray() - np.eye(basis.shape[1])).max() < 1e-12


def test_the_reference_of_a_run_in_e():
    words = ["lattice=square", "lattice.length=3", "hamiltonian=heisenberg", "sector=1", "ansatz.dtype=complex"]
    config = checked([*words, "symmetrize.group=space_group", "symmetrize.irrep=E"], 1)
    found = exact_reference(config, build(config, serial()))
    lattice, _, hilbert, matrix = of_lattice("square", (3, 3))
    perms, irreps = space_group(lattice, None)
    onto = projector(hilbert, with_spin_flip(perms, irreps["E"], None))
    dense = matrix.toarray()
    wanted = np.linalg.eigvalsh(onto @ dense @ onto + 100 * (np.eye(len(dense)) - onto))
    assert found is not None and abs(found["energy"] - wanted[0]) < 1e-10
    assert abs(found["lowest"]["energy"] - np.linalg.eigvalsh(dense)[0]) < 1e-10
    assert abs(found["above_lowest"] - (found["energy"] - found["lowest"]["energy"])) < 1e-10
