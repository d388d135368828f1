"""Networks in single precision begin at the parameters of float64, rounded: one seed is one state."""

import jax
import numpy as np
import pytest

from nqs_hpc.parts import build
from tests.contract.tried import cases, configuration
from tests.systems import SERIAL, all_states, amplitudes

NAMES = ("rbm", "mlp", "resnet", "gcnn", "vit", "masked_conv")  # random numbers of every kind


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_is_one_state(name):
    given = next(one for one in cases("ansatz").values() if one["name"] == name)
    found = []
    for precision in ("float64", "float32"):
        network = {"network": precision, "solve": "float64"}
        ansatz = build(configuration(ansatz=given, precision=network), SERIAL).ansatz
        params = jax.jit(ansatz.init)(jax.random.key(3))
        assert {leaf.dtype.itemsize for leaf in jax.tree.leaves(jax.tree.map(np.real, params))} == {
            8 if precision == "float64" else 4
        }
        found.append(amplitudes(ansatz, params, all_states(6)))
    # rounding of 24 bits, through some layers; other random numbers are another state
    assert np.abs(found[0] - found[1]).max() < 1e-4 * np.abs(found[0]).max()
