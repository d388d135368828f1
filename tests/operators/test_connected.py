"""What every operator promises of ``connected``, whichever its family."""

from math import prod

import jax
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr

from nqs_hpc.operators.bose_hubbard import bose_hubbard
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.rydberg import rydberg
from nqs_hpc.operators.toric_code import toric_code
from nqs_hpc.system.lattice import FACTORIES, bipartition, neighbours
from nqs_hpc.system.links import links
from nqs_hpc.types import PauliString

LATTICE = FACTORIES["square"]((6, 6), (True, True))
N, EDGES = LATTICE.n_sites, [neighbours(LATTICE, 1), neighbours(LATTICE, 2)]
STRINGS = [
    PauliString(c, letters, tuple(edge))
    for edge in EDGES[0].tolist()
    for letters, c in (("XX", 0.5), ("YY", 0.5), ("ZZ", 1))
]
OPERATORS = {
    "ising": ising(N, EDGES[0], J=1.0, h=3.0, g=0.2),
    "ising without field": ising(N, EDGES[0], J=1.0, h=0.0),
    "heisenberg": heisenberg(N, EDGES, [1.0, 0.5], marshall_signs=bipartition(LATTICE)),
    "pauli": pauli(N, STRINGS),
    "complex pauli": pauli(N, [*STRINGS, PauliString(0.3, "XYZ", (0, 7, 14)), PauliString(-1.0, "Y", (35,))]),
    "diagonal pauli": pauli(N, [PauliString(1.0, "ZZ", (0, 7))]),
    "rydberg": rydberg(LATTICE, Omega=1.0, delta=1.0, V=7.0),
    "toric code": toric_code(links(FACTORIES["square"]((3, 6), (True, True))), hx=0.2, hy=0.1, hz=0.3),
    "bose-hubbard": bose_hubbard(N, EDGES[0], J=1.0, U=4.0, mu=0.2, n_max=3),
}
VALUES = {"bose-hubbard": (0, 1, 2, 3)}  # of one site; +1 and -1 elsewhere


@pytest.fixture(params=OPERATORS)
def case(request):
    return OPERATORS[request.param], VALUES.get(request.param, (1, -1))


def test_shapes_dtypes_and_vanishing_elements(case):
    operator, values = case
    s_BN = np.random.default_rng(0).choice(values, size=(16, N)).astype(np.int8)
    moves, elements_BK = jax.jit(jax.vmap(operator.connected))(s_BN)
    diagonal_B = jax.jit(jax.vmap(operator.diagonal))(s_BN)
    assert diagonal_B.shape == (16,) and diagonal_B.dtype == np.float64
    assert elements_BK.shape == (16, operator.n_connected)
    assert elements_BK.dtype == (np.float64 if operator.is_real else np.complex128)
    assert moves.sites.dtype == np.int32 and moves.deltas.dtype == np.int8
    assert moves.sites.shape == moves.deltas.shape and moves.sites.shape[:2] == (16, operator.n_connected)
    sites, deltas = np.asarray(moves.sites), np.asarray(moves.deltas)
    moved = deltas != 0
    np.testing.assert_array_equal(moved.any(axis=2), np.asarray(elements_BK) != 0)
    old = np.take_along_axis(np.broadcast_to(s_BN[:, None, :], (16, operator.n_connected, N)), sites, axis=2)
    assert np.isin(old + deltas, values).all()  # s' is a configuration
    for b, k in np.ndindex(moved.shape[:2]):
        assert len(set(sites[b, k][moved[b, k]])) == moved[b, k].sum()  # on distinct sites


def test_both_ends_of_a_move_agree(case):
    """Hermitian beyond the sizes that have a matrix: the element back from s' is the conjugate of the one to it."""
    operator, values = case
    s_N = np.random.default_rng(1).choice(values, size=N).astype(np.int8)
    connected = jax.jit(operator.connected)
    (sites, deltas), elements_K = jax.tree.map(np.asarray, connected(s_N))
    for k in np.nonzero(elements_K)[0][::7]:
        other_N = s_N.copy()
        np.add.at(other_N, sites[k], deltas[k])
        moves, back_K = jax.tree.map(np.asarray, connected(other_N))
        (same,) = [
            i
            for i in np.nonzero(back_K)[0]
            if sorted(zip(moves.sites[i], -moves.deltas[i], strict=True))
            == sorted(zip(sites[k], deltas[k], strict=True))
        ]
        np.testing.assert_allclose(back_K[same], elements_K[k].conj(), rtol=1e-12)


def intermediates(jaxpr: Jaxpr):
    for equation in jaxpr.eqns:
        yield from (variable.aval for variable in equation.outvars)
        for value in jax.tree.leaves(equation.params, is_leaf=lambda x: isinstance(x, ClosedJaxpr | Jaxpr)):
            if isinstance(value, ClosedJaxpr):
                yield from intermediates(value.jaxpr)
            elif isinstance(value, Jaxpr):
                yield from intermediates(value)


@pytest.mark.parametrize("name", ["ising", "heisenberg", "complex pauli"])
def test_connected_states_are_never_written_out(name):
    operator = OPERATORS[name]
    jaxpr = jax.make_jaxpr(operator.connected)(np.ones(N, dtype=np.int8))
    largest = max(prod(aval.shape) for aval in intermediates(jaxpr.jaxpr))
    assert operator.n_connected <= largest < operator.n_connected * N / 4
