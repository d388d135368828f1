"""Kitaev's model against Kronecker products, exact levels, and its conserved fluxes."""

import itertools

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.operators.kitaev import kitaev_strings
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES

# 2 x 2 cells, open: the two sites of a cell are an x bond, from the upper site of a cell to the lower one of the next
# on the right leads a y bond, to that of the cell above a z bond
DRAWN = {"X": [(0, 1), (2, 3), (4, 5), (6, 7)], "Y": [(1, 2), (5, 6)], "Z": [(1, 4), (3, 6)]}
HEXAGON = {1: "X", 2: "Z", 3: "Y", 6: "X", 5: "Z", 4: "Y"}  # of its sites: the kind of the bond that leads out of it


def dense(lattice, *args, **keys):
    return sparse_matrix(pauli(lattice.n_sites, kitaev_strings(lattice, *args, **keys)), spin_half(lattice.n_sites))


@pytest.mark.parametrize("fields", [(0.0, 0.0, 0.0), (0.3, 0.0, -0.2), (0.1, 0.4, 0.2)])
@pytest.mark.parametrize("further", [(0.0, 0.0), (0.3, 0.0), (-0.2, 0.45)])
def test_matrix_is_the_sum_of_kronecker_products(kron, fields, further):
    lattice, J, (heisenberg, gamma) = FACTORIES["honeycomb"]((2, 2), (False, False)), (1.0, -0.6, 0.35), further
    wanted = 0
    for coupling, (letter, bonds) in zip(J, DRAWN.items(), strict=True):
        a, b = sorted(set("XYZ") - {letter})
        for pair in bonds:
            wanted = wanted - coupling * kron(8, 2 * letter, pair)
            wanted = wanted + heisenberg * sum(kron(8, 2 * other, pair) for other in "XYZ")
            wanted = wanted + gamma * (kron(8, a + b, pair) + kron(8, b + a, pair))
    for field, letter in zip(fields, "XYZ", strict=True):
        wanted = wanted - field * sum(kron(8, letter, (i,)) for i in range(8))
    found = dense(lattice, J, heisenberg=heisenberg, gamma=gamma, fields=fields).toarray()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())
    assert pauli(8, kitaev_strings(lattice, J, gamma=gamma, fields=fields)).is_real == (gamma == fields[1] == 0)


def test_the_torus_of_eight_sites():
    """-4 sqrt 3, as free Majorana fermions have it in the best sector of fluxes."""
    found = np.linalg.eigvalsh(dense(FACTORIES["honeycomb"]((2, 2), (True, True)), (1.0, 1.0, 1.0)).toarray())
    assert found[0] == pytest.approx(-4 * np.sqrt(3), abs=1e-10)


def torus_bonds(width, height):
    """(A, B, kind) of each bond of a torus of cells, A the upper site of one and B the lower site of one."""
    cells = list(itertools.product(range(height), range(width)))
    number = {cell: k for k, cell in enumerate(cells)}
    return [
        (number[y, x], number[(y + up) % height, (x + right) % width], kind)
        for y, x in cells
        for kind, (right, up) in enumerate([(0, 0), (1, 0), (0, 1)])
    ]


def majorana_levels(width, height, J):
    """All levels, as Kitaev solved it (Ann. Phys. 321, 2 (2006), arXiv:cond-mat/0506438), for c = 1 and for c = -1.

    With signs u of the bonds, of which those of a spanning tree are a gauge, H = i sum J u c_A c_B has the levels
    sum_k +-s_k, s_k the singular values of the matrix J u. Physical are those with prod u sign(det J u) prod(+-) = c,
    one number for all u.
    """
    bonds, n = torus_bonds(width, height), width * height
    tree, joined = set(), {("A", 0)}
    while len(joined) < 2 * n:
        for k, (a, b, _) in enumerate(bonds):
            if (("A", a) in joined) != (("B", b) in joined):
                tree.add(k)
                joined |= {("A", a), ("B", b)}
    free = [k for k in range(len(bonds)) if k not in tree]
    signs = np.array(list(itertools.product((1, -1), repeat=n)))
    found = {1: [], -1: []}
    for u_free in itertools.product((1, -1), repeat=len(free)):
        u = np.ones(len(bonds))
        u[free] = u_free
        matrix = np.zeros((n, n))
        for (a, b, kind), sign in zip(bonds, u, strict=True):
            matrix[a, b] += sign * J[kind]
        sector = np.prod(u) * np.sign(np.linalg.det(matrix)) * np.prod(signs, axis=1)
        levels = signs @ np.linalg.svd(matrix, compute_uv=False)
        for c in found:
            found[c] += levels[sector == c].tolist()
    return [np.sort(levels) for levels in found.values()]


