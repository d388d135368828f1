import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.operators import rydberg as module
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.operators.rydberg import rydberg
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES, edges_lattice
from nqs_hpc.system.points import points_lattice

LINE = np.abs(np.subtract.outer(range(6), range(6)))
RING = np.minimum(LINE, 6 - LINE)
TRIANGLE = [(0.0, 0.0), (1.5, 0.0), (0.0, 2.0)]
PLAQUETTE = [[0, 1, 1, 2**0.5], [1, 0, 2**0.5, 1], [1, 2**0.5, 0, 1], [2**0.5, 1, 1, 0]]
# the lattice, its distances as one writes them by hand, and the largest that counts
CASES = {
    "ring": (FACTORIES["chain"]((6,), (True,)), RING, None),
    "ring, cut off at 2": (FACTORIES["chain"]((6,), (True,)), RING, 2.0),
    "open chain": (FACTORIES["chain"]((6,), (False,)), LINE, None),
    "plaquette, cut off at 1.2": (FACTORIES["square"]((2, 2), (False, False)), PLAQUETTE, 1.2),
    "torus of extent 2": (FACTORIES["square"]((2, 2), (True, True)), PLAQUETTE, None),  # nearest image, once
    "points": (points_lattice(TRIANGLE), [[0, 1.5, 2], [1.5, 0, 2.5], [2, 2.5, 0]], None),
}


@pytest.fixture(params=["a product with the matrix", "pair by pair"])
def way(request, monkeypatch):
    """Both ways to sum the pairs, whatever the size of the lattice would choose."""
    monkeypatch.setattr(module, "DENSE", 0 if request.param.startswith("a product") else 10**9)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("case", CASES)
def test_matrix_is_the_sum_of_kronecker_products(kron, case):
    lattice, r, cutoff = CASES[case]
    n, omega, delta, strength = lattice.n_sites, 1.3, 0.7, 5.0
    one = np.eye(2**n)
    excited = [(one - kron(n, "Z", (i,))) / 2 for i in range(n)]
    dense = sum(-omega / 2 * kron(n, "X", (i,)) - delta * excited[i] for i in range(n))
    for i in range(n):
        for j in range(i):
            if cutoff is None or r[i][j] <= cutoff:
                dense = dense + strength / r[i][j] ** 6 * excited[i] @ excited[j]
    operator = rydberg(lattice, Omega=omega, delta=delta, V=strength, cutoff=cutoff)
    matrix = sparse_matrix(operator, spin_half(n)).toarray()
    np.testing.assert_allclose(matrix, dense, rtol=0, atol=1e-12 * np.abs(dense).max())
    assert operator.e_infinity == pytest.approx(np.trace(dense).real / 2**n, rel=1e-12)


def test_both_ways_agree_on_many_atoms(monkeypatch):
    lattice = FACTORIES["triangular"]((9, 8), (True, False))
    s_BN = np.random.default_rng(0).choice([1, -1], (4, lattice.n_sites)).astype(np.int8)
    found = []
    for dense in (0, 10**9):
        monkeypatch.setattr(module, "DENSE", dense)
        operator = rydberg(lattice, Omega=1.0, delta=1.0, V=7.0)
        found.append([float(operator.diagonal(jnp.asarray(s_N))) for s_N in s_BN])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


def test_no_geometry():
    with pytest.raises(ValueError, match="no geometry"):
        rydberg(edges_lattice(3, {1: [(0, 1), (1, 2)]}), Omega=1.0, delta=1.0, V=7.0)
