"""Lowest energies against independently computed values, each with its source in tests/data/energies.json."""

import json
from pathlib import Path

import numpy as np
import pytest

from nqs_hpc.operators.exact import ground_state
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.pauli_strings import PauliString
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES, neighbours

ENTRIES = json.loads((Path(__file__).parents[1] / "data" / "energies.json").read_text())["entries"]


def toric(extent, pbc, hx, hy, hz):
    """H = -sum_v prod sx - sum_p prod sz - fields, spins on the links of a lattice of vertices."""
    Lx, Ly = extent
    link = {}
    for y in range(Ly):
        for x in range(Lx):
            if pbc or x + 1 < Lx:
                link["right", x, y] = len(link)
            if pbc or y + 1 < Ly:
                link["up", x, y] = len(link)

    def at(*names):
        wrapped = [(way, x % Lx, y % Ly) if pbc else (way, x, y) for way, x, y in names]
        return tuple(link[name] for name in wrapped if name in link)

    strings = []
    for y in range(Ly):
        for x in range(Lx):
            star = at(("right", x, y), ("right", x - 1, y), ("up", x, y), ("up", x, y - 1))
            strings.append(PauliString(-1.0, "X" * len(star), star))
            plaquette = at(("right", x, y), ("right", x, y + 1), ("up", x, y), ("up", x + 1, y))
            if len(plaquette) == 4:
                strings.append(PauliString(-1.0, "ZZZZ", plaquette))
    n = len(link)
    strings += [PauliString(-h, a, (i,)) for a, h in (("X", hx), ("Y", hy), ("Z", hz)) for i in range(n)]
    return n, pauli(n, strings)


def build(entry):
    extent, pbc, couplings = entry["extent"], entry["pbc"], entry["couplings"]
    if entry["hamiltonian"] == "toric":
        return toric(extent, pbc, **couplings)
    lattice = FACTORIES[entry["lattice"]](extent, [pbc] * len(extent))
    n = lattice.n_sites
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
    energies, _ = ground_state(operator, spin_half(n, entry["sector"]), k=1 + max(expected))
    np.testing.assert_allclose(energies[list(expected)], list(expected.values()), rtol=1e-12)
