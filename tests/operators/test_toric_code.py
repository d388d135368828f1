import numpy as np
import pytest

from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.operators.toric_code import toric_code
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.links import links

# Stars and faces written down by hand from drawings, each vertex with its right and its upper link as far as they are
# there, row by row from below; on the torus and the cylinder a vertex, or a column, is a cell:
#     x--3--x      x--5--x--6--x      (0,1)--2--(1,1)--5--      4 5   6 7
#     1     2      1     3     4        1         4           ^ 0 1   2 3
#     x--0--x      x--0--x--2--x      (0,0)--0--(1,0)--3--      cells of the torus, right and up
DRAWN = {
    "2x2 open": ((2, 2), (False, False), [(0, 1), (0, 2), (1, 3), (2, 3)], [(0, 1, 2, 3)]),
    "2x2 torus": (
        (2, 2),
        (True, True),
        [(0, 2, 1, 5), (0, 2, 3, 7), (4, 6, 1, 5), (4, 6, 3, 7)],
        [(0, 4, 1, 3), (2, 6, 1, 3), (0, 4, 5, 7), (2, 6, 5, 7)],
    ),
    "2x2 cylinder": (
        (2, 2),
        (True, False),
        [(0, 3, 1), (0, 3, 4), (2, 5, 1), (2, 5, 4)],
        [(0, 2, 1, 4), (3, 5, 1, 4)],
    ),
    "3x2 open": (
        (3, 2),
        (False, False),
        [(0, 1), (0, 2, 3), (2, 4), (1, 5), (5, 3, 6), (6, 4)],
        [(0, 1, 3, 5), (2, 3, 4, 6)],
    ),
}


@pytest.mark.parametrize("fields", [(0.0, 0.0, 0.0), (0.3, 0.0, 0.2), (0.3, -0.4, 0.2)])
@pytest.mark.parametrize("name", DRAWN)
def test_matrix_is_the_sum_of_kronecker_products(kron, name, fields):
    extent, pbc, crosses, faces = DRAWN[name]
    lattice = links(FACTORIES["square"](extent, pbc))
    n = lattice.n_sites
    dense = -sum(kron(n, "X" * len(star), star) for star in crosses)
    dense = dense - sum(kron(n, "ZZZZ", face) for face in faces)
    for field, letter in zip(fields, "XYZ", strict=True):
        dense = dense - field * sum(kron(n, letter, (i,)) for i in range(n))
    hx, hy, hz = fields
    operator = toric_code(lattice, hx=hx, hy=hy, hz=hz)
    matrix = sparse_matrix(operator, spin_half(n)).toarray()
    np.testing.assert_allclose(matrix, dense, rtol=0, atol=1e-12 * np.abs(dense).max())
    assert operator.is_real == (hy == 0) and operator.e_infinity == 0


@pytest.mark.parametrize(
    ("pbc", "energy", "degenerate"),
    [((False, False), -4 - 1, 1), ((True, False), -4 - 2, 2), ((True, True), -4 - 4, 4)],
)
def test_ground_states_without_field_count_the_holes(pbc, energy, degenerate):
    """Every star and face is satisfied: in one state of the open lattice, two of the cylinder, four of the torus."""
    lattice = links(FACTORIES["square"]((2, 2), pbc))
    levels = np.linalg.eigvalsh(sparse_matrix(toric_code(lattice), spin_half(lattice.n_sites)).toarray())
    np.testing.assert_allclose(levels[:degenerate], energy, rtol=1e-12)
    assert levels[degenerate] > energy + 1
