"""Exact energies of a run of several Hamiltonians, against dense matrices, and what is kept of them in a file."""

import json

import numpy as np
import pytest

from nqs_hpc.config.compose import from_plain
from nqs_hpc.parts import build, reference
from nqs_hpc.parts.reference import exact_reference, lowest_line, read_reference, short_line
from nqs_hpc.run.reference import kept_reference, system_of
from tests.systems import SERIAL, all_states, heisenberg_ring, tfim_ring

N, H = 6, (0.5, 1.0, 1.5)
NETWORK = {"ansatz": "foundation_vit", "ansatz.width": 4, "ansatz.heads": 2, "ansatz.layers": 1}
BASE = {"lattice": "chain", "lattice.length": N, "sampler": "enumerate", "task": "foundation", **NETWORK}
ISING = BASE | {"hamiltonian": "ising", "task.couplings": {"h": list(H)}}


def made(given):
    config = from_plain(given)
    return config, build(config, SERIAL)


def test_the_energies_are_those_of_dense_matrices():
    config, parts = made(ISING)
    found = exact_reference(config, parts)
    exact = [np.linalg.eigvalsh(tfim_ring(N, h))[0] for h in H]
    assert [one["hamiltonian.h"] for one in found["points"]] == list(H)
    np.testing.assert_allclose([one["energy"] for one in found["points"]], exact, rtol=1e-10)
    assert found["energy"] == pytest.approx(np.mean(exact), rel=1e-12)
    assert not any(one["above_lowest"] for one in found["points"]) and lowest_line(found) is None
    assert read_reference(json.loads(json.dumps(found))) == found
    told = parts.task.summary({"energies": exact, "energy": float(np.mean(exact))}, found)
    assert [one["exact_energy"] for one in told["couplings"]] == [one["energy"] for one in found["points"]]
    np.testing.assert_allclose([one["relative_error"] for one in told["couplings"]], 0.0, atol=1e-12)
    assert told["relative_error"] == pytest.approx(0.0, abs=1e-12)


def test_a_sector_that_does_not_hold_the_ground_state_names_its_coupling():
    config, parts = made(ISING | {"symmetrize": {"spin_flip": -1}})
    found = exact_reference(config, parts)
    states = all_states(N)
    flip = np.array([np.flatnonzero((states == -s).all(axis=1))[0] for s in states])
    for one, h in zip(found["points"], H, strict=True):
        matrix, odd = tfim_ring(N, h), np.eye(2**N) - np.eye(2**N)[flip]
        levels = np.linalg.eigvalsh(odd @ matrix @ odd / 4)  # with zeros of the even states, above
        assert one["energy"] == pytest.approx(levels[0], rel=1e-9)
        assert one["above_lowest"] == pytest.approx(levels[0] - np.linalg.eigvalsh(matrix)[0], abs=1e-7)
    assert short_line(found).startswith("at hamiltonian.h=0.5 this sector does not hold the ground state")
    assert lowest_line(found) == short_line(found)
    assert read_reference(json.loads(json.dumps(found))) == found


def test_couplings_that_are_lists():
    given = {"hamiltonian": "heisenberg", "task.couplings": {"J": [[1.0, 0.0], [1.0, 0.5]]}}
    config, parts = made(BASE | given)
    found = exact_reference(config, parts)
    assert [one["hamiltonian.J"] for one in found["points"]] == [[1.0, 0.0], [1.0, 0.5]]
    # at J2 = J1/2 the energy is -3/8 a site (Majumdar, Ghosh 1969)
    exact = [np.linalg.eigvalsh(heisenberg_ring(N))[0], -3 * N / 8]
    np.testing.assert_allclose([one["energy"] for one in found["points"]], exact, rtol=1e-10)


def test_too_many_states_of_all_together(monkeypatch):
    config, parts = made(ISING)
    monkeypatch.setattr(reference, "MOST_OF_SEVERAL", 3 * 2**N - 1)
    assert exact_reference(config, parts) is None
    monkeypatch.setattr(reference, "MOST_OF_SEVERAL", 3 * 2**N)
    assert exact_reference(config, parts) is not None


def test_what_is_kept_belongs_to_its_couplings(tmp_path):
    config, _ = made(ISING)
    nothing = {"lowest": None, "above_lowest": None, "network_above": None}
    points = [{"hamiltonian.h": h, "energy": -h, "method": "exact", **nothing} for h in H]
    kept = {"energy": -1.0, "method": "exact", **nothing, "points": points}
    (tmp_path / "reference.json").write_text(json.dumps(kept | {"system": system_of(config)}))
    assert kept_reference(config, tmp_path) == kept
    others = from_plain(ISING | {"task.couplings": {"h": [0.5, 1.1, 1.5]}})  # the same largest coupling
    assert kept_reference(others, tmp_path) is None
    for bad in ([{"hamiltonian.h": "x", **points[0]} | {"hamiltonian.h": "x"}], [{"energy": -1.0}], 3, [3]):
        (tmp_path / "reference.json").write_text(json.dumps(kept | {"points": bad, "system": system_of(config)}))
        assert kept_reference(config, tmp_path) is None
