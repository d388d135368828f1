import numpy as np
import pytest

from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.operators.ising import ising
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES, neighbours


@pytest.mark.parametrize(
    ("name", "extent", "pbc", "J", "h", "g"),
    [
        ("chain", (7,), (True,), 1.0, 0.7, 0.0),
        ("chain", (6,), (False,), -1.3, 0.4, 0.31),
        ("square", (3, 2), (True, True), 0.8, 2.1, -0.6),
        ("chain", (5,), (True,), 1.0, 0.0, 0.5),
    ],
)
def test_matrix_is_the_sum_of_kronecker_products(kron, name, extent, pbc, J, h, g):
    lattice = FACTORIES[name](extent, pbc)
    n, edges = lattice.n_sites, neighbours(lattice, 1)
    dense = -J * sum(kron(n, "ZZ", tuple(edge)) for edge in edges.tolist())
    dense = dense - h * sum(kron(n, "X", (i,)) for i in range(n)) - g * sum(kron(n, "Z", (i,)) for i in range(n))
    matrix = sparse_matrix(ising(n, edges, J=J, h=h, g=g), spin_half(n))
    np.testing.assert_allclose(matrix.toarray(), dense, rtol=0, atol=1e-12 * np.abs(dense).max())


def test_diagonal_of_many_bonds_does_not_overflow():
    edges = neighbours(FACTORIES["square"]((20, 20), (True, True)), 1)
    operator = ising(400, edges, J=1.0, h=3.0, g=0.5)
    assert operator.diagonal(np.ones(400, dtype=np.int8)) == -800 - 200


def test_no_transverse_field_connects_nothing():
    operator = ising(5, np.array([[0, 1]]), J=1.0, h=0.0)
    moves, elements = operator.connected(np.ones(5, dtype=np.int8))
    assert operator.n_connected == 0
    assert moves.sites.shape == moves.deltas.shape == (0, 1) and elements.shape == (0,)
