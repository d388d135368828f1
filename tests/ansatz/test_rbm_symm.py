"""Shared weights: the RBM written out, by every translation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.product import LEAST, MOST
from nqs_hpc.ansatz.rbm_symm import RBMSymmParams, rbm_symm
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import jacobian
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.symmetry import translations
from tests.systems import all_numbers, all_states

RING = FACTORIES["chain"]((5,), (True,))
HONEYCOMB = FACTORIES["honeycomb"]((2, 2), (True, True))  # two sites a cell


def drawn(ansatz, seed=0) -> RBMSymmParams:
    rng = np.random.default_rng(seed)

    def leaf(x):
        return 0.4 * (rng.normal(size=x.shape) + 1j * rng.normal(size=x.shape))

    return jax.tree.map(leaf, jax.eval_shape(ansatz.init, jax.random.key(0)))


def written_out(lattice, params: RBMSymmParams, s_N: np.ndarray) -> complex:
    """Unit by unit and cell by cell; the site in cell c of place p is c n + p."""
    n, size = len(lattice.basis), lattice.extent
    total = sum(params.a[i % n] * s for i, s in enumerate(s_N))
    for shift in np.ndindex(size):
        for w, b in zip(params.w, params.b, strict=True):
            theta = b
            for i, weight in enumerate(w):
                cell = np.array(np.unravel_index(i // n, size, order="F"))
                to = np.ravel_multi_index((cell + shift) % size, size, order="F") * n + i % n
                theta = theta + weight * s_N[to]
            total += np.log(2 * np.cosh(theta))
    return total


@pytest.mark.parametrize("lattice", [RING, HONEYCOMB], ids=["ring", "honeycomb"])
@pytest.mark.parametrize("values", [(1, -1), (0, 1, 2)])
def test_log_psi_is_the_sum_written_out(lattice, values):
    ansatz = rbm_symm(translations(lattice), n_features=2, dtype="complex", local_values=values)
    params = drawn(ansatz)
    assert params.a.shape == (len(lattice.basis),) and params.w.shape == (2, lattice.n_sites)
    states = np.random.default_rng(1).choice(np.array(values, np.int8), size=(4, lattice.n_sites))
    found = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, states)
    apart = np.exp(found - np.array([written_out(lattice, params, s) for s in states.astype(int)]))
    assert np.abs(apart - 1).max() < 1e-12


def test_log_derivatives_are_sums_over_translations():
    ansatz = rbm_symm(translations(RING), n_features=3, dtype="complex")
    params, states = drawn(ansatz), all_states(5)
    rows = np.asarray(jacobian(ansatz, flat(params, ansatz.kind), params, states, None))
    shifted = np.stack([np.roll(states, -t, axis=1) for t in range(5)], axis=1).astype(float)  # (B, t, N)
    tanh = np.tanh(shifted @ params.w.T + params.b)
    wanted = [np.einsum("btf,btn->bfn", tanh, shifted).reshape(len(states), -1), states.sum(1, keepdims=True)]
    np.testing.assert_allclose(rows, np.concatenate([*wanted, tanh.sum(axis=1)], axis=1), atol=1e-12)


def test_sums_of_many_spins_do_not_overflow():
    """Of 300 spins that are up, which no int8 holds."""
    ring = FACTORIES["chain"]((300,), (True,))
    ansatz = rbm_symm(translations(ring), n_features=1)
    params = RBMSymmParams(jnp.zeros((1, 300)), jnp.ones(1), jnp.zeros(1))
    up = jnp.ones(300, jnp.int8)
    assert abs(ansatz.log_psi(params, up) - ansatz.log_psi(params, -up) - 600) < 1e-9


def test_each_feature_of_a_product_state_is_on_one_site_of_a_cell():
    ansatz = rbm_symm(translations(HONEYCOMB), n_features=4, local_values=(0, 1))
    fields = np.tile([0.4, -0.3], 4)
    params = ansatz.product_state(fields)
    w = np.asarray(params.w)
    assert [np.flatnonzero(row).tolist() for row in w] == [[0], [1], [0], [1]]
    strengths = w[w != 0] / 2  # of x = 2 n - 1
    assert len(set(strengths.tolist())) == 4 and strengths.min() >= LEAST and strengths.max() <= MOST
    states = all_numbers(8, 1)
    log_psi = np.asarray(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(params, states))
    apart = log_psi - (2 * states - 1) @ fields
    assert np.ptp(apart) < 1e-12
    with pytest.raises(ValueError, match="same in all cells"):
        ansatz.product_state(np.array([0.4, -0.3, 0.4, -0.3, 0.4, -0.3, 0.4, 0.3]))
