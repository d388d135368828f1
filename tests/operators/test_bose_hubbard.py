import numpy as np
import pytest

from nqs_hpc.operators.bose_hubbard import bose_hubbard
from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.system.hilbert import bosons, decode, spin_half
from nqs_hpc.system.lattice import FACTORIES, neighbours
from tests.systems import dense_bosons

SYSTEMS = [
    ("chain", (3,), (True,), 3),
    ("chain", (4,), (False,), 2),
    ("square", (2, 2), (True, True), 2),
    ("chain", (5,), (True,), 1),
    ("chain", (2,), (True,), 6),
]


@pytest.mark.parametrize(("name", "extent", "pbc", "n_max"), SYSTEMS)
def test_matrix_is_the_sum_of_kronecker_products(name, extent, pbc, n_max):
    lattice = FACTORIES[name](extent, pbc)
    n, edges = lattice.n_sites, neighbours(lattice, 1)
    dense = dense_bosons(n, edges, n_max, J=0.9, U=3.1, mu=0.4)
    operator = bose_hubbard(n, edges, J=0.9, U=3.1, mu=0.4, n_max=n_max)
    matrix = sparse_matrix(operator, bosons(n, n_max)).toarray()
    np.testing.assert_allclose(matrix, dense, rtol=0, atol=1e-12 * np.abs(dense).max())
    assert operator.e_infinity == pytest.approx(np.trace(dense) / len(dense), rel=1e-12)


@pytest.mark.parametrize("total", [0, 1, 4, 5, 12])
def test_sectors_are_blocks_of_the_matrix(total):
    n, n_max, edges = 4, 3, neighbours(FACTORIES["chain"]((4,), (True,)), 1)
    dense = dense_bosons(n, edges, n_max, J=1.0, U=4.0, mu=0.0)
    inside = decode(bosons(n, n_max), np.arange((n_max + 1) ** n)).sum(axis=1) == total
    operator, space = bose_hubbard(n, edges, J=1.0, U=4.0, mu=0.0, n_max=n_max), bosons(n, n_max, total)
    block = dense[np.ix_(inside, inside)]
    np.testing.assert_allclose(
        sparse_matrix(operator, space).toarray(), block, rtol=0, atol=1e-12 * np.abs(dense).max()
    )
    assert lowest_states(operator, space)[0][0] == pytest.approx(np.linalg.eigvalsh(block)[0], abs=1e-11)


def test_free_bosons_all_sit_in_the_lowest_mode():
    """U = 0 and no bound that matters: N bosons on a ring have the energy -2 J N."""
    n, total = 5, 4
    operator = bose_hubbard(n, neighbours(FACTORIES["chain"]((n,), (True,)), 1), J=1.5, U=0.0, mu=0.0, n_max=total)
    assert lowest_states(operator, bosons(n, total, total))[0][0] == pytest.approx(-2 * 1.5 * total, rel=1e-12)


def test_hard_core_bosons_are_the_xx_chain():
    """n_max = 1 is spins: b = S-, and -J (b+ b + h.c.) is 2 J (SxSx + SySy) up to the sign of one sublattice."""
    n, edges = 8, neighbours(FACTORIES["chain"]((8,), (True,)), 1)
    hard = lowest_states(bose_hubbard(n, edges, J=1.0, U=9.0, mu=0.0, n_max=1), bosons(n, 1, 4))[0][0]
    spins = lowest_states(heisenberg(n, [edges], [2.0], delta=0.0), spin_half(n, 0))[0][0]
    assert hard == pytest.approx(spins, rel=1e-12)


def test_without_hopping_nothing_is_connected():
    operator = bose_hubbard(3, np.array([[0, 1]]), J=0.0, U=2.0, mu=0.5, n_max=4)
    moves, elements = operator.connected(np.array([4, 0, 1], dtype=np.int8))
    assert operator.n_connected == 0 and moves.sites.shape == (0, 2) and elements.shape == (0,)
    assert operator.diagonal(np.array([4, 0, 1], dtype=np.int8)) == 12 - 0.5 * 5


def test_many_bosons_do_not_overflow():
    s_N = np.full(400, 127, dtype=np.int8)
    operator = bose_hubbard(400, np.array([[0, 1]]), J=1.0, U=2.0, mu=0.0, n_max=127)
    assert operator.diagonal(s_N) == 400 * 127 * 126
