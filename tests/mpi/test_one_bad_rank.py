"""One rank that misbehaves ends the job, soon, with its traceback once, and leaves nothing behind."""

import time
from pathlib import Path

import pytest

from tests.mpi.starts import marked, metrics, new_mark, small, start

pytestmark = pytest.mark.mpi

SABOTAGE = str(Path(__file__).with_name("sabotage.py"))


def sabotaged(what, rank, *overrides, cwd):
    """Exit code and output of a run on two ranks."""
    mark = new_mark()
    process = start(2, SABOTAGE, what, str(rank), *small(*overrides, "run_dir=run")[2:], cwd=cwd, mark=mark)
    output, _ = process.communicate(timeout=600)
    assert marked(mark) == []
    return process.returncode, output


@pytest.mark.parametrize(
    ("what", "rank", "tracebacks"), [("raises", 1, 1), ("raises", 0, 1), ("raises-all", 0, 1), ("killed", 1, 0)]
)
def test_the_job_ends_with_it(tmp_path, what, rank, tracebacks):
    code, output = sabotaged(what, rank, "task.n_steps=50", cwd=tmp_path)
    assert code not in (0, 2, 85)
    assert output.count("Traceback (most recent call last)") == output.count("RuntimeError: sabotage") == tracebacks
    assert not tracebacks or f"rank {rank} of 2 failed" in output
    assert [line["step"] for line in metrics(tmp_path / "run")] == [1, 2, 3, 4]
    assert not list((tmp_path / "run").glob("**/*.tmp"))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_in_the_middle_of_a_solution_ends_the_others(tmp_path, rank):
    """They wait for its panel: once the step before is on disk, they are gone within seconds."""
    mark = new_mark()
    words = small("task.n_steps=50", "run_dir=run", "optimizer.solver=distributed", "sampler.n_samples=128")[2:]
    process = start(2, SABOTAGE, "killed-within", str(rank), *words, cwd=tmp_path, mark=mark)
    written = tmp_path / "run" / "metrics.jsonl"
    while process.poll() is None and not (written.exists() and written.read_bytes().count(b"\n") >= 4):
        time.sleep(0.02)
    begin = time.monotonic()
    output, _ = process.communicate(timeout=600)
    assert time.monotonic() - begin < 10 and process.returncode not in (0, 2, 85), output
    assert marked(mark) == [] and "Traceback" not in output
    assert [line["step"] for line in metrics(tmp_path / "run")] == [1, 2, 3, 4]


def test_a_fault_inside_hydra(tmp_path):
    code, output = sabotaged("compose", 0, cwd=tmp_path)
    assert (
        code == 1 and output.count("Traceback (most recent call last)") == output.count("RuntimeError: sabotage") == 1
    )
    assert list(tmp_path.iterdir()) == []


def test_a_late_rank_finds_the_folder_of_the_others(tmp_path):
    code, output = sabotaged("late", 0, "task.n_steps=2", cwd=tmp_path)
    assert code == 0 and output.count("new, step 0 of 2") == 1 and output.count(": 2 steps, energy") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"] and len(metrics(tmp_path / "run")) == 2


@pytest.mark.parametrize(
    ("what", "names"), [("old", "h5py 3.0.0 instead of"), ("float32", "JAX_DEFAULT_DTYPE_BITS 32")]
)
def test_ranks_that_differ_are_named(tmp_path, what, names):
    code, output = sabotaged(what, 1, cwd=tmp_path)
    assert code == 1 and output.count("\n") == 1, output
    assert output.startswith("rank 1 on ") and names in output and "the same installation" in output
    assert list(tmp_path.iterdir()) == []
