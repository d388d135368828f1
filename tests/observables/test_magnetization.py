"""Moments of the magnetization and the Binder cumulant, against dense matrices over all states."""

import jax
import numpy as np
import pytest

from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.config.compose import checked
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.observables.magnetization import magnetization_z
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import codes, decode
from nqs_hpc.system.spaces import spin
from tests.observables.measuring import METROPOLIS, measured, vector, wave_of, within
from tests.systems import amplitudes, dense

N = 6
ISING = ["hamiltonian=ising"]
MARSHALL = ["hamiltonian=heisenberg", "ansatz.dtype=complex"]


def matrix(axis, staggered):
    return dense(N, [((-1) ** (i * staggered) / N, {i: axis.upper()}) for i in range(N)])


def moments(psi, m):
    z = np.real(np.diag(m))
    m1, size, m2, m4 = (np.sum(np.abs(psi) ** 2 * x) for x in (z, abs(z), z**2, z**4))
    return {"m": m1, "abs": size, "m2": m2, "m4": m4, "binder": 1 - m4 / (3 * m2**2)}


@pytest.mark.parametrize(("system", "staggered"), [(ISING, False), (ISING, True), (MARSHALL, True)])
def test_moments_along_z(system, staggered):
    _, parts, wave = wave_of(*system, "sampler=enumerate")
    _, psi = vector(wave, parts.hilbert)
    exact = moments(psi, matrix("z", staggered))
    found = wave.measure({"a": {"name": "magnetization", "staggered": staggered}})
    assert {name: found[f"a.{name}"].value for name in exact} == pytest.approx(exact, abs=1e-12)


def test_sampled_moments():
    _, parts, wave = wave_of(*MARSHALL, *METROPOLIS)
    _, psi = vector(wave, parts.hilbert)
    exact = moments(psi, matrix("z", True))
    found = wave.measure({"a": {"name": "magnetization", "staggered": True}}, n_samples=4096)
    assert all(within(found[f"a.{name}"], value) for name, value in exact.items())


@pytest.mark.parametrize("axis", ["x", "y"])
def test_along_x_and_y_by_pauli_strings(axis):
    """In the gauge of positive signs, where the physical state has others than the network."""
    _, parts, wave = wave_of(
        "sampler=enumerate",
        "ansatz.dtype=complex",
        "hamiltonian=pauli",
        "hamiltonian.terms=[1.0 X0 X1, 1.0 X1 X2, 1.0 X3, 0.5 Z4]",
    )
    assert (parts.pieces.basis.signs_N < 0).any()
    _, psi = vector(wave, parts.hilbert)
    for staggered in (False, True):
        exact = np.real(psi.conj() @ matrix(axis, staggered) @ psi)
        found = wave.measure({"a": {"name": "magnetization", "axis": axis, "staggered": staggered}})["a"]
        assert abs(exact) > 1e-3 and found.value == pytest.approx(exact, abs=1e-12)


def test_spin_one_in_units_of_two_sz():
    hilbert = spin(4, 2, 0)
    ansatz = rbm(4, n_hidden=4, dtype="complex", init_scale=0.3, local_values=hilbert.local_values)
    params, signs = ansatz.init(jax.random.key(0)), np.array([1, -1, 1, -1], np.int8)
    s = decode(hilbert, codes(hilbert))
    p, m = np.abs(amplitudes(ansatz, params, s)) ** 2, s @ (signs / 4.0)
    found = measured(ansatz, params, magnetization_z(signs), Basis(hilbert))
    assert found["m2"].value == pytest.approx(p @ m**2, abs=1e-12)
    assert found["binder"].value == pytest.approx(1 - p @ m**4 / (3 * (p @ m**2) ** 2), abs=1e-12)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hamiltonian=bose_hubbard"], "observables.a=magnetization is not valid; valid: another observable"),
        (
            ["hamiltonian=heisenberg", "observables.a.staggered=false"],
            "observables.a.staggered=false is not valid; valid: auto or true, or sector=none",
        ),
        (["hamiltonian=heisenberg", "lattice=kagome"], "valid: a run with sector=none"),
        (
            ["hamiltonian=ising", "lattice.length=5", "observables.a.staggered=true"],
            "the nearest neighbours do not form two sublattices",
        ),
        (["hamiltonian=ising", "observables.a.axis=w"], "observables.a.axis=w is not valid; valid: x, y, z"),
    ],
)
def test_what_does_not_fit_is_one_line(words, said):
    with pytest.raises(InputError) as found:
        checked(["lattice.length=6", "observables.a=magnetization", *words][bool("lattice.length=5" in words) :], 1)
    assert said in str(found.value), str(found.value)
