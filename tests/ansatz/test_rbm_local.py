"""The RBM of local range against that of all weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.product import sites_of_units
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.ansatz.rbm_local import rbm_local
from nqs_hpc.choices.ansatz.rbm_local import near
from nqs_hpc.system.lattice import FACTORIES
from tests.systems import all_states


def log_psi_of(ansatz, params, states) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, states))


@pytest.mark.parametrize("dtype", ["real", "complex"])
def test_half_of_a_ring_is_the_whole_rbm(dtype):
    n = 7
    lattice = FACTORIES["chain"]((n,), (True,))
    assert near(lattice, 3).all() and not near(lattice, 2).all()
    options = {"n_hidden": 10, "dtype": dtype, "init_scale": 0.4}
    local, whole = rbm_local(near(lattice, 3), **options), rbm(n, **options)
    params, wanted = local.init(jax.random.key(2)), whole.init(jax.random.key(2))
    assert params.w.shape == (70,) and local.kind == whole.kind
    found = log_psi_of(local, params, all_states(n))
    assert np.abs(found - log_psi_of(whole, wanted, all_states(n))).max() < 1e-12


@pytest.mark.parametrize("reach", [1, 2])
def test_units_see_what_is_near_them(reach):
    """log psi written out, on an open chain; a unit behind the range of a site does not move with it."""
    n, n_hidden = 6, 9
    ansatz = rbm_local(near(FACTORIES["chain"]((n,), (False,)), reach), n_hidden=n_hidden, init_scale=0.5)
    params = ansatz.init(jax.random.key(0))
    stands = sites_of_units(n, n_hidden)
    pairs = [(i, j) for i in range(n) for j in range(n_hidden) if abs(i - stands[j]) <= reach]
    w = np.zeros((n, n_hidden))
    for (i, j), value in zip(pairs, np.asarray(params.w), strict=True):
        w[i, j] = value
    states = all_states(n)
    wanted = states @ np.asarray(params.a) + np.log(2 * np.cosh(states @ w + np.asarray(params.b))).sum(axis=1)
    assert np.abs(log_psi_of(ansatz, params, states) - wanted).max() < 1e-12


def test_what_is_near_on_a_square():
    lattice = FACTORIES["square"]((5, 4), (True, False))
    x, y = np.arange(20) % 5, np.arange(20) // 5
    across = np.abs(x[:, None] - x[None, :])
    steps = np.minimum(across, 5 - across) + np.abs(y[:, None] - y[None, :])
    for reach in (1, 2, 3):
        assert np.array_equal(near(lattice, reach), steps <= reach)
    both = near(lattice._replace(layers=2, n_sites=40), 2)
    assert np.array_equal(both, np.tile(steps <= 2, (2, 2)))


def test_a_product_state_stands_on_the_sites_of_the_units():
    n, fields = 6, np.linspace(-0.4, 0.5, 6)
    ansatz = rbm_local(near(FACTORIES["chain"]((n,), (True,)), 1), n_hidden=n)
    found = log_psi_of(ansatz, ansatz.product_state(jnp.asarray(fields)), all_states(n))
    apart = found - all_states(n) @ fields
    assert np.ptp(apart) < 1e-13
