"""One run on other numbers of ranks, with other rates, and a new run from another's parameters."""

import json
import shutil

import h5py
import numpy as np
import pytest

from tests.mpi.starts import job, metrics, numbers, run, summary
from tests.mpi.test_restart import leaves

pytestmark = [pytest.mark.mpi, pytest.mark.as_users]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """40 steps at once on 2 ranks."""
    cwd = tmp_path_factory.mktemp("undisturbed")
    job(2, "task.n_steps=40", "run_dir=run", cwd=cwd)
    return cwd / "run"


def test_two_one_four_two_ranks(undisturbed, tmp_path):
    """Each continues the run, and its energies of the next ten steps are those of the run on 2 ranks."""
    n_steps = 0
    for n_ranks in (2, 1, 4, 2):
        n_steps += 10
        output = job(n_ranks, f"task.n_steps={n_steps}", "run_dir=run", cwd=tmp_path)
        assert output.count("dealt again") == (n_steps > 10)
        assert f"resumed from step_000000{n_steps - 10}.h5" in output or n_steps == 10
    ours, theirs = metrics(tmp_path / "run"), metrics(undisturbed)
    assert [line["step"] for line in ours] == list(range(1, 41))
    for a, b in zip(ours, theirs, strict=True):
        assert a["acceptance"] == b["acceptance"]  # the chains themselves
        assert a["energy"] == pytest.approx(b["energy"], rel=1e-12 if a["step"] <= 11 else 1e-7)
    starts = json.loads((tmp_path / "run" / "manifest.json").read_text())["starts"]
    assert [start["n_ranks"] for start in starts] == [2, 1, 4, 2]


def test_what_may_change_and_what_may_not(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "run")
    job(2, "task.n_steps=40", "seed=1", "run_dir=run", cwd=tmp_path, code=2)
    output = job(2, "task.n_steps=40", "seed=1", "hamiltonian.h=2", "run_dir=run", cwd=tmp_path, code=2)
    assert "hamiltonian.h: 1.0 -> 2.0; seed: 0 -> 1" in output and output.count("\n") == 1
    changed = ("task.n_steps=42", "optimizer.learning_rate=0.01", "checkpoint.keep=5")
    output = job(2, *changed, "run_dir=run", cwd=tmp_path)
    (line,) = [line for line in output.splitlines() if line.startswith("changed since the last start: ")]
    for words in ("task.n_steps: 40 -> 42", "optimizer.learning_rate: 0.05 -> 0.01", "checkpoint.keep: 3 -> 5"):
        assert words in line
    start = json.loads((tmp_path / "run" / "manifest.json").read_text())["starts"][-1]
    assert sorted(start["changed"]) == sorted(line.removeprefix("changed since the last start: ").split("; "))
    assert [line["learning_rate"] for line in metrics(tmp_path / "run")][-3:] == [0.05, 0.01, 0.01]


def test_a_new_run_from_anothers_parameters(undisturbed, tmp_path):
    source = undisturbed / "checkpoints" / "step_00000040.h5"
    words = (f"init_from={undisturbed}", "hamiltonian.h=1.1", "task.n_steps=3", "run_dir=run")
    output = job(2, *words, cwd=tmp_path)
    assert f"new, with the parameters of {source}" in output
    run = tmp_path / "run"
    first, given = leaves(run / "checkpoints" / "step_00000000.h5"), leaves(source)
    names = [name for name in given if name.startswith("params/")]
    assert names and all(first[name].tobytes() == given[name].tobytes() for name in names)
    assert first["step"] == 0
    # near the ground state of its own Hamiltonian from the first step on, not at a random state's energy
    random_start = metrics(undisturbed)[0]["energy"]
    assert metrics(run)[0]["energy"] < random_start - 1.0
    assert summary(run)["status"] == "done"

    # it no longer needs the other run, and goes on as if it had never stopped
    at_once = job(2, *words[:2], "task.n_steps=5", "run_dir=at_once", cwd=tmp_path)
    assert "new, with" in at_once
    shutil.copytree(undisturbed, tmp_path / "moved")
    again = job(2, "init_from=moved", "hamiltonian.h=1.1", "task.n_steps=5", "run_dir=run", cwd=tmp_path, code=2)
    assert "init_from: " in again  # another start makes it another run
    job(2, *words[:2], "task.n_steps=5", "run_dir=run", cwd=tmp_path)
    assert list(map(numbers, metrics(run))) == list(map(numbers, metrics(tmp_path / "at_once")))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["ansatz.alpha=2"], "params/w in step_00000040.h5 is float64 (8, 8), this run has float64 (8, 16)"),
        (["ansatz=mlp"], "is in this run but not in step_00000040.h5"),
    ],
)
def test_parameters_that_do_not_fit_are_bad_input(undisturbed, tmp_path, words, line):
    output = job(2, f"init_from={undisturbed}", *words, cwd=tmp_path, code=2)
    assert output.count("\n") == 1 and "init_from=" in output and "a run whose parameters fit" in output
    assert line in output
    assert list(tmp_path.iterdir()) == []


