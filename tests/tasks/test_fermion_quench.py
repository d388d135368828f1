"""A quench of U of fermions, against the exact evolution in a basis of two states: the Hubbard dimer."""

import jax.numpy as jnp
import numpy as np
from scipy.linalg import expm

from nqs_hpc.ansatz.table import of_amplitudes
from nqs_hpc.config.compose import from_plain
from nqs_hpc.parts import build
from nqs_hpc.system.hilbert import codes, decode
from tests.systems import SERIAL

BEFORE, AFTER, T = 1.0, 5.0, 0.4


def singlet(U: float) -> np.ndarray:
    """H between (|2,0> + |0,2>) / sqrt 2 and the singlet of one fermion on each site."""
    return np.array([[U, -2.0], [-2.0, 0.0]])


def test_double_occupancy_after_a_quench_of_the_dimer():
    config = from_plain(
        {
            "lattice": {"name": "chain", "length": 2, "pbc": False},
            "hamiltonian": {"name": "hubbard", "U": AFTER},
            "sector": [1, 1],
            "ansatz": "table",
            "sampler": "enumerate",
            "task": {"name": "dynamics", "t_end": T, "spacing": T, "integrator": {"name": "rk4", "dt": 0.02}},
            "observables": ["double_occupancy"],
        }
    )
    parts = build(config, SERIAL)
    states = decode(parts.hilbert, codes(parts.hilbert))
    is_double = states[:, :2].astype(int) @ [1, 2] == states[:, 2:].astype(int) @ [1, 2]
    _, vectors = np.linalg.eigh(singlet(BEFORE))
    first = vectors[:, 0] * np.sign(vectors[0, 0])
    psi = np.where(is_double, first[0], first[1]) / np.sqrt(2)  # all amplitudes of one sign, as the hops make them
    state = parts.task.init()
    state = parts.task.warmed(state._replace(params=jnp.asarray(of_amplitudes(psi))))
    while not parts.task.progress(state).is_complete:
        state, _ = parts.task.turn(state)
    found = {result.name: result for result in parts.task.results(state)}
    (name,) = (name for name in found if name.endswith(".mean"))
    exact = [np.abs((expm(-1j * t * singlet(AFTER)) @ first)[0]) ** 2 / 2 for t in (0.0, T)]
    np.testing.assert_allclose(np.ravel(found[name].value), exact, atol=1e-6)
    assert abs(exact[1] - exact[0]) > 0.05
