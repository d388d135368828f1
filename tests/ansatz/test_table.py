"""A table of amplitudes: any wave function of a space, zeros and sectors as well."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.full_evaluation import apply_move, full_evaluation
from nqs_hpc.ansatz.table import of_amplitudes, table
from nqs_hpc.system.hilbert import bosons, codes, decode, spin_half
from nqs_hpc.types import Move


@pytest.mark.parametrize("space", [spin_half(4), spin_half(5, 1), bosons(3, 2), bosons(4, 2, 3)], ids=str)
def test_log_psi_is_the_entry_of_the_state(space):
    ansatz = table(space)
    theta = ansatz.init(jax.random.key(0))
    states = decode(space, codes(space))
    assert ansatz.kind == "holomorphic" and theta.shape == (len(states),) and theta.dtype == jnp.complex128
    found = jax.vmap(ansatz.log_psi, in_axes=(None, 0))(theta, jnp.asarray(states))
    np.testing.assert_array_equal(found, theta)


def test_ratios_are_those_of_full_evaluations():
    """Moves of two sites and pads, in a sector; one of them leads out of it."""
    space = spin_half(4, 0)
    psi = np.array([1.0, 0.0, 2j, -3.0, 0.5, 1 + 1j])
    ansatz, theta = table(space), of_amplitudes(psi)
    plain = full_evaluation(ansatz.init, ansatz.log_psi, ansatz.kind)
    moves = [([0, 1], [1, 1]), ([1, 2], [1, 1]), ([3, 0], [1, 0]), ([0, 0], [0, 0])]
    for s_N in decode(space, codes(space)):
        s_N = jnp.asarray(s_N)
        for sites, flips in moves:
            sites = np.array(sites, np.int32)
            move = Move(jnp.asarray(sites), jnp.asarray(-2 * np.asarray(s_N)[sites] * flips, jnp.int8))
            if int(apply_move(s_N, move).sum()) != 0:
                wanted = 0.0 if np.isneginf(np.real(ansatz.log_psi(theta, s_N))) else -np.inf
                assert np.real(ansatz.log_ratio(theta, s_N, ansatz.prepare(theta, s_N), move)) == wanted
                continue
            one = ansatz.log_ratio(theta, s_N, ansatz.prepare(theta, s_N), move)
            other = plain.log_ratio(theta, s_N, plain.prepare(theta, s_N), move)
            np.testing.assert_array_equal(np.exp(one), np.exp(other))


def test_the_derivative_is_one_entry():
    space = spin_half(3)
    ansatz = table(space)
    theta = ansatz.init(jax.random.key(1))
    s_N = jnp.asarray(decode(space, codes(space))[5])
    slope = jax.grad(lambda theta: ansatz.log_psi(theta, s_N), holomorphic=True)(theta)
    np.testing.assert_array_equal(slope, np.eye(8)[5])
