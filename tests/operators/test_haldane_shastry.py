"""Against Kronecker products, the closed form of the energy, and the exact ground state as a Jastrow wave function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.jastrow import JastrowParams
from nqs_hpc.config.compose import compose
from nqs_hpc.config.signs import why_not_positive
from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.operators.haldane_shastry import haldane_shastry
from nqs_hpc.parts import build
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.evaluation import evaluation
from tests.systems import SERIAL, dense


def by_hand(n, J):
    d = {(i, j): n / np.pi * abs(np.sin(np.pi * (i - j) / n)) for i in range(n) for j in range(i)}
    return dense(n, [(J / 4 / d[pair] ** 2, dict.fromkeys(pair, a)) for pair in d for a in "XYZ"]).real


def energy(n):
    return -(np.pi**2) * (n + 5 / n) / 24


@pytest.mark.parametrize(("n", "J"), [(2, 1.0), (5, -0.7), (6, 1.3)])
def test_matrix_is_the_sum_of_kronecker_products(n, J):
    found, wanted = sparse_matrix(haldane_shastry(n, J=J), spin_half(n)).toarray(), by_hand(n, J)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13 * np.abs(wanted).max())


@pytest.mark.parametrize("n", [4, 6, 8, 10])
def test_the_closed_form_of_the_energy(n):
    assert lowest_states(haldane_shastry(n, J=1.0), spin_half(n, 0))[0][0] == pytest.approx(energy(n), abs=1e-10)
    if n == 8:
        assert energy(n) == pytest.approx(-3.5468891, abs=1e-7)
        # of all sectors, by the dense matrix
        assert np.linalg.eigvalsh(by_hand(n, 1.0))[0] == pytest.approx(energy(n), abs=1e-12)


@pytest.mark.parametrize("n", [8, 12])
def test_the_exact_jastrow_state_has_no_variance(n):
    """Marshall's signs, which gauge=auto takes, times the Jastrow factor of the docstring, in the sector auto takes."""
    words = ["hamiltonian=haldane_shastry", f"lattice.length={n}", "ansatz=jastrow", "sampler=enumerate"]
    config = compose(words, 1)
    assert config.hamiltonian.gauge and config.sector == 0
    assert why_not_positive(config.hamiltonian, config.make_sites()) is None
    parts = build(config, SERIAL)
    i, j = np.triu_indices(n, 1)
    params = JastrowParams(jnp.asarray(np.log(np.abs(np.sin(np.pi * (i - j) / n))) / 2), jnp.zeros(n))
    _, samples, counts = parts.sampler.sample(jnp.zeros(2, jnp.uint32), params, ())
    measured = evaluation(parts.ansatz, parts.operator, SERIAL, chain_length=0, chunk=None)
    batch, _ = jax.jit(measured)(params, samples, counts)
    assert float(batch.estimate.mean) == pytest.approx(energy(n), abs=1e-10)
    assert np.sqrt(float(batch.estimate.variance)) < 1e-8
    assert np.abs(np.asarray(batch.e_loc_B) - energy(n)).max() < 1e-8
