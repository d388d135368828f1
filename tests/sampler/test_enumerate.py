"""Enumeration: every state once with its exact weight, dealt to any number of ranks."""

import jax
import numpy as np
import pytest

from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.system.hilbert import spin_half
from tests.systems import SERIAL, all_states, amplitudes, ansatz_of


@pytest.mark.parametrize("total", [None, 0])
def test_states_and_weights(total):
    ansatz = ansatz_of("rbm-complex", 6)
    params = ansatz.init(jax.random.key(0))
    _, samples, _ = enumeration(ansatz, spin_half(6, total), SERIAL, chunk=7).sample(jax.random.key(0), params, ())
    states = all_states(6, total)
    assert np.array_equal(samples.s_BN, states)
    assert np.abs(samples.w_B - np.abs(amplitudes(ansatz, params, states)) ** 2).max() < 1e-14


def test_weights_of_large_amplitudes_do_not_overflow():
    ansatz = ansatz_of("jastrow", 6)
    params = jax.tree.map(lambda x: 2000 * x, ansatz.init(jax.random.key(0)))
    _, samples, _ = enumeration(ansatz, spin_half(6), SERIAL).sample(jax.random.key(0), params, ())
    assert np.isfinite(samples.w_B).all() and np.sum(samples.w_B) == pytest.approx(1, abs=1e-12)


def test_ranks_share_the_states_with_pads_of_weight_zero():
    """20 states over 3 ranks: 7 each, one pad. What the ranks tell each other is played by hand."""
    ansatz = ansatz_of("rbm-real", 6)
    params = ansatz.init(jax.random.key(0))
    hilbert = spin_half(6, 0)
    whole = enumeration(ansatz, hilbert, SERIAL).sample(jax.random.key(0), params, ())[1]
    log_w = 2 * np.asarray(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(params, whole.s_BN))
    shares = [log_w[:7], log_w[7:14], log_w[14:]]
    told = np.array([[share.max(), np.exp(share - share.max()).sum()] for share in shares])
    parts = []
    for rank in range(3):

        def gather(x, rank=rank):
            assert np.allclose(x, told[rank], rtol=1e-14)
            return jax.numpy.asarray(told)

        comm = SERIAL._replace(rank=rank, size=3, gather=gather)
        parts.append(enumeration(ansatz, hilbert, comm).sample(jax.random.key(0), params, ())[1])
    s = np.concatenate([part.s_BN for part in parts])
    w = np.concatenate([part.w_B for part in parts])
    assert w[20:].tolist() == [0.0]
    assert np.array_equal(s[:20], whole.s_BN) and np.abs(w[:20] - whole.w_B).max() < 1e-15
