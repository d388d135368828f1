"""The product state: what it is, and that its best energy is that of mean-field theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.mean_field import mean_field
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.local_values import local_energies
from tests.systems import all_numbers, all_states, ring


@pytest.mark.parametrize("dtype", ["real", "complex"])
def test_psi_is_a_kronecker_product(dtype):
    n, values = 4, (0, 1, 2)
    ansatz = mean_field(n, dtype=dtype, local_values=values, init_scale=0.5)
    theta = ansatz.init(jax.random.key(1))
    psi = np.exp(np.asarray(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(theta, all_numbers(n, 2))))
    wanted = [np.prod([np.exp(theta[i, v]) for i, v in enumerate(s)]) for s in all_numbers(n, 2)]
    np.testing.assert_allclose(psi, wanted, rtol=1e-13)


@pytest.mark.parametrize("h", [0.7, 1.6, 2.5])
def test_the_mean_field_of_the_transverse_field_ising_model(h):
    """On a ring (z = 2) spins along (sin t, cos t): -J cos^2 t - h sin t a site, lowest at sin t = h / 2J, or 1."""
    n, J = 6, 1.0
    ansatz, operator = mean_field(n), ising(n, ring(n), J=J, h=h)
    states = jnp.asarray(all_states(n))
    local = local_energies(ansatz, operator, chunk=None)

    @jax.jit
    def energy(tilt):
        up = jnp.log(jnp.cos(tilt / 2))
        theta = jnp.broadcast_to(jnp.stack([up, jnp.log(jnp.sin(tilt / 2))]), (n, 2))
        p = jnp.exp(2 * jax.vmap(ansatz.log_psi, in_axes=(None, 0))(theta, states))
        return p @ local(theta, states) / jnp.sum(p)

    best = np.arcsin(min(1, h / (2 * J)))
    wanted = -(h**2) / (4 * J) - J if h < 2 * J else -h
    assert float(energy(best)) == pytest.approx(n * wanted, rel=1e-12)
    assert all(float(energy(best + step)) > n * wanted for step in (-0.1, 0.1))


@pytest.mark.parametrize("options", [{"n_sites": 0}, {"local_values": (0, 1, 3)}])
def test_what_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        mean_field(**({"n_sites": 3} | options))
