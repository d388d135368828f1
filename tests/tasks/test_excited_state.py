"""task=excited_state as whole jobs: against exact levels, restarts to the bit, input that is refused."""

import json
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from nqs_hpc.config.compose import InputError, compose, from_plain
from nqs_hpc.config.identity import physics, to_plain
from nqs_hpc.library import build, load_run

SMALL = ["sampler.n_chains=16", "sampler.n_samples=64", "sampler.warmup=8", "task.second_samples=0"]
RING = ["lattice.length=6", "ansatz.dtype=complex", "ansatz.init_scale=0.1", "task.final_samples=256"]
LEVELS = [
    -7.727406610312546,
    -7.464101615137754,
]  # closed form: -sum |sin| over half-odd and over whole momenta, times 2


def start(*words, cwd, code=0):
    found = subprocess.run([sys.executable, "-m", "nqs_hpc", *words], capture_output=True, text=True, cwd=cwd)
    assert found.returncode == code, found.stderr
    return found.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The ground state of the TFIM ring of 6 in runs/ground, by another network."""
    place = tmp_path_factory.mktemp("excited")
    words = ["lattice.length=6", "sampler=enumerate", "task.n_steps=60", "optimizer.learning_rate=0.1"]
    start(*words, "run_dir=runs/ground", cwd=place)
    return place


def summary(run):
    return json.loads((run / "summary.json").read_text())


def leaves(path):
    found = {}
    with h5py.File(path) as file:
        keep = lambda name, item: found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None  # noqa: E731
        file.visititems(keep)
    return {name: leaf for name, leaf in found.items() if name != "meta"}


def test_the_first_excited_state_by_exact_sums(folder):
    words = ["task=excited_state", "task.below=[runs/ground]", *RING, "sampler=enumerate", "task.n_steps=150"]
    said = start(*words, "optimizer.learning_rate=0.1", "run_dir=runs/first", cwd=folder)
    assert "task.below: " in said and "runs/ground/checkpoints/step_00000060.h5" in said
    found = summary(folder / "runs/first")
    assert found["status"] == "done" and found["level"] == 1
    assert found["energy"]["mean"] == pytest.approx(LEVELS[1], abs=1e-3)
    assert found["reference"]["energy"] == pytest.approx(LEVELS[1], rel=1e-10)
    assert found["reference"]["levels"][:2] == pytest.approx(LEVELS, rel=1e-10)
    checks = found["trust"]["checks"]
    assert {checks[name]["verdict"] for name in ("overlap_0", "level", "distance_from_exact")} == {"good"}
    (overlap,) = found["overlaps"]
    assert overlap["run"] == "runs/ground" and abs(overlap["fidelity"]) < 1e-3 and overlap["error"] == 0
    # auto: 5 (E_infinity - E_low) / sites, with E_low = -(J + h) sites
    assert overlap["penalty"] == pytest.approx(10.0)
    lines = [json.loads(line) for line in (folder / "runs/first/metrics.jsonl").read_text().splitlines()]
    for line in (lines[0], lines[-1]):
        assert line["penalised_energy"] == pytest.approx(line["energy"] + 10 * line["overlap_0"], rel=1e-10)
    # another program on the same folder: the overlap of the two wave functions as a user computes it
    states = np.array([[1 - 2 * (k >> i & 1) for i in range(6)] for k in range(64)])
    psi, phi = (np.exp(load_run(folder / "runs" / name).log_psi(states)) for name in ("first", "ground"))
    exact = abs(psi.conj() @ phi) ** 2 / (np.sum(abs(psi) ** 2) * np.sum(abs(phi) ** 2))
    assert overlap["fidelity"] == pytest.approx(exact, abs=1e-9)


def test_a_restart_is_exact_and_reads_no_other_run(folder, tmp_path):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    words = ["task=excited_state", "task.below=[runs/ground]", *RING, *SMALL, "sampler.sweep=adaptive"]
    start(*words, "task.n_steps=6", "run_dir=whole", cwd=tmp_path)
    start(*words, "task.n_steps=3", "run_dir=halves", cwd=tmp_path)
    for path in (tmp_path / "runs/ground/checkpoints").iterdir():
        path.write_bytes(b"no longer what it was")
    said = start(*words, "task.n_steps=6", "run_dir=halves", cwd=tmp_path)
    assert "resumed from step_00000003.h5" in said
    one, other = (leaves(tmp_path / name / "checkpoints" / "step_00000006.h5") for name in ("whole", "halves"))
    assert one.keys() == other.keys() and any(name.startswith("chains/lower_0/") for name in one)
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)
    assert summary(tmp_path / "whole")["overlaps"] == summary(tmp_path / "halves")["overlaps"]
    # what it is made from stands in its own folder
    shutil.rmtree(tmp_path / "runs")
    assert np.isfinite(load_run(tmp_path / "whole").log_psi(np.ones(6, int)))
    config = load_run(tmp_path / "whole").config
    assert physics(from_plain(json.loads(json.dumps(to_plain(config))))) == physics(config)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "task.below=null is not valid; valid: a list of at most 16 different run folders"),
        (["task.below=[]"], "task.below=[] is not valid"),
        (["task.below=[RUN,RUN]"], "valid: a list of at most 16 different run folders"),
        (["task.below=[nowhere]"], "task.below=nowhere is not valid: it does not exist; valid: the folder of a run"),
        (["task.below=[RUN]", "lattice.length=8"], "lattice.extent: [6] -> [8]"),
        (["task.below=[RUN]", "hamiltonian.h=2"], "hamiltonian.h: 1.0 -> 2.0"),
        (
            ["task.below=[RUN]", "hamiltonian=heisenberg"],
            "lattice, Hamiltonian and sector have to be those of this run",
        ),
        (["task.below=[RUN]", "task.penalty=-1"], "task.penalty=-1 is not valid"),
        (["task.below=[RUN]", "ansatz=masked_dense", "sampler=autoregressive"], "whose wave functions can be taken"),
    ],
)
def test_bad_input_is_one_line(folder, words, said):
    given = ["lattice.length=6", *words] if not any("lattice" in word for word in words) else words
    with pytest.raises(InputError) as caught:
        compose(["task=excited_state", *(word.replace("RUN", str(folder / "runs/ground")) for word in given)], 1)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_two_positive_wave_functions_are_refused(folder):
    words = ["task=excited_state", f"task.below=[{folder / 'runs/ground'}]", "lattice.length=6", *SMALL]
    with pytest.raises(InputError, match="their overlap cannot vanish"):
        build(compose(words, 1))
