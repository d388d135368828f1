"""Starts that cannot move are told from those that can, by the first velocity."""

import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.jastrow import JastrowParams, jastrow
from nqs_hpc.ansatz.rbm import RBMParams, rbm
from nqs_hpc.operators.ising import ising
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.straying import why_still
from nqs_hpc.tasks.velocity import velocity
from nqs_hpc.update.spectral import Cut
from nqs_hpc.update.sr import in_parameters
from tests.systems import SERIAL, ring

N = 4
RBM = rbm(N, n_hidden=N, dtype="complex")
JASTROW = jastrow(N, dtype="complex")
ZEROS = RBMParams(jnp.zeros((N, N), complex), jnp.zeros(N, complex), jnp.zeros(N, complex))
UP = JastrowParams(jnp.zeros(6, complex), jnp.full(N, 30.0 + 0j))
STARTS = {
    "an RBM without weights": (RBM, ZEROS, 1.0, "cannot move"),
    "units on single sites": (RBM, RBM.product_state(np.zeros(N)), 1.0, ""),
    "a Jastrow factor without pairs": (JASTROW, JASTROW.product_state(np.zeros(N)), 1.0, ""),
    "spins along z without a field": (JASTROW, UP, 0.0, "eigenstate"),
    # its variance is that of the field alone, which all of its log-derivatives follow
    "spins along z in a field": (JASTROW, JASTROW.product_state(np.full(N, 2.0)), 1.0, ""),
}


@pytest.mark.parametrize("name", STARTS)
def test_starts_that_cannot_move_say_so(name):
    ansatz, params, h, wanted = STARTS[name]
    operator = ising(N, ring(N), J=1.0, h=h, g=0.0)
    sampler = enumeration(ansatz, spin_half(N), SERIAL)
    cut = Cut(1e-12, 0.0, None, 0)
    options = {"chunk": None, "blocks": 1, "solve_dtype": "float64"}
    projection = in_parameters(ansatz, SERIAL, solver="filter", diag_shift=lambda step: 0.0, cut=cut, **options)
    functions = velocity(ansatz, operator, sampler, projection, SERIAL, factor=1j, chunk=None)
    _, samples, counts = functions.draw(np.zeros(2, np.uint32), params, functions.fresh_chains(np.zeros(2, np.uint32)))
    batch, _ = functions.evaluate(params, samples, counts, 0.0)
    examined = functions.examine(params, batch, functions.project(params, batch)[0])
    line = {
        "energy": float(np.real(batch.estimate.mean)),
        "energy_variance": float(batch.estimate.variance),
        "r2": float(examined.r2),
    }
    said = why_still(line)
    assert wanted in said and bool(said) == bool(wanted), line
