"""The second Renyi entropy against singular values of the wave function as a matrix, and recorded values."""

import json
from pathlib import Path

import numpy as np
import pytest

from nqs_hpc.config.compose import checked
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.observables.renyi import renyi_exact
from nqs_hpc.operators.exact import lowest_states
from nqs_hpc.operators.ising import ising
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES, neighbours
from tests.observables.measuring import METROPOLIS, measured, of_vector, vector, wave_of, within

SYSTEMS = {
    "all states": ["hamiltonian=ising"],
    "signs in a sector": ["hamiltonian=heisenberg", "ansatz.dtype=complex"],
    "bosons in a sector": ["hamiltonian=bose_hubbard", "hamiltonian.n_max=2", "sector=4", "lattice.length=5"],
}


def exact(psi_D, d, n, region):
    """From the eigenvalues of rho_A: site 0 is the fastest digit of a code."""
    rest = [i for i in range(n) if i not in region]
    tensor = psi_D.reshape([d] * n).transpose([n - 1 - i for i in (*region, *rest)])
    p = np.linalg.svd(tensor.reshape(d ** len(region), -1), compute_uv=False) ** 2
    return -np.log(np.sum(p**2))


@pytest.mark.parametrize("system", SYSTEMS)
def test_exact_sums(system, region=(0, 3)):
    _, parts, wave = wave_of(*SYSTEMS[system], "sampler=enumerate")
    _, psi_D = vector(wave, parts.hilbert)
    s2 = exact(psi_D, len(parts.hilbert.local_values), parts.hilbert.n_sites, region)
    found = wave.measure({"r": {"name": "renyi", "region": list(region)}})
    assert s2 > 0.01 and found["r.s2"].value == pytest.approx(s2, abs=1e-12)
    assert found["r.purity"].value == pytest.approx(np.exp(-s2), abs=1e-12) and found["r.s2"].error == 0


@pytest.mark.parametrize("system", ["signs in a sector", "bosons in a sector", "independent samples"])
def test_swaps_of_samples(system):
    """Half of the swaps lead out of the sector; autoregressive samples are pairs of neighbours."""
    if system == "independent samples":
        own = ["hamiltonian=heisenberg", "ansatz=masked_dense", "sampler=autoregressive", "sampler.n_samples=4096"]
        _, parts, wave = wave_of(*own)
    else:
        _, parts, wave = wave_of(*SYSTEMS[system], *METROPOLIS)
    _, psi_D = vector(wave, parts.hilbert)
    n, region = parts.hilbert.n_sites, tuple(range(parts.hilbert.n_sites // 2))
    s2 = exact(psi_D, len(parts.hilbert.local_values), n, region)
    found = wave.measure({"r": {"name": "renyi"}}, n_samples=8192)
    assert within(found["r.s2"], s2) and within(found["r.purity"], np.exp(-s2))


@pytest.mark.parametrize("case", json.loads((Path(__file__).parents[1] / "data" / "renyi.json").read_text())["values"])
def test_recorded_values(case):
    lattice = FACTORIES[case["lattice"]](case["extent"], [case["pbc"]] * len(case["extent"]))
    hilbert = spin_half(lattice.n_sites)
    psi_D = lowest_states(ising(lattice.n_sites, neighbours(lattice, 1), J=1.0, h=case["h"]), hilbert)[1][:, 0]
    one = renyi_exact(case["region"], hilbert, chunk=None)
    found = measured(of_vector(hilbert), psi_D, one, Basis(hilbert))
    assert found["s2"].value == pytest.approx(case["s2"], abs=1e-9)


@pytest.mark.parametrize("region", ["[0,0]", "[6]", "[0,1,2,3,4,5]", "[]", "third", "[-1]"])
def test_a_region_is_some_of_the_sites(region):
    words = ["lattice.length=6", "hamiltonian=ising", "observables.r=renyi", f"observables.r.region={region}"]
    with pytest.raises(InputError, match=r"observables\.r\.region=.* is not valid; valid: half"):
        checked(words, 1)


def test_pairs_need_an_even_number_of_chains():
    _, _, wave = wave_of("hamiltonian=ising", "sampler.n_chains=3", "sampler.n_samples=15", "sampler.warmup=1")
    with pytest.raises(InputError, match=r"sampler\.n_chains=3 is not valid; valid: a multiple of 2"):
        wave.measure({"r": {"name": "renyi"}})
    with pytest.raises(ValueError, match=r"2\^24 amplitudes are too many"):
        renyi_exact([0], spin_half(24), chunk=None)
