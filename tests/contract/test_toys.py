"""A new piece of each kind takes no edit of a file that is there: toys/ is laid over a copy of the package and runs.

toys/ has what a new piece is: its mathematics, its choice and its YAML. The toy Hamiltonian and the toy ansatz say
nothing of themselves.
"""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.systems import dense

ROOT, TOYS = Path(__file__).resolve().parents[2], Path(__file__).resolve().parent / "toys"
COPIED = ("nqs_hpc", "conf", "hydra_plugins")
GROUPS = ("hamiltonian", "ansatz", "sampler", "optimizer", "observable", "task")
N, FIELD = 4, 0.5
SYSTEM = (f"lattice.length={N}", "hamiltonian=toy", "ansatz=toy", "sampler=toy", "optimizer=toy")


def files(folder: Path) -> set[Path]:
    return {p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """The package and its configuration with the toys, and no file of another content than here."""
    place = tmp_path_factory.mktemp("toys")
    for name in COPIED:
        # the bytecode too: with the times of the sources it is that of the copies
        shutil.copytree(ROOT / name, place / name)
    before = files(place)
    assert not before & files(TOYS)
    shutil.copytree(TOYS, place, dirs_exist_ok=True)
    yield place
    changed = [path for path in before if not filecmp.cmp(ROOT / path, place / path, shallow=False)]
    assert not changed


def start(tree: Path, *words: str) -> str:
    """What a command line prints that ends well."""
    done = subprocess.run(
        [sys.executable, "-m", "nqs_hpc", *words],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def summary(tree: Path, name: str) -> dict:
    return json.loads((tree / name / "summary.json").read_text())


def fields(tree: Path, name: str) -> np.ndarray:
    """The parameters a_i of the toy ansatz in the last checkpoint: <sz_i> = tanh 2 a_i and <sx_i> = 1 / cosh 2 a_i."""
    with h5py.File(max((tree / name / "checkpoints").glob("step_*.h5"))) as file:
        return np.asarray(file["params"])


def test_every_group_has_a_toy_and_help_lists_it(tree):
    for group in GROUPS:
        assert (tree / "conf" / group / "toy.yaml").is_file()
    page = start(tree, "--help")
    for doc in ("field along z of the toy", "first fields of the toy", "samples of the toy", "factor of the toy"):
        assert doc in page
    assert page.count("toy") >= 10


def test_toys_find_a_ground_state_and_are_evaluated(tree):
    said = start(tree, *SYSTEM, "task.n_steps=5", "task.final_samples=256", "run_dir=ground")
    found = summary(tree, "ground")
    terms = [(FIELD, {i: "Z"}) for i in range(N)] + [(-1.0, {i: "X", i + 1: "X"}) for i in range(N - 1)]
    assert found["reference"]["energy"] == pytest.approx(np.linalg.eigvalsh(dense(N, terms))[0])
    assert found["step"] == 5 and found["sector"] is None  # nothing is known to be conserved
    assert "signs: this ansatz is positive, but the Hamiltonian" in said  # nor that its elements are negative
    a_N = fields(tree, "ground")
    z_N, x_N = np.tanh(2 * a_N), 1 / np.cosh(2 * a_N)
    energy = FIELD * z_N.sum() - (x_N[1:] * x_N[:-1]).sum()
    assert abs(found["energy"]["mean"] - energy) < 5 * found["energy"]["error"]

    start(
        tree,
        *("task=evaluate", "task.run=ground", "task.samples=1024", "run_dir=again"),
        "observables={total: {name: toy, times: 2.0}}",
    )
    found = summary(tree, "again")
    assert abs(found["energy"]["mean"] - energy) < 5 * found["energy"]["error"]
    total = found["observables"]["total"]
    assert abs(total["mean"] - 2 * z_N.sum()) < 5 * total["error"]


def test_a_toy_task_runs(tree):
    start(tree, *SYSTEM[:-1], "task=toy", "run_dir=own")
    found = summary(tree, "own")
    assert found["status"] == "done" and found["step"] == 4
    lines = [json.loads(line) for line in (tree / "own" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    greatest = np.abs(fields(tree, "own")).sum()  # 256 samples of 16 states: the most likely one is among them
    assert found["greatest"] == lines[-1]["greatest"] == pytest.approx(greatest)


@pytest.mark.slow
def test_contract_tests_find_the_toys(tree):
    """With no edit of theirs either."""
    for name in ("tests/conftest.py", "tests/systems.py", "tests/ansatz", "tests/contract", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        (tree / name).parent.mkdir(exist_ok=True)
        if not (tree / name).exists():
            copy(ROOT / name, tree / name)
    words = ("tests/contract", "--ignore=tests/contract/test_toys.py", "-k", "toy", "-q", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) > 130
