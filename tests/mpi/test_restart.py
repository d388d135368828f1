"""A run that was killed and a run that was not are one, bit for bit; other rank counts go on within rounding."""

import json
import random
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.mpi.starts import job, kill_all, metrics, new_mark, numbers, small, start, summary

pytestmark = [pytest.mark.mpi, pytest.mark.as_users]


def leaves(path: Path) -> dict[str, np.ndarray]:
    """The datasets of a checkpoint, but for meta, which holds times."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) and name != "meta" else None
            )
        )
    return found


def same_checkpoints(a: Path, b: Path) -> bool:
    one, other = leaves(a), leaves(b)
    return one.keys() == other.keys() and all(one[k].tobytes() == other[k].tobytes() for k in one)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """20 steps at once on 2 ranks."""
    folder = tmp_path_factory.mktemp("undisturbed")
    job(2, "task.n_steps=20", "run_dir=run", cwd=folder)
    return folder / "run"


def test_ten_and_ten_steps_are_twenty_bitwise(undisturbed, tmp_path):
    first = job(2, "task.n_steps=10", "run_dir=run", cwd=tmp_path)
    assert "new" in first
    second = job(2, "task.n_steps=20", "run_dir=run", cwd=tmp_path)
    assert "resumed from step_00000010.h5" in second
    folder = tmp_path / "run"
    assert [numbers(line) for line in metrics(folder)] == [numbers(line) for line in metrics(undisturbed)]
    newest = "checkpoints/step_00000020.h5"
    assert same_checkpoints(folder / newest, undisturbed / newest)
    assert summary(folder)["energy"] == summary(undisturbed)["energy"]
    again = job(2, "task.n_steps=20", "run_dir=run", cwd=tmp_path)
    assert "nothing to do" in again


# tests/mpi/test_elastic.py goes from two ranks to one, four and two in every run of the suite
@pytest.mark.slow
@pytest.mark.parametrize("n_ranks", [1, 4])
def test_another_rank_count_goes_on_with_the_same_chains(undisturbed, tmp_path, n_ranks):
    job(2, "task.n_steps=10", "run_dir=run", cwd=tmp_path)
    output = job(n_ranks, "task.n_steps=20", "run_dir=run", cwd=tmp_path)
    assert output.count("dealt again") == 1
    ours, theirs = metrics(tmp_path / "run"), metrics(undisturbed)
    assert [line["step"] for line in ours] == list(range(1, 21))
    assert ours[10]["energy"] == pytest.approx(theirs[10]["energy"], rel=1e-12)
    for a, b in zip(ours, theirs, strict=True):
        assert a["energy"] == pytest.approx(b["energy"], rel=1e-8)
        assert a["acceptance"] == b["acceptance"]  # the chains themselves


@pytest.mark.parametrize(
    ("n_kills", "seed", "more_than"),
    [(8, 27, 1), pytest.param(20, 7, 3, marks=pytest.mark.slow)],  # seed 27: spread evenly over the range
    ids=["eight", "twenty"],
)
def test_killed_many_times_at_random_moments(tmp_path, n_kills, seed, more_than):
    """SIGKILL of all ranks during start, steps, saves and the final evaluation; in the end nothing shows it."""
    words = ("task.n_steps=1000", "checkpoint.every_steps=5", "task.final_samples=65536")
    job(2, "task.n_steps=1", "task.final_samples=64", "run_dir=warm", cwd=tmp_path)  # compiles what tests have not yet
    job(2, *words, "run_dir=undisturbed", cwd=tmp_path)
    # from the middle of a start to a third of the run, however fast this machine is
    (begun,) = json.loads((tmp_path / "undisturbed" / "manifest.json").read_text())["starts"]
    to_first_step = sum(begun["seconds"].values())
    latest = to_first_step + (summary(tmp_path / "undisturbed")["seconds"] - to_first_step) / 3
    moments = random.Random(seed)
    kills, started_steps = 0, []
    while kills < n_kills:
        mark = new_mark()
        process = start(2, *small(*words, "run_dir=killed"), cwd=tmp_path, mark=mark)
        time.sleep(moments.uniform(to_first_step / 2, latest))
        kills += process.poll() is None
        kill_all(mark)
        output, _ = process.communicate()
        assert "Traceback" not in output, output
        checkpoints = sorted((tmp_path / "killed" / "checkpoints").glob("step_*.h5"))
        started_steps.append(int(checkpoints[-1].stem[5:]) if checkpoints else 0)
        if (tmp_path / "killed" / "DONE").exists():  # it got through: take its end away and go on being killed
            (tmp_path / "killed" / "DONE").unlink()
    assert started_steps == sorted(started_steps) and len(set(started_steps)) > more_than
    job(2, *words, "run_dir=killed", cwd=tmp_path)
    ours, theirs = tmp_path / "killed", tmp_path / "undisturbed"
    assert [line["step"] for line in metrics(ours)] == list(range(1, 1001))
    assert [numbers(line) for line in metrics(ours)] == [numbers(line) for line in metrics(theirs)]
    assert summary(ours)["energy"] == summary(theirs)["energy"]
    newest = "checkpoints/step_00001000.h5"
    assert same_checkpoints(ours / newest, theirs / newest)
    assert not list(ours.glob("**/*.tmp"))