def test_init_from_nowhere(tmp_path):
    output = job(1, "init_from=nowhere", cwd=tmp_path, code=2)
    assert output.count("\n") == 1 and "init_from=nowhere is not valid: it does not exist; " in output
    assert list(tmp_path.iterdir()) == []


SCRIPT = """
import json, sys
import nqs_hpc

run = nqs_hpc.load_run(sys.argv[1], ranks=True)
found = run.measure(["magnetization", "spin_correlations"], n_samples=512)
energy = run.expect(n_samples=512)
rank = run.parts.pieces.comm.rank
if rank == 0:
    numbers = [*found["magnetization.binder"][:2], *found["spin_correlations.total"].value.ravel(), *energy[:3]]
    json.dump([float(x) for x in [*numbers, run.sample(100).sum()]], open(sys.argv[2], "w"))
else:
    run.sample(100)
"""


def measured(n_ranks, goal, folder, *, cwd):
    """What a script finds that opens the run on all its ranks."""
    run(n_ranks, "-c", SCRIPT, str(folder), str(goal), cwd=cwd)
    return json.loads(goal.read_text())


def assert_same_results(ours, theirs):
    with h5py.File(ours / "observables.h5") as a, h5py.File(theirs / "observables.h5") as b:
        names = []
        a.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert "c/structure_factor/mean/value" in names and "s2/s2/mean/error" in names
        for name in names:
            np.testing.assert_allclose(a[name][()], b[name][()], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_wave_function_measured_on_other_numbers_of_ranks(undisturbed, tmp_path):
    """task=evaluate of the running mean: stopped and grown on 1, 4 and 2 ranks, and whole on 2, has the same chains."""
    words = ("-m", "nqs_hpc", "task=evaluate", f"task.run={undisturbed}", "observables.zz=pauli")
    words += ("observables.zz.terms=[1.0 Z0 Z4]", "checkpoint.every_steps=1", "observables.m=magnetization")
    words += ("observables.c=spin_correlations", "observables.s2=renyi", "observables.s2.region=half")
    (tmp_path / "grown").mkdir()
    for n_ranks, n_samples in ((1, 256), (4, 512), (2, 1024)):
        run(n_ranks, *words, f"task.samples={n_samples}", "run_dir=grown", cwd=tmp_path)
    run(2, *words, "task.samples=1024", "run_dir=whole", cwd=tmp_path)
    ours, theirs = metrics(tmp_path / "grown"), metrics(tmp_path / "whole")
    assert [line["step"] for line in ours] == list(range(1, 17)) == [line["step"] for line in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert a["acceptance"] == b["acceptance"]
        assert a["energy"] == pytest.approx(b["energy"], rel=1e-12)
        assert a["observables.zz"] == pytest.approx(b["observables.zz"], abs=1e-12)
        assert a["observables.zz_error"] == pytest.approx(b["observables.zz_error"], rel=1e-9)
    assert_same_results(tmp_path / "grown", tmp_path / "whole")
    alone = measured(1, tmp_path / "alone.json", undisturbed, cwd=tmp_path)
    assert measured(2, tmp_path / "both.json", undisturbed, cwd=tmp_path) == pytest.approx(alone, abs=1e-12)
    found = summary(tmp_path / "grown")
    before = summary(undisturbed)["energy"]  # of the same parameters, from other chains
    assert abs(found["energy"]["mean"] - before["mean"]) < 6 * (found["energy"]["error"] + before["error"])
    assert found["n_samples"] == 1024 and found["n_ranks"] == 2 and found["status"] == "done"
