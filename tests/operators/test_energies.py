"""Lowest energies against independently computed values, each with its source in tests/data/energies.json."""

import json
from pathlib import Path

import numpy as np
import pytest

from nqs_hpc.operators.exact import lowest_states
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.rydberg import rydberg
from nqs_hpc.operators.toric_code import toric_code
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES, neighbours
from nqs_hpc.system.links import links

ENTRIES = json.loads((Path(__file__).parents[1] / "data" / "energies.json").read_text())["entries"]


def build(entry):
    extent, pbc, couplings = entry["extent"], entry["pbc"], entry["couplings"]
    lattice = FACTORIES[entry["lattice"]](extent, [pbc] * len(extent))
    if entry["hamiltonian"] == "toric_code":
        lattice = links(lattice)
        return lattice.n_sites, toric_code(lattice, **couplings)
    n = lattice.n_sites
    if entry["hamiltonian"] == "rydberg":
        return n, rydberg(lattice, **couplings)
    if entry["hamiltonian"] == "ising":
        return n, ising(n, neighbours(lattice, 1), **couplings)
    edges = [neighbours(lattice, order + 1) for order in range(len(couplings["J"]))]
    return n, heisenberg(n, edges, couplings["J"], delta=couplings["delta"])


def name(entry):
    size = "x".join(map(str, entry["extent"]))
    values = ",".join(f"{key}={value}" for key, value in entry["couplings"].items())
    return f"{entry['hamiltonian']}-{entry['lattice']}-{size}-{'pbc' if entry['pbc'] else 'open'}-{values}"


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_lowest_levels(entry):
    n, operator = build(entry)
    expected = {level["level"]: level["energy"] for level in entry["levels"]}
    energies, _ = lowest_states(operator, spin_half(n, entry["sector"]), k=1 + max(expected))
    np.testing.assert_allclose(energies[list(expected)], list(expected.values()), rtol=1e-12)
