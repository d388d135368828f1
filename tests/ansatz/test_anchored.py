"""A network moved to a product state: the formula written out, its start, kinds, zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.anchored import anchored, difference
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import jacobian
from nqs_hpc.types import Move
from tests.systems import all_states

N = 4
STATES = all_states(N)
FIELDS = np.array([0.3 - 0.2j, 1.0, 0.4j, -0.7 + 1.0j])
SIGNS = np.array([0.3, 0.5j * np.pi, -0.2 + 0.5j * np.pi, 0.1])
NETS = {
    "real": mlp(N, widths=(5,), activation="tanh"),
    "complex": mlp(N, widths=(5,), activation="tanh", dtype="complex"),
    "holomorphic": rbm(N, n_hidden=3, dtype="complex", init_scale=0.3),
}


def log_psi(ansatz, params) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, STATES), complex)


@pytest.mark.parametrize("kind", NETS)
def test_log_psi_and_ratios_are_the_formula(kind):
    """Other parameters than the first ones; ratios of two flips by a cache that has walked."""
    net, fields = NETS[kind], SIGNS if kind == "real" else FIELDS
    ansatz = anchored(net, fields, seed=3)
    assert ansatz.kind == ("signed" if kind == "real" else kind)
    start, params = net.init(jax.random.key(3)), jax.tree.map(lambda x: 1.5 * x, net.init(jax.random.key(8)))
    wanted = log_psi(net, params) - log_psi(net, start) + STATES @ fields
    apart = np.exp(log_psi(ansatz, params) - wanted)
    assert np.abs(apart / apart[0] - 1).max() < 1e-12

    @jax.jit
    @jax.vmap
    def ratio(s_N):
        frozen = ansatz.freeze(params)
        first, second = (
            Move(jnp.array([1]), -2 * s_N[1:2]),
            Move(jnp.array([3, 0]), jnp.stack([-2 * s_N[3], 0 * s_N[0]])),
        )
        cache = ansatz.advance(frozen, s_N, ansatz.prepare(frozen, s_N), first)
        return ansatz.log_ratio(frozen, s_N.at[1].multiply(-1), cache, second)

    index = {tuple(s): i for i, s in enumerate(STATES.tolist())}
    before, after = STATES * np.array([1, -1, 1, 1]), STATES * np.array([1, -1, 1, -1])
    exact = np.exp([wanted[index[tuple(b)]] - wanted[index[tuple(a)]] for a, b in zip(before, after, strict=True)])
    np.testing.assert_allclose(np.exp(np.asarray(ratio(STATES), complex)), exact, rtol=1e-12)


@pytest.mark.parametrize("kind", NETS)
def test_it_begins_as_the_product_state_and_moves_as_the_network(kind):
    net, fields = NETS[kind], SIGNS if kind == "real" else FIELDS
    ansatz = anchored(net, fields, seed=3)
    params = jax.jit(ansatz.init)(jax.random.key(5))
    for first, own in zip(jax.tree.leaves(params), jax.tree.leaves(net.init(jax.random.key(3))), strict=True):
        np.testing.assert_allclose(first, own, rtol=1e-14)
    psi = np.exp(log_psi(ansatz, params) - STATES @ fields)
    assert np.abs(psi / psi[0] - 1).max() < 1e-12
    form = flat(params, ansatz.kind)
    rows, wanted = (jacobian(one, form, params, STATES, None) for one in (ansatz, net))
    np.testing.assert_allclose(rows, wanted, atol=1e-14)
    assert ansatz.factors is net.factors and np.linalg.matrix_rank(np.asarray(wanted)) > N


def test_a_positive_network_with_real_fields_is_positive():
    ansatz = anchored(NETS["real"], FIELDS.real + 1j * np.pi)
    assert ansatz.kind == "real"
    assert jax.eval_shape(ansatz.log_psi, ansatz.init(jax.random.key(0)), STATES[0]).dtype == jnp.float64


def test_other_phases_need_a_network_with_phases():
    with pytest.raises(ValueError, match="dtype=complex"):
        anchored(NETS["real"], FIELDS)


def test_the_state_is_the_one_it_was_made_for():
    ansatz = anchored(NETS["complex"], FIELDS)
    same = ansatz.product_state(FIELDS - 1j * np.pi)
    assert all(map(np.array_equal, jax.tree.leaves(same), jax.tree.leaves(ansatz.init(jax.random.key(1)))))
    with pytest.raises(ValueError, match=r"ansatz\.state"):
        ansatz.product_state(FIELDS + 1e-6)


def test_first_parameters_are_drawn_in_the_program():
    """No constant of their size is in what is compiled."""
    wide = mlp(N, widths=(4096,), activation="tanh")
    ansatz = anchored(wide, np.zeros(N))
    params = jax.eval_shape(ansatz.init, jax.random.key(0))
    lowered = jax.jit(lambda p, s_N: ansatz.log_psi(p, s_N)).lower(params, jnp.asarray(STATES[0]))
    assert len(lowered.as_text()) < 100_000
    assert len(lowered.compile().as_text()) < 300_000


def test_zeros_of_the_network_stay_zeros():
    minus = jnp.float64(-jnp.inf)
    assert difference(minus, jnp.float64(1.0)) == minus and difference(minus, minus) == minus
    assert difference(jnp.float64(2.0), minus) == 2 and difference(jnp.float64(2.0), jnp.float64(0.5)) == 1.5
