import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.system.hilbert import Hilbert, spin_half
from nqs_hpc.types import Move, Operator, PauliString

RING = np.array([[i, (i + 1) % 9] for i in range(9)])


def spin_one_chain(n):
    """sum_i (S+_i S-_{i+1} + h.c.) / 2 + Sz_i Sz_{i+1} on an open chain of spins 1; the local values are 2 Sz."""
    sites_KF = np.array([[i, i + 1] for i in range(n - 1)] * 2, dtype=np.int32)
    up_K = np.repeat(np.array([1, -1]), n - 1)  # which of the two sites is raised

    def connected(s_N):
        m_KF = s_N[sites_KF] / 2 * up_K[:, None]  # in the frame where the first site is raised
        # <m+1|S+|m> = sqrt(2 - m (m + 1)), <m-1|S-|m> = sqrt(2 - m (m - 1))
        elements_K = 0.5 * jnp.sqrt((2 - m_KF[:, 0] * (m_KF[:, 0] + 1)) * (2 - m_KF[:, 1] * (m_KF[:, 1] - 1)))
        deltas_KF = (up_K[:, None] * np.array([[2, -2]])).astype(np.int8)
        return Move(
            jnp.asarray(sites_KF), jnp.where(elements_K[:, None] != 0, deltas_KF, 0).astype(jnp.int8)
        ), elements_K

    return Operator(lambda s_N: jnp.sum(s_N[:-1] * s_N[1:] / 4), connected, 2 * (n - 1), True, 0.0)


def test_three_local_values_and_an_uneven_order_of_them():
    sz, plus = np.diag([1.0, 0.0, -1.0]), np.sqrt(2) * np.diag([1.0, 1.0], 1)
    two = np.kron(plus, plus.T) / 2
    bond = two + two.T + np.kron(sz, sz)
    dense = np.kron(np.eye(3), bond) + np.kron(bond, np.eye(3))
    operator = spin_one_chain(3)
    np.testing.assert_allclose(sparse_matrix(operator, Hilbert(3, (2, 0, -2), None)).toarray(), dense, atol=1e-12)
    # the same matrix where digit 0 is the middle value: the order of codes follows the order of local values
    order = np.array([1, 2, 0])
    permuted = dense.reshape((3,) * 6)[np.ix_(*[order] * 6)].reshape(27, 27)
    np.testing.assert_allclose(sparse_matrix(operator, Hilbert(3, (0, -2, 2), None)).toarray(), permuted, atol=1e-12)
    # (S (S + 1) - 2 - S' (S' + 1)) / 2 with the outer two spins at S' = 2 and the middle one against them, S = 1
    np.testing.assert_allclose(lowest_states(operator, Hilbert(3, (2, 0, -2), 0))[0], [-3.0], rtol=1e-12)


def test_chunks_do_not_show():
    operator, space = ising(9, RING, J=1.0, h=0.7, g=0.1), spin_half(9)
    whole = sparse_matrix(operator, space, chunk=512)
    for chunk in (100, 4096):
        part = sparse_matrix(operator, space, chunk=chunk)
        assert part.nnz == whole.nnz and abs(part - whole).max() == 0


def test_two_moves_to_one_state_are_summed():
    sites_KF = np.array([[0], [0], [1]], dtype=np.int32)

    def connected(s_N):
        return Move(jnp.asarray(sites_KF), (-2 * s_N[sites_KF]).astype(jnp.int8)), jnp.array([0.25, 0.5, 2.0])

    matrix = sparse_matrix(Operator(lambda s_N: 0.0 * jnp.sum(s_N), connected, 3, True, 0.0), spin_half(2))
    np.testing.assert_array_equal(
        matrix.toarray(), [[0, 0.75, 2, 0], [0.75, 0, 0, 2], [2, 0, 0, 0.75], [0, 2, 0.75, 0]]
    )
    assert matrix.has_canonical_format and matrix.nnz == 12


@pytest.mark.parametrize("n", [6, 8])  # dense and Lanczos
def test_lowest_states_are_eigenvectors_also_of_complex_operators(n):
    rng = np.random.default_rng(5)
    strings = [PauliString(float(rng.normal()), a, (i,)) for i in range(n) for a in "XYZ"]
    strings += [PauliString(float(rng.normal()), a, (i, (i + 1) % n)) for i in range(n) for a in ("XY", "ZZ")]
    operator, space = pauli(n, strings), spin_half(n)
    matrix = sparse_matrix(operator, space).toarray()
    energies, vectors = lowest_states(operator, space, k=3)
    np.testing.assert_allclose(energies, np.linalg.eigvalsh(matrix)[:3], rtol=1e-12)
    np.testing.assert_allclose(vectors.conj().T @ vectors, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(matrix @ vectors, vectors * energies[None, :], rtol=0, atol=1e-10 * abs(energies[0]))


def test_no_off_diagonal_elements_and_a_degenerate_ground_state():
    energies, vectors = lowest_states(ising(9, RING, J=1.0, h=0.0), spin_half(9))
    np.testing.assert_allclose(energies, [-9.0], rtol=1e-12)
    np.testing.assert_allclose(np.sum(np.abs(vectors[[0, -1], 0]) ** 2), 1.0, rtol=1e-12)  # all up and all down


def test_what_is_refused():
    with pytest.raises(ValueError, match="at most 1048576"):
        sparse_matrix(ising(21, RING, J=1.0, h=1.0), spin_half(21))
    with pytest.raises(ValueError, match="out of the sector"):
        sparse_matrix(ising(9, RING, J=1.0, h=1.0), spin_half(9, 1))
    with pytest.raises(ValueError, match="out of the sector"):  # of one state, whose code is 0
        sparse_matrix(ising(9, RING, J=1.0, h=1.0), spin_half(9, 9))
    for k in (0, 10):
        with pytest.raises(ValueError, match=f"k={k}"):
            lowest_states(heisenberg(9, [RING], [1.0]), spin_half(9, 7), k=k)
