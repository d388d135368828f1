"""Couplings in time: one program, exact zeros, what is refused; and all that goes over an operator in time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.operators.basis_change import seen
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.local_values import local_values
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.ramped import Coupling, ramped
from nqs_hpc.system.basis import Basis, signs_of_states
from nqs_hpc.system.hilbert import codes, decode, spin_half
from nqs_hpc.types import PauliString
from tests.systems import all_states, amplitudes, ansatz_of, dense, ring, tfim_ring

N = 6
SPACE = spin_half(N)


def linear(start, end):
    return Coupling(lambda time: start + (end - start) * time, min(start, end), max(start, end))


def field_ramp():
    """h from 2 to -2 over a unit of time."""
    return ramped(lambda c: ising(N, ring(N), J=1.0, h=c[0]), [linear(2.0, -2.0)], SPACE)


def test_one_program_for_all_times_and_exact_zeros():
    operator, corners = field_ramp()
    assert len(corners) == 2 and operator.n_connected == N
    count = 0

    @jax.jit
    def row(time, s_N):
        nonlocal count
        count += 1
        return operator.at(time).connected(s_N)

    s_N = jnp.asarray(all_states(N)[5])
    for time in (0.0, 0.25, 0.5, 0.75):
        moves, elements = row(jnp.float64(time), s_N)
        assert (np.asarray(elements) == -(2.0 - 4.0 * time)).all()  # to the bit, 0 as well
        assert (np.asarray(moves.deltas) != 0).all() == (time != 0.5)
    assert count == 1


@pytest.mark.parametrize("kind", ["rbm-complex", "mlp-complex"])
def test_local_values_at_a_traced_time(kind):
    ansatz = ansatz_of(kind, N)
    params = ansatz.init(jax.random.key(1))
    states = all_states(N)
    psi = amplitudes(ansatz, params, states)
    of = jax.jit(local_values(field_ramp().operator, chunk=16).prepare(ansatz))
    for time in (0.1, 0.5, 0.9):
        found = of(ansatz.freeze(params), jnp.asarray(states), jnp.float64(time))
        exact = tfim_ring(N, 2.0 - 4.0 * time) @ psi / psi
        np.testing.assert_allclose(np.asarray(found), exact, rtol=1e-9, atol=1e-9)


def test_in_another_basis_and_within_a_sector():
    """P U H(t) U P, of a Hamiltonian that leads out of the sector."""
    space = spin_half(N, 0)
    signs_N = np.array([1, -1] * (N // 2), np.int8)

    def make(c):
        bonds = [(i, (i + 1) % N) for i in range(N)]
        exchange = [PauliString(c[0], a + a, pair) for pair in bonds for a in "XYZ"]
        return pauli(N, exchange + [PauliString(c[1], "X", (i,)) for i in range(N)])

    operator = seen(ramped(make, [linear(1.0, 0.2), linear(0.3, -0.3)], SPACE).operator, Basis(space, signs_N))
    matrix = sparse_matrix(operator, space, time=0.25).toarray()
    bonds = [{i: a, (i + 1) % N: a} for i in range(N) for a in "XYZ"]
    exact = dense(N, [(0.8, bond) for bond in bonds])
    inside = codes(space)
    signs = signs_of_states(Basis(space, signs_N), decode(space, inside))
    wanted = signs[:, None] * exact[np.ix_(inside, inside)].real * signs
    np.testing.assert_allclose(matrix, wanted, atol=1e-12)
    parts = [float(f(jnp.float64(0.25))) * sparse_matrix(term, space).toarray() for f, term in operator.terms]
    np.testing.assert_allclose(sum(parts), wanted, atol=1e-12)


def test_blocks_of_moves_are_those_of_all_moves():
    def make(c):
        return pauli(N, [PauliString(c[0], "X", (i,)) for i in range(N)] + [PauliString(c[1], "YZ", (0, 1))])

    operator = ramped(make, [linear(1.0, 0.0), linear(-0.5, 0.5)], SPACE).operator.at(jnp.float64(0.75))
    assert not operator.is_real
    s_N = jnp.asarray(all_states(N)[11])
    moves, elements = operator.connected(s_N)
    blocks = [operator.connected_some(s_N, jnp.int32(start), 4) for start in (0, 4)]
    assert np.concatenate([b[1] for b in blocks])[:N].tolist() == elements.tolist()
    assert np.concatenate([b[0].deltas for b in blocks])[:N].tolist() == moves.deltas.tolist()


def of_products(c):
    """Of first order in each coupling: the product of all."""
    return ising(N, ring(N), J=float(np.prod(c)), h=c[0])


@pytest.mark.parametrize(
    ("make", "k"),
    [
        (lambda c: ising(N, ring(N), J=1.0, h=c[0] ** 2), 1),
        (lambda c: ising(N, ring(N), J=1.0, h=abs(c[0])), 1),
        (lambda c: ising(N, ring(N), J=max(c[0], 0.0), h=1.0), 1),
        (lambda c: ising(N, ring(N), J=1.0, h=max(c[0], 0.0)), 1),  # moves that come and go
        (of_products, 5),
        (lambda c: ising(N, ring(N), J=1.0, h=sum(c)), 9),
    ],
)
def test_what_is_not_of_first_order_is_refused(make, k):
    with pytest.raises(ValueError, match=r"first order|from 1 to 8 can") as caught:
        ramped(make, [linear(1.0, -0.5)] * k, SPACE)
    assert "\n" not in str(caught.value)


def test_products_of_couplings():
    operator, corners = ramped(of_products, [linear(1.0, -0.5), linear(2.0, 3.0), linear(0.5, 0.1)], SPACE)
    assert len(corners) == 8
    for time in (0.0, 0.6):
        now = [1.0 - 1.5 * time, 2.0 + time, 0.5 - 0.4 * time]
        exact = sparse_matrix(of_products(now), SPACE)
        assert abs(sparse_matrix(operator, SPACE, time=time) - exact).max() < 1e-12
        assert operator.bounds[0] <= of_products(now).bounds[0]


def test_affine_in_many_couplings():
    def make(c):
        strings = [PauliString(x, "X", (i % N,)) for i, x in enumerate(c)]
        return pauli(N, strings)

    k = N
    operator, corners = ramped(make, [linear(1.0 + i, -1.0) for i in range(k)], SPACE)
    assert len(corners) == k + 1
    now = [1.0 + i + (-2.0 - i) * 0.3 for i in range(k)]
    assert abs(sparse_matrix(operator, SPACE, time=0.3) - sparse_matrix(make(now), SPACE)).max() < 1e-12
