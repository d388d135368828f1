"""Systems that 1, 2, 3 and 4 ranks solve together: one solution, the steps of a replicated solve, counted traffic."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.mpi.starts import metrics, numbers, run, small, summary
from tests.mpi.test_restart import same_checkpoints

pytestmark = pytest.mark.mpi
PROGRAM = str(Path(__file__).with_name("together.py"))


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[int, dict]:
    folder, found = tmp_path_factory.mktemp("together"), {}
    for n_ranks in (1, 2, 3, 4):
        output = run(n_ranks, PROGRAM, cwd=folder)
        (line,) = [line for line in output.splitlines() if line.startswith("RESULT ")]
        found[n_ranks] = json.loads(line.removeprefix("RESULT "))
        counted = re.findall(r"COUNTING\n(.*?)COUNTED\n", output, re.DOTALL)
        found[n_ranks]["counted"] = [len(re.findall(r"r0 \| \w+ \| MPI_\w+ done", part)) for part in counted]
    return found


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_one_solution_on_all_ranks_and_each_time(results, n_ranks):
    for dtype, found in results[n_ranks]["solved"].items():
        assert found["error"] < (1e-3 if dtype == "float32" else 1e-10)
        assert len(found["bits"]) == n_ranks and len(set(found["bits"])) == 1 and found["repeated"]
        assert found["failed"] == [True] * n_ranks


@pytest.mark.parametrize(("n_ranks", "name"), [(2, "factored"), (2, "blocked"), (2, "sr"), (3, "factored"), (4, "sr")])
def test_steps_are_those_of_a_solution_on_one_rank(results, n_ranks, name):
    """Of LAPACK there, from a whole kernel."""
    one, many = results[1][name], results[n_ranks][name]
    assert many["energies"][0] == pytest.approx(one["energies"][0], rel=1e-12)
    assert many["energies"][1] == pytest.approx(one["energies"][1], rel=1e-10)
    assert np.abs(np.array(many["theta"]) - one["theta"]).max() < 1e-9
    assert len(many["hashes"]) == n_ranks and len(set(many["hashes"])) == 1
    assert one["fallback"] == many["fallback"] == 0


@pytest.mark.parametrize("n_ranks", [2, 3, 4])
def test_collectives_of_an_update(results, n_ranks):
    """As the docstrings count them, as traced and as they are executed."""
    found = results[n_ranks]
    names = [name for name in found if name not in ("solved", "counted")]
    expected = {
        "factored": lambda x: 3,
        "blocked": lambda x: 2 * (1 + x["exchanges"]) + 2,
        "sr": lambda x: 2 + x["slabs"] * x["exchanges"],
    }
    for name, counted in zip(names, found["counted"], strict=True):
        one = found[name]
        assert one["executed"] == counted == expected[name](one) + one["solve"]
        assert one["largest"] < one["kernel"]  # in bytes, a whole one
    assert results[1]["counted"] == [0] * len(results[1]["counted"])


@pytest.mark.as_users
@pytest.mark.parametrize("optimizer", ["minsr", "sr"])
def test_four_and_four_steps_are_eight_bitwise(tmp_path, optimizer):
    words = (f"optimizer={optimizer}", "optimizer.solver=distributed", "sampler.n_samples=128")

    def steps(n: int, folder: str) -> str:
        all_words = small(*words, f"task.n_steps={n}", f"run_dir={folder}")
        is_known = [word for word in all_words if optimizer == "minsr" or not word.startswith("optimizer.momentum")]
        return run(2, *is_known, cwd=tmp_path)

    steps(8, "whole")
    steps(4, "parts")
    output = steps(8, "parts")
    assert "resumed from step_00000004.h5" in output
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert [numbers(line) for line in metrics(parts)] == [numbers(line) for line in metrics(whole)]
    newest = "checkpoints/step_00000008.h5"
    assert same_checkpoints(parts / newest, whole / newest) and summary(parts)["energy"] == summary(whole)["energy"]
