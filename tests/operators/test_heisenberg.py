import numpy as np
import pytest

from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.operators.heisenberg import heisenberg, merge_bonds
from nqs_hpc.system.hilbert import codes, spin_half
from nqs_hpc.system.lattice import FACTORIES, bipartition, neighbours


def dense_heisenberg(kron, n, edges_by_order, couplings, delta):
    bonds = [(J, tuple(edge)) for edges, J in zip(edges_by_order, couplings, strict=True) for edge in edges.tolist()]
    weights = {"XX": 1.0, "YY": 1.0, "ZZ": delta}
    return sum(J / 4 * w * kron(n, letters, bond) for J, bond in bonds for letters, w in weights.items()).real


def orders(lattice, n):
    return [neighbours(lattice, order) for order in range(1, n + 1)]


@pytest.mark.parametrize(
    ("name", "extent", "pbc", "couplings", "delta"),
    [
        ("chain", (7,), (True,), [1.0], 1.0),
        ("chain", (6,), (False,), [1.0, -0.4, 0.3], 0.35),
        ("chain", (4,), (True,), [1.0, 0.5, 0.25], -0.7),  # third neighbours are the nearest ones once more
        ("square", (3, 2), (True, True), [0.9, 0.45], 2.0),  # and here second neighbours share pairs with the first
        ("triangular", (2, 3), (False, True), [-1.0, 0.2], 1.0),
    ],
)
def test_matrix_is_the_sum_of_kronecker_products_also_in_sectors(kron, name, extent, pbc, couplings, delta):
    lattice = FACTORIES[name](extent, pbc)
    n, edges = lattice.n_sites, orders(lattice, len(couplings))
    dense = dense_heisenberg(kron, n, edges, couplings, delta)
    operator = heisenberg(n, edges, couplings, delta=delta)
    for total in (None, n % 2 - 2):
        space = spin_half(n, total)
        block = dense[np.ix_(codes(space), codes(space))]
        np.testing.assert_allclose(sparse_matrix(operator, space).toarray(), block, rtol=0, atol=1e-12)


def test_pair_of_several_orders_is_one_move():
    edges = orders(FACTORIES["chain"]((4,), (True,)), 3)
    assert heisenberg(4, edges, [1.0, 0.5, 0.25]).n_connected == 6
    assert heisenberg(4, edges, [1.0, 0.5, -1.0]).n_connected == 2  # the ring's own bonds cancel
    pairs, couplings = merge_bonds([np.array([[2, 1], [0, 1]]), np.array([[1, 2]])], [1.0, 0.25])
    np.testing.assert_array_equal(pairs, [[0, 1], [1, 2]])
    np.testing.assert_array_equal(couplings, [1.0, 1.25])
    assert heisenberg(4, edges, [0.0, 0.0, 0.0]).n_connected == 0


def test_couplings_must_match_the_orders():
    with pytest.raises(ValueError, match="argument"):
        heisenberg(4, [np.array([[0, 1]])], [1.0, 0.5])


@pytest.mark.parametrize(("couplings", "delta"), [([1.0], 1.0), ([1.0, 0.3], 0.6)])
def test_marshall_is_the_similarity_by_the_sign_of_the_sublattice(kron, couplings, delta):
    lattice = FACTORIES["square"]((2, 3), (True, False))
    n, edges, signs_N = lattice.n_sites, orders(lattice, len(couplings)), bipartition(lattice)
    dense = dense_heisenberg(kron, n, edges, couplings, delta)
    sublattice = tuple(np.nonzero(signs_N < 0)[0].tolist())
    U = np.diag(kron(n, "Z" * len(sublattice), sublattice))
    matrix = sparse_matrix(heisenberg(n, edges, couplings, delta=delta, marshall_signs=signs_N), spin_half(n))
    np.testing.assert_allclose(matrix.toarray(), U[:, None] * dense * U[None, :], rtol=0, atol=1e-12)


def test_marshall_makes_the_ground_state_positive():
    lattice = FACTORIES["chain"]((8,), (True,))
    edges, space = [neighbours(lattice, 1)], spin_half(8, 0)
    plain, _ = lowest_states(heisenberg(8, edges, [1.0]), space)
    energy, vector = lowest_states(heisenberg(8, edges, [1.0], marshall_signs=bipartition(lattice)), space)
    np.testing.assert_allclose(energy, plain, rtol=1e-12)
    assert np.all(vector[:, 0] * np.sign(vector[0, 0]) > 1e-3)