def test_every_level_is_one_of_free_majorana_fermions():
    """256 levels of 2 x 2 cells; of couplings for which no matrix J u is singular."""
    J = (1.0, 0.73, 0.41)
    found = np.linalg.eigvalsh(dense(FACTORIES["honeycomb"]((2, 2), (True, True)), J).toarray())
    both = majorana_levels(2, 2, J)
    assert [len(levels) for levels in both] == [256, 256]
    assert min(np.abs(found - levels).max() for levels in both) < 1e-10


@pytest.mark.parametrize("J", [(1.0, 0.8, 0.63), (0.3, 1.1, 0.4)])
def test_the_lowest_level_of_twelve_sites(J):
    """c is that of the torus, so it may be either; the lowest levels of both differ, and one of them is found."""
    matrix = dense(FACTORIES["honeycomb"]((3, 2), (True, True)), J)
    lowest = eigsh(matrix, k=1, which="SA", v0=np.linspace(1, 2, 4096), return_eigenvectors=False)[0]
    assert min(abs(lowest - levels[0]) for levels in majorana_levels(3, 2, J)) < 1e-9


def test_the_infinite_lattice():
    """Without fluxes (E. Lieb, Phys. Rev. Lett. 73, 2158 (1994)): -1.5746 J a cell, -0.7873 J a site, here of 16 x 16
    cells to 1e-3, which is what the gap of a finite torus changes, and of momenta close to each other.
    """
    n = 16
    matrix = np.zeros((n * n, n * n))
    for a, b, _ in torus_bonds(n, n):
        matrix[a, b] += 1
    assert -np.linalg.svd(matrix, compute_uv=False).sum() / n**2 == pytest.approx(-1.5746, rel=1e-3)
    p = 2 * np.pi * (np.arange(1500) + 0.5) / 1500
    levels = np.abs(1 + np.exp(1j * p)[:, None] + np.exp(1j * p)[None, :])
    assert -levels.mean() == pytest.approx(-1.5746, abs=5e-5)


def test_fluxes_are_conserved(kron):
    """The product of six spins around a hexagon, each the letter of its outer bond, commutes with the bonds alone."""
    lattice = FACTORIES["honeycomb"]((2, 2), (False, False))
    flux = kron(8, "".join(HEXAGON.values()), tuple(HEXAGON))
    for keys, commutes in (({}, True), ({"fields": (0.1, 0.0, 0.0)}, False), ({"heisenberg": 0.1}, False)):
        matrix = dense(lattice, (0.7, 1.1, 0.4), **keys).toarray()
        assert (np.abs(matrix @ flux - flux @ matrix).max() < 1e-12) == commutes


def test_one_chain_of_two_couplings():
    """Without z bonds rows are chains of x and y bonds in turn, which are free fermions: of 4 open sites in one row,
    with singular values e of their matrix of hops, the levels are the sums of +-e.
    """
    lattice = FACTORIES["honeycomb"]((2, 1), (False, False))
    hops = np.array([[1.0, 0.0], [0.6, 0.8]])  # lower sites 0, 2 to upper sites 1, 3
    e = np.linalg.svd(hops, compute_uv=False)
    levels = sorted(
        sum(sign * x for sign, x in zip(signs, e, strict=True)) for signs in itertools.product((1, -1), repeat=2)
    )
    # x bonds 0-1 of 1.0 and 2-3 of 0.8 cannot differ by J alone: the last term is added by hand
    strings = [one for one in kitaev_strings(lattice, (1.0, 0.6, 0.0)) if one.sites != (2, 3)]
    matrix = sparse_matrix(pauli(4, [*strings, strings[0]._replace(coefficient=-0.8, sites=(2, 3))]), spin_half(4))
    np.testing.assert_allclose(np.unique(np.linalg.eigvalsh(matrix.toarray()).round(9)), np.round(levels, 9), atol=1e-8)
