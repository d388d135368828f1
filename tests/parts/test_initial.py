"""The state that a task begins with: the physical one, in whatever basis and sector the ansatz is."""

import jax
import numpy as np
import pytest

from nqs_hpc.inputs.checks import InputError
from nqs_hpc.parts import build
from nqs_hpc.system.basis import signs_of_states
from nqs_hpc.system.hilbert import codes, decode
from tests.contract.tried import configuration
from tests.systems import SERIAL, amplitudes

N = 6
SPINORS = {"plus_x": [1, 1], "minus_x": [1, -1], "turned": [np.cos(0.5), np.exp(0.3j) * np.sin(0.5)]}
TIME = {"task.t_end": 0.1, "sampler": "enumerate"}
HEISENBERG = {"hamiltonian": {"name": "heisenberg", "marshall": True}, "sector": 0}
RBM = {"ansatz": {"name": "rbm", "dtype": "complex"}}
CASES = {
    "plus_x": (RBM, "plus_x"),
    "turned": ({"ansatz": {"name": "jastrow", "dtype": "complex"}}, [1.0, 0.3]),
    "behind signs": (RBM | HEISENBERG, "plus_x"),
    "turned, behind signs": (RBM | HEISENBERG, [1.0, 0.3]),
    "neel, behind signs": (RBM | HEISENBERG, "neel"),
    "summed": (RBM | {"symmetrize.group": "translations"}, "minus_x"),
    "shared": ({"ansatz": {"name": "rbm_symm", "dtype": "complex"}}, [1.0, 0.3]),
    "anchored": ({"ansatz": {"name": "anchored", "net": {"name": "cnn", "dtype": "complex"}}}, "plus_x"),
}


def parts_of(given, initial):
    return build(configuration(task={"name": "dynamics", "initial": initial}, **TIME, **given), SERIAL)


@pytest.mark.parametrize("name", CASES)
def test_a_run_begins_with_the_physical_state(name):
    given, initial = CASES[name]
    parts = parts_of(given, initial)
    states = decode(parts.hilbert, codes(parts.hilbert))
    spinor = {"plus_x": [1, 1], "minus_x": [1, -1]}.get(str(initial), SPINORS["turned"])
    wanted = np.prod(np.where(states > 0, *spinor), axis=1).astype(complex)
    if initial == "neel":
        wanted = (states == [1, -1, 1, -1, 1, -1]).all(axis=1).astype(complex)
    wanted /= np.linalg.norm(wanted)
    params = jax.jit(parts.task.init)().params
    psi = signs_of_states(parts.pieces.basis, states) * amplitudes(parts.ansatz, params, states)
    # of neel half the bias of 5 leaves e^-10 on each of two sites that change their spins: e^-20 on each of nine pairs
    assert abs(1 - abs(np.vdot(wanted, psi)) ** 2) < (3e-8 if initial == "neel" else 1e-12)


@pytest.mark.parametrize(
    ("given", "initial", "why"),
    [
        ({"symmetrize.group": "translations"}, "neel", "sector of symmetrize"),
        ({"symmetrize.spin_flip": 1}, "up", "sector of symmetrize"),
        ({"symmetrize.group": "translations", "symmetrize.mode": "log_psi"}, "neel", "sector of symmetrize"),
    ],
)
def test_states_of_other_sectors_are_refused_in_one_line(given, initial, why):
    with pytest.raises(InputError, match=why) as caught:
        parts_of(RBM | given, initial)
    assert f"task.initial={initial} is not valid" in str(caught.value) and "\n" not in str(caught.value)
