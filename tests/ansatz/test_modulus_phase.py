"""Modulus and phase apart, against the two networks alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.modulus_phase import modulus_phase
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.gradient.factored import part_rows
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import jacobian
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.types import Move
from tests.systems import SERIAL, all_states

N = 4
MODULUS = rbm(N, n_hidden=3, init_scale=0.2)
PHASE = mlp(N, widths=(3,))
BOTH = modulus_phase(MODULUS, PHASE)
PARAMS = jax.jit(BOTH.init)(jax.random.key(0))
STATES = all_states(N)


def test_the_two_networks_are_log_psi():
    log_psi = jax.jit(jax.vmap(BOTH.log_psi, in_axes=(None, 0)))(PARAMS, STATES)
    assert BOTH.kind == "complex"
    np.testing.assert_allclose(
        log_psi.real, jax.vmap(MODULUS.log_psi, in_axes=(None, 0))(PARAMS.modulus, STATES), rtol=1e-14
    )
    np.testing.assert_allclose(
        log_psi.imag, jax.vmap(PHASE.log_psi, in_axes=(None, 0))(PARAMS.phase, STATES), rtol=1e-14
    )


@pytest.mark.parametrize("phase", [MODULUS, PHASE])
def test_factors_multiply_to_the_jacobian(phase):
    """Also where both are one and the same network, with parameters of their own."""
    ansatz = modulus_phase(MODULUS, phase)
    params = jax.jit(ansatz.init)(jax.random.key(1))

    @jax.jit
    def both_ways(params, s_BN):
        rows = part_rows(ansatz, params, s_BN, None)
        return rows, jacobian(ansatz, flat(params, "complex"), params, s_BN, None)

    rows, wanted = both_ways(params, STATES)
    columns = []
    for leaf in ansatz.factors.leaves:
        product = rows[leaf[0]] if len(leaf) == 1 else rows[leaf[0]][:, :, None] * rows[leaf[1]][:, None, :]
        columns.append(product.reshape(len(product), -1))
    assert wanted[0::2].any() and wanted[1::2].any()
    np.testing.assert_allclose(np.concatenate(columns, axis=1), wanted, atol=1e-13)


def test_without_factors_of_one_there_are_none():
    assert modulus_phase(MODULUS, jastrow(N)).factors is None


def test_chains_of_the_modulus_are_those_of_the_whole():
    hilbert = spin_half(N)
    drawn = []
    for ansatz in (BOTH, BOTH.modulus):
        sampler = metropolis(ansatz, flip(hilbert), hilbert, SERIAL, n_chains=4, n_samples=32, sweep=N, warmup=0)
        key = jnp.array([1, 2], jnp.uint32)
        drawn.append(jax.jit(sampler.sample)(key, PARAMS, jax.jit(sampler.init)(key))[1].s_BN)
    assert len(np.unique(drawn[0], axis=0)) > 4
    np.testing.assert_array_equal(*drawn)


def test_the_modulus_alone_is_the_real_part():
    move = Move(jnp.array([1]), jnp.array([-2 * STATES[5][1]], jnp.int8))

    @jax.jit
    def ratios(params):
        frozen = [ansatz.freeze(params) for ansatz in (BOTH, BOTH.modulus)]
        caches = [ansatz.prepare(f, STATES[5]) for ansatz, f in zip((BOTH, BOTH.modulus), frozen, strict=True)]
        return [
            a.log_ratio(f, STATES[5], c, move) for a, f, c in zip((BOTH, BOTH.modulus), frozen, caches, strict=True)
        ]

    whole, modulus = ratios(PARAMS)
    assert BOTH.modulus.kind == "real" and modulus != 0 and abs(whole.imag) > 0
    assert abs(modulus - whole.real) < 1e-15


@pytest.mark.parametrize(("modulus", "phase"), [("complex", "real"), ("real", "complex")])
def test_parts_are_real(modulus, phase):
    with pytest.raises(ValueError, match="a network of kind real, not complex"):
        modulus_phase(mlp(N, widths=(2,), dtype=modulus), mlp(N, widths=(2,), dtype=phase))
