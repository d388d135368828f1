"""Projected evolution on several ranks: the same searches at any number of them, and after being killed inside one."""

import random
import time

import pytest

from tests.mpi.starts import kill_all, metrics, new_mark, start
from tests.mpi.test_dynamics import evolve, quench, same_end, saves

pytestmark = pytest.mark.mpi
PROJECTED = ("task.method=ptvmc", "task.integrator=slpe", "task.integrator.dt=0.025", "task.method.iterations=5")


def test_the_same_searches_on_1_and_2_ranks(tmp_path):
    """Four steps of two substeps, to 1e-8; and one that changes ranks on the way."""
    for n_ranks in (1, 2):
        evolve(n_ranks, *PROJECTED, f"run_dir=run_{n_ranks}", cwd=tmp_path)
    for n_ranks, t_end in ((2, 0.05), (1, 0.1)):
        evolve(n_ranks, *PROJECTED, f"task.t_end={t_end}", "run_dir=elastic", cwd=tmp_path)
    one = metrics(tmp_path / "run_1")
    assert [line["time"] for line in one] == pytest.approx([0, 0.025, 0.05, 0.075, 0.1])
    for name in ("run_2", "elastic"):
        for ours, theirs in zip(metrics(tmp_path / name)[1:], one[1:], strict=True):
            for key in ("acceptance", "attempts", "n_evaluations", "n_undone"):
                assert ours[key] == theirs[key]  # the chains themselves, and every decision
            for key in ("energy", "r2", "bound", "infidelity_1", "infidelity_2", "infidelity_sum_error"):
                assert ours[key] == pytest.approx(theirs[key], rel=1e-8, abs=1e-14)


@pytest.mark.parametrize(
    ("n_kills", "seed"), [(3, 3), pytest.param(20, 5, marks=pytest.mark.slow)], ids=["three", "twenty"]
)
def test_killed_inside_a_search(tmp_path, n_kills, seed):
    """SIGKILL of two ranks at random moments, each iteration being saved: in the end nothing shows it."""
    evolve(2, *PROJECTED, "run_dir=undisturbed", cwd=tmp_path)
    n_turns = metrics(tmp_path / "undisturbed")[-1]["n_evaluations"]
    assert n_turns > 20
    draw = random.Random(seed)
    for _ in range(n_kills):
        mark = new_mark()
        process = start(2, *quench(*PROJECTED, "run_dir=run"), cwd=tmp_path, mark=mark)
        saves(tmp_path / "run", draw.randint(1, max(2, 2 * n_turns // n_kills)), process)
        time.sleep(0.03 * draw.random())
        kill_all(mark)
        process.communicate(timeout=600)
    output = evolve(2, *PROJECTED, "run_dir=run", cwd=tmp_path)
    assert "resumed from" in output or "nothing to do" in output
    same_end(tmp_path / "run", tmp_path / "undisturbed")
