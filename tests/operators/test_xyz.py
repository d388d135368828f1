"""Anisotropic exchange and Dzyaloshinskii-Moriya coupling, against Kronecker products and turns of spins."""

import numpy as np
import pytest

from nqs_hpc.config.compose import compose, from_plain
from nqs_hpc.config.identity import run_name, to_plain
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.xyz import xyz_strings
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES, edges_lattice

# 3 x 2 sites, open, row by row from below, and the second neighbours
RIGHT, UP, DIAGONAL = [(0, 1), (1, 2), (3, 4), (4, 5)], [(0, 3), (1, 4), (2, 5)], [(0, 4), (1, 5), (1, 3), (2, 4)]
SUBLATTICES = (1, -1, 1, -1, 1, -1)


def dense(lattice, *args, **keys):
    strings = xyz_strings(lattice, *args, **keys)
    return sparse_matrix(pauli(lattice.n_sites, strings), spin_half(lattice.n_sites)).toarray()


def moriya(kron, n_sites, D, i, j):
    """D . (S_i x S_j), written out."""
    x, y, z = D
    yz = kron(n_sites, "YZ", (i, j)) - kron(n_sites, "ZY", (i, j))
    zx = kron(n_sites, "ZX", (i, j)) - kron(n_sites, "XZ", (i, j))
    xy = kron(n_sites, "XY", (i, j)) - kron(n_sites, "YX", (i, j))
    return (x * yz + y * zx + z * xy) / 4


@pytest.mark.parametrize("D", [(), ((0.2, -0.3, 0.5),), ((0.0, 0.4, 0.0), (0.1, 0.0, -0.6))])
def test_matrix_is_the_sum_of_kronecker_products(kron, D):
    lattice = FACTORIES["square"]((3, 2), (False, False))
    couplings, fields, staggered = ((1.0, 0.3), (-0.7, 0.0), (0.4, -0.2)), (0.3, 0.0, -0.25), 0.35
    wanted = 0
    for letter, (first, second) in zip("XYZ", couplings, strict=True):
        for coupling, bonds in ((first, RIGHT + UP), (second, DIAGONAL)):
            wanted = wanted + coupling / 4 * sum(kron(6, 2 * letter, bond) for bond in bonds)
    if D:
        for vector, bonds in ((D[0], RIGHT), (D[-1], UP)):
            wanted = wanted + sum(moriya(kron, 6, vector, i, j) for i, j in bonds)
    for field, letter in zip(fields, "XYZ", strict=True):
        wanted = wanted - field / 2 * sum(kron(6, letter, (i,)) for i in range(6))
    wanted = wanted - staggered / 2 * sum(e * kron(6, "Z", (i,)) for i, e in enumerate(SUBLATTICES))
    found = dense(lattice, couplings, D=D, fields=fields, staggered=staggered)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert pauli(6, xyz_strings(lattice, couplings, D=D, fields=fields)).is_real == (not D)


def test_two_spins():
    """Along D = (0, 0, D): J / 4 twice, and -J / 4 +- sqrt(J^2 + D^2) / 2."""
    J, D = 0.8, -0.5
    found = np.linalg.eigvalsh(dense(FACTORIES["chain"]((2,), (False,)), ((J,),) * 3, D=((0.0, 0.0, D),)))
    size = np.sqrt(J * J + D * D)
    np.testing.assert_allclose(found, np.sort([J / 4, J / 4, -J / 4 + size / 2, -J / 4 - size / 2]), atol=1e-12)


@pytest.mark.parametrize(("pbc", "turn"), [(False, 0.37), (True, 2 * np.pi / 6)])
def test_a_turn_from_site_to_site_takes_D_away(pbc, turn):
    """With the spin at site k turned about z by k times an angle, J (xx + yy) + D z is J / cos(turn) (xx + yy) where
    D = J tan(turn); on a ring if the last bond fits, so every bond has its sense around it.
    """
    ring = FACTORIES["chain"]((6,), (pbc,))
    J, Jz = 0.9, 0.4
    found = dense(ring, ((J,), (J,), (Jz,)), D=((0.0, 0.0, J * np.tan(turn)),))
    wanted = dense(ring, ((J / np.cos(turn),), (J / np.cos(turn),), (Jz,)))
    np.testing.assert_allclose(np.linalg.eigvalsh(found), np.linalg.eigvalsh(wanted), atol=1e-11)


def test_the_sense_that_a_file_gives(kron):
    bonds, weights = [(0, 1), (2, 1), (2, 0)], [1.0, 0.5, -2.0]
    D = (0.3, -0.2, 0.7)
    lattice = edges_lattice(None, {1: bonds}, {1: weights})
    wanted = sum(w * moriya(kron, 3, D, i, j) for (i, j), w in zip(bonds, weights, strict=True))
    np.testing.assert_allclose(dense(lattice, ((0.0,),) * 3, D=(D,)), wanted, atol=1e-12)


def test_what_a_run_keeps_of_the_sense(tmp_path, monkeypatch):
    """The sense of its bonds makes a run with D another one, and any other run stays the same."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text("0 1\n1 2\n", encoding="utf-8")
    (tmp_path / "other.txt").write_text("0 1\n2 1\n", encoding="utf-8")

    def of(file, *words):
        return compose(["lattice=edges", f"lattice.file={file}", "hamiltonian=xyz", "ansatz.dtype=complex", *words], 1)

    one, other = (of(file, "hamiltonian.D=[0,0,1]") for file in ("one.txt", "other.txt"))
    assert run_name(one) != run_name(other) and other.lattice.turned == (1,)
    again = from_plain(to_plain(other))
    assert again.lattice == other.lattice and again.make_sites().turned[1].tolist() == [False, True]
    assert run_name(of("one.txt")) == run_name(of("other.txt"))


def test_two_ways_between_two_sites():
    """On a side of 2 both ways have opposite senses: they cancel where both count, and neither can be chosen."""
    two = FACTORIES["chain"]((2,), (True,))
    with pytest.raises(ValueError, match="double_bonds=true, which counts both"):
        xyz_strings(two, ((1.0,),) * 3, D=((0.0, 0.0, 1.0),))
    both = two._replace(double_bonds=True)
    np.testing.assert_allclose(dense(both, ((1.0,),) * 3, D=((0.0, 0.0, 1.0),)), dense(both, ((1.0,),) * 3), atol=1e-14)
