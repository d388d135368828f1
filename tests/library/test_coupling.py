"""One wave function of a run of several couplings, trained there or not: in a notebook, and evaluated by a job."""

import json
import subprocess
import sys

import numpy as np
import pytest

from nqs_hpc.config.compose import at_coupling, checked, from_plain
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.library import load_run, load_sweep
from tests.mpi.starts import environment
from tests.systems import all_states, dense, tfim_ring

N, H = 6, (0.5, 1.0, 1.5)
WORDS = ["lattice=chain", f"lattice.length={N}", "hamiltonian=ising", "sampler=enumerate", "ansatz=foundation_vit"]
WORDS += ["ansatz.width=4", "ansatz.heads=2", "ansatz.layers=1", "task=foundation", "task.n_steps=6"]


def program(folder, *words):
    words = [sys.executable, "-m", "nqs_hpc", *words]
    return subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a run of three fields lies in the folder run."""
    place = tmp_path_factory.mktemp("several")
    done = program(place, *WORDS, f"task.couplings={{h: {list(H)}}}", "run_dir=run")
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def energy(run, matrix):
    psi = np.exp(run.log_psi(all_states(N)))
    return psi @ matrix @ psi / (psi @ psi)


def test_the_wave_function_at_any_coupling(folder):
    """Energies of psi on all states by dense matrices; at the trained ones they are those of the summary."""
    summary = json.loads((folder / "run" / "summary.json").read_text())
    for k, h in enumerate(H):
        run = load_run(folder / "run", coupling={"h": h})
        assert energy(run, tfim_ring(N, h)) == pytest.approx(summary["couplings"][k]["energy"], rel=1e-10)
    between = load_run(folder / "run", coupling={"hamiltonian.h": 0.75})
    assert between.expect().mean == pytest.approx(energy(between, tfim_ring(N, 0.75)), rel=1e-10)
    assert abs(energy(between, tfim_ring(N, 1.0)) - summary["couplings"][1]["energy"]) > 1e-4  # of another psi
    magnetization = dense(N, [(1 / N, {i: "Z"}) for i in range(N)])
    measured = between.measure(["magnetization"])["magnetization.m2"].value
    assert measured == pytest.approx(energy(between, magnetization @ magnetization), rel=1e-10)
    assert between.origin.endswith("h=0.75") and between.config.task.name == "foundation"


def test_a_job_evaluates_it(folder):
    words = ["task=evaluate", "task.run=run", "hamiltonian.h=0.75", "observables=[magnetization]", "run_dir=at"]
    done = program(folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((folder / "at" / "summary.json").read_text())
    run = load_run(folder / "run", coupling={"h": 0.75})
    assert summary["energy"]["mean"] == pytest.approx(run.expect().mean, rel=1e-10)
    assert summary["reference"]["energy"] == pytest.approx(np.linalg.eigvalsh(tfim_ring(N, 0.75))[0], rel=1e-9)
    judged = summary["trust"]["checks"]  # as a ground state
    assert judged["distance_from_exact"]["value"] is not None and judged["v_score"]["value"] is not None
    found = summary["observables"]["magnetization.m2"]["mean"]
    assert found == pytest.approx(run.measure(["magnetization"])["magnetization.m2"].value, rel=1e-10)
    again = load_run(folder / "at")  # a run of one Hamiltonian
    assert again.expect().mean == pytest.approx(summary["energy"]["mean"], rel=1e-10)


def test_which_one_has_to_be_said(folder):
    with pytest.raises(
        InputError, match=r"^task.run=.* is not valid; valid: with a value of hamiltonian.h: the run has"
    ):
        checked(["task=evaluate", f"task.run={folder / 'run'}"], 1)
    run = load_run(folder / "run")
    for ask in (run.expect, lambda: run.sample(3), lambda: run.log_psi(np.ones(N))):
        with pytest.raises(ValueError, match=r"several couplings: valid: load_run\(\.\.\., coupling={'h': VALUE}\)"):
            ask()
    assert run.export(folder / "run.npz").exists()  # its parameters are those of all


@pytest.mark.parametrize("coupling", [{}, {"g": 1.0}, {"h": 1.0, "J": 2.0}, {"x": 1}, {"h": "a"}, {"h": [1.0, 2.0]}])
def test_couplings_that_it_is_not_told(folder, coupling):
    with pytest.raises(InputError) as error:
        load_run(folder / "run", coupling=coupling)
    assert "\n" not in str(error.value)


def test_a_job_leaves_couplings_that_it_is_not_told_as_they_are(folder):
    words = ["task=evaluate", f"task.run={folder / 'run'}", "hamiltonian.h=0.9"]
    with pytest.raises(
        InputError, match=r"^hamiltonian.J=2.0 is not valid; valid: 1.0, as in the run, whose network takes only h"
    ):
        checked([*words, "hamiltonian.J=2.0"], 1)


def test_a_network_that_is_told_none():
    with pytest.raises(
        InputError, match=r"^coupling={h: 1.0} is not valid; valid: None: ansatz=rbm takes no couplings"
    ):
        at_coupling(from_plain({"lattice": "chain", "lattice.length": N}), {"h": 1.0})


def test_points_of_a_table_are_wave_functions(folder):
    sweep = load_sweep(folder / "run")
    table = sweep.table()
    assert list(table["hamiltonian.h"]) == list(H)
    found = [point.run.expect().mean for point in sweep.points]
    np.testing.assert_allclose(found, table["energy"], rtol=1e-10)
    exact = [np.linalg.eigvalsh(tfim_ring(N, h))[0] for h in H]
    np.testing.assert_allclose(table["reference"], exact, rtol=1e-9)
