"""Ring exchange against permutations of configurations, and states whose energy is known."""

import numpy as np
import pytest

from nqs_hpc.config.compose import compose
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.ring_exchange import ring_exchange_strings
from nqs_hpc.system.hilbert import codes, decode, encode, spin_half
from nqs_hpc.system.lattice import FACTORIES, neighbours

# corners in the order around: 3 x 2 sites open, and 3 x 3 of a torus, sites row by row from below
OPEN = [(0, 1, 4, 3), (1, 2, 5, 4)]
TORUS = [(x + 3 * y, (x + 1) % 3 + 3 * y, (x + 1) % 3 + 3 * ((y + 1) % 3), x + 3 * ((y + 1) % 3))
         for y in range(3) for x in range(3)]  # fmt: skip


def permutation(n_sites, sites, targets):
    """The matrix that carries the spin at each of ``sites`` to its one of ``targets``."""
    hilbert = spin_half(n_sites)
    s_BN = decode(hilbert, codes(hilbert))
    moved = s_BN.copy()
    moved[:, list(targets)] = s_BN[:, list(sites)]
    matrix = np.zeros((len(s_BN), len(s_BN)))
    matrix[np.searchsorted(codes(hilbert), encode(hilbert, moved)), np.arange(len(s_BN))] = 1
    return matrix


def dense(lattice, J, K):
    strings = ring_exchange_strings(lattice, J, K)
    return sparse_matrix(pauli(lattice.n_sites, strings), spin_half(lattice.n_sites)).toarray()


@pytest.mark.parametrize(("extent", "closed", "squares"), [((3, 2), False, OPEN), ((3, 3), True, TORUS)])
@pytest.mark.parametrize(("J", "K"), [((), 1.0), ((0.7, -0.2), 0.3)])
def test_matrix_is_the_sum_of_permutations(extent, closed, squares, J, K):
    lattice = FACTORIES["square"](extent, (closed, closed))
    n = lattice.n_sites
    wanted = np.zeros((2**n, 2**n))
    for square in squares:
        around = permutation(n, square, (*square[1:], square[0]))
        wanted += K * (around + around.T)
    for order, coupling in enumerate(J, 1):
        for i, j in neighbours(lattice, order).tolist():
            wanted += coupling * (permutation(n, (i, j), (j, i)) / 2 - np.eye(2**n) / 4)
    np.testing.assert_allclose(dense(lattice, J, K), wanted, rtol=0, atol=1e-12 * max(1, np.abs(wanted).max()))


def test_four_spins():
    """The levels of a turn by a quarter: of an orbit of n states 2 cos(2 pi k / n), k < n."""
    levels = np.linalg.eigvalsh(dense(FACTORIES["square"]((2, 2), (False, False)), (), 1.0))
    wanted = [-2.0] * 4 + [0.0] * 6 + [2.0] * 6  # the orbits of 16 states have 1, 1, 4, 4, 4 and 2
    np.testing.assert_allclose(levels, wanted, atol=1e-12)


def test_the_least_total_and_the_signs():
    words = ["lattice=square", "lattice.length=4", "hamiltonian=ring_exchange"]

    def of(*more):
        return compose([*words, *more], 1)

    assert of().sector == 0 and of().hamiltonian.marshall
    assert of("hamiltonian.K=-0.3").hamiltonian.marshall
    assert not of("hamiltonian.J=-1", "hamiltonian.K=0.3").hamiltonian.marshall
    assert of("hamiltonian.J=-1", "hamiltonian.K=-0.3").sector is None
