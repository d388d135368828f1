"""Densities and their correlators, by sums over all states."""

import numpy as np
import pytest

from nqs_hpc.observables.density_correlations import density_correlations
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import bosons, spin_half
from nqs_hpc.system.lattice import FACTORIES
from tests.observables.exact import results, states_of


@pytest.mark.parametrize("hilbert", [bosons(4, 2, 3), spin_half(4)], ids=["bosons", "atoms"])
def test_moments_by_hand(hilbert):
    lattice, basis = FACTORIES["chain"]((4,), (True,)), Basis(hilbert)
    states = states_of(basis)
    n = states.astype(float) if hilbert.total else (states == -1).astype(float)  # a spin down is an excited atom
    psi = np.random.default_rng(2).normal(size=len(states))
    w = psi**2 / np.sum(psi**2)
    observable = density_correlations(lattice, hilbert)
    found = results(observable, psi, basis)
    mean, second = w @ n, np.einsum("b,bi,bj->ij", w, n, n)
    for name, wanted in (("density", mean), ("correlations", second), ("connected", second - np.outer(mean, mean))):
        np.testing.assert_allclose(found[name], wanted, rtol=0, atol=1e-12)
    assert found["mean"] == pytest.approx(mean.mean(), abs=1e-12)
    (q,) = [dict(output.axes)["q"] for output in observable.outputs if output.name == "structure_factor"]
    n_q = (n - mean) @ np.exp(1j * lattice.positions @ q.T)
    np.testing.assert_allclose(found["structure_factor"], w @ np.abs(n_q) ** 2 / 4, rtol=0, atol=1e-12)
    if hilbert.total:  # the number of particles does not fluctuate
        assert found["structure_factor"][0] == pytest.approx(0, abs=1e-12)
