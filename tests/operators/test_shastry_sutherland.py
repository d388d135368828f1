"""The Shastry-Sutherland model against its product of singlets, exchange matrices, and known limits."""

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import eigsh

from nqs_hpc.config.compose import compose
from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.operators.shastry_sutherland import dimers
from nqs_hpc.system.hilbert import codes, decode, spin_half
from nqs_hpc.system.lattice import FACTORIES

# sites of the 4 x 4 torus, row by row from below; the dimers as they are drawn in the paper, each site once
DIMERS = [(0, 5), (2, 7), (8, 13), (10, 15), (6, 9), (4, 11), (1, 14), (3, 12)]


def config(*words, extent=(4, 4)):
    size = f"lattice.extent=[{extent[0]},{extent[1]}]"
    return compose(["lattice=square", size, "hamiltonian=shastry_sutherland", *words], 1)


def matrix_of(one, *, written=True):
    lattice, hamiltonian = one.make_sites(), one.hamiltonian.as_written() if written else one.hamiltonian
    return sparse_matrix(hamiltonian.operator(lattice), spin_half(lattice.n_sites, 0))


def exchanges(n_sites, couplings):
    """sum J_ij (P_ij - 1/2) / 2 in the sector of total 0, P_ij the exchange of two sites."""
    states = np.array([s for s in itertools.product((1, -1), repeat=n_sites) if sum(s) == 0])
    number = {tuple(s): k for k, s in enumerate(states.tolist())}
    total = sparse.csr_matrix((len(states), len(states)))
    for (i, j), coupling in couplings.items():
        moved = states.copy()
        moved[:, [i, j]] = moved[:, [j, i]]
        to = [number[tuple(s)] for s in moved.tolist()]
        P = sparse.csr_matrix((np.ones(len(states)), (np.arange(len(states)), to)), shape=total.shape)
        total = total + coupling * (P - 0.5 * sparse.identity(len(states))) / 2
    return total


def test_every_site_is_in_one_dimer():
    assert dimers(FACTORIES["square"]((4, 4), (True, True))).tolist() == sorted(map(list, DIMERS))
    for extent in ((2, 2), (2, 6), (6, 4)):
        found = dimers(FACTORIES["square"](extent, (True, True)))
        assert sorted(found.ravel().tolist()) == list(range(extent[0] * extent[1]))
    assert dimers(FACTORIES["square"]((3, 3), (False, False))).tolist() == [[0, 4], [5, 7]]


@pytest.mark.parametrize("extent", [(2, 4), (4, 4)])
@pytest.mark.parametrize("J", [0.3, 0.9, -0.4])
def test_the_product_of_singlets_is_an_eigenstate(extent, J):
    one = config(f"hamiltonian.J={J}", "lattice.double_bonds=true", extent=extent)
    hilbert, pairs = spin_half(extent[0] * extent[1], 0), dimers(one.make_sites())
    s_BN = decode(hilbert, codes(hilbert))
    first, second = s_BN[:, pairs[:, 0]], s_BN[:, pairs[:, 1]]
    psi = np.where(first == -second, first, 0).prod(axis=1).astype(float)
    assert np.abs(matrix_of(one) @ psi + 3 / 8 * hilbert.n_sites * psi).max() < 1e-12


@pytest.mark.parametrize("J", [0.5, 1.2])
def test_exact_energies_of_16_sites(J):
    one = config(f"hamiltonian.J={J}")
    x = np.arange(16) % 4
    right, up = np.arange(16) - x + (x + 1) % 4, (np.arange(16) + 4) % 16
    couplings = {(min(i, j), max(i, j)): J for to in (right, up) for i, j in enumerate(to.tolist())}
    wanted = eigsh(exchanges(16, couplings | dict.fromkeys(DIMERS, 1.0)), k=1, which="SA")[0][0]
    found = lowest_states(one.hamiltonian.operator(one.make_sites()), spin_half(16, 0), 1)[0][0]
    assert found == pytest.approx(wanted, abs=1e-9)
    # strong dimers are singlets; J alone would be the Heisenberg model
    assert (found == pytest.approx(-6.0, abs=1e-9)) == (J == 0.5)


def test_limits():
    """Without dimers the Heisenberg antiferromagnet of 4 x 4 sites, -11.2284832 (Schulz, Ziman and Poilblanc 1996)."""
    one = config("hamiltonian.J=1", "hamiltonian.J_dimer=0")
    assert one.hamiltonian.marshall and one.sector == 0
    found = lowest_states(one.hamiltonian.operator(one.make_sites()), spin_half(16, 0), 1)[0][0]
    assert found == pytest.approx(-11.2284832084, abs=1e-8)


def test_signs_of_the_sublattices():
    """They turn J and leave the dimers; auto takes them where J is larger, or where they make all elements negative."""
    assert not config("hamiltonian.J=0.7").hamiltonian.marshall
    assert config("hamiltonian.J=1.1").hamiltonian.marshall
    assert config("hamiltonian.J=0.2", "hamiltonian.J_dimer=-1").hamiltonian.marshall
    assert not config("hamiltonian.J=-0.2", "hamiltonian.J_dimer=-1").hamiltonian.marshall
    one = config("hamiltonian.J=1.1", extent=(2, 4))
    written, turned = matrix_of(one).toarray(), matrix_of(one, written=False).toarray()
    s_BN = decode(spin_half(8, 0), codes(spin_half(8, 0)))
    for i, j in np.argwhere(written > 0):
        if i != j:
            is_dimer = np.flatnonzero(s_BN[i] != s_BN[j]).tolist() in dimers(one.make_sites()).tolist()
            assert turned[i, j] == (0.5 if is_dimer else -1.1 / 2)
