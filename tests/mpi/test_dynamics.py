"""Evolution in time on several ranks: the same trajectory at any number of them, and after any interruption."""

import json
import random
import signal
import time

import h5py
import numpy as np
import pytest

from tests.mpi.starts import kill_all, metrics, new_mark, numbers, run, start, summary
from tests.mpi.test_restart import leaves

pytestmark = pytest.mark.mpi
QUENCH = (
    *("task=dynamics", "task.t_end=0.1", "task.spacing=0.05", "lattice.length=8", "hamiltonian.h=0.5"),
    *("task.initial=plus_x", "ansatz=jastrow", "ansatz.dtype=complex", "observables=[magnetization,loschmidt]"),
    *("sampler.n_chains=32", "sampler.n_samples=256", "sampler.warmup=5", "checkpoint.every_seconds=1e-6"),
)
HEUN = ("task.integrator=heun", "task.integrator.dt=0.01")
ADAPTIVE = ("task.integrator=rk23", "task.integrator.tolerance=1e-6", "task.integrator.dt_first=0.05")


def quench(*words):
    """The words of the quench with some keys set otherwise."""
    keys = dict(word.split("=", 1) for word in (*QUENCH, *words))
    return ["-m", "nqs_hpc", *(f"{key}={value}" for key, value in keys.items())]


def evolve(n_ranks, *words, cwd, code=0):
    return run(n_ranks, *quench(*words), cwd=cwd, code=code)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The adaptive steps at once, on 2 ranks."""
    folder = tmp_path_factory.mktemp("undisturbed")
    evolve(2, *ADAPTIVE, "run_dir=run", cwd=folder)
    return folder / "run"


def same_end(ours, theirs):
    """Lines, observables and the last checkpoint, to the bit."""
    assert [numbers(line) for line in metrics(ours)] == [numbers(line) for line in metrics(theirs)]
    one, other = (leaves(max((folder / "checkpoints").glob("step_*.h5"))) for folder in (ours, theirs))
    assert one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)
    with h5py.File(ours / "observables.h5") as a, h5py.File(theirs / "observables.h5") as b:
        for name in ("energy", "magnetization/m2", "loschmidt/echo"):
            assert a[f"{name}/mean/value"][()].tobytes() == b[f"{name}/mean/value"][()].tobytes()
            assert a[f"{name}/axes/time"][()].tolist() == [0.0, 0.05, 0.1]


def test_the_same_trajectory_on_1_2_and_4_ranks(tmp_path):
    """Ten steps, to 1e-8; and one that begins on four and goes on on two."""
    for n_ranks in (1, 2):
        evolve(n_ranks, *HEUN, f"run_dir=run_{n_ranks}", cwd=tmp_path)
    for n_ranks, t_end in ((4, 0.05), (2, 0.1)):
        evolve(n_ranks, *HEUN, f"task.t_end={t_end}", "run_dir=elastic", cwd=tmp_path)
    one = metrics(tmp_path / "run_1")
    assert [line["time"] for line in one] == pytest.approx(np.linspace(0, 0.1, 11).tolist())
    for name in ("run_2", "elastic"):
        for ours, theirs in zip(metrics(tmp_path / name), one, strict=True):
            assert ours["acceptance"] == theirs["acceptance"]  # the chains themselves
            for key in ("energy", "r2", "bound", "noise"):
                assert ours[key] == pytest.approx(theirs[key], rel=1e-8, abs=1e-9)  # r2 at time 0 is rounding
            echo = "observables.loschmidt.echo"
            assert echo not in theirs or ours[echo] == pytest.approx(theirs[echo], rel=1e-8)
    starts = json.loads((tmp_path / "elastic" / "manifest.json").read_text())["starts"]
    assert [start["n_ranks"] for start in starts] == [4, 2]


def saves(folder, n, process):
    """Wait until so many new checkpoints have been seen, or the job has ended."""
    seen = set()
    while process.poll() is None and len(seen) <= n:
        for path in (folder / "checkpoints").glob("step_*.h5"):
            try:
                about = path.stat()
            except FileNotFoundError:
                continue
            seen.add((about.st_ino, about.st_mtime_ns))
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("n_kills", "seed"), [(4, 3), pytest.param(20, 5, marks=pytest.mark.slow)], ids=["four", "twenty"]
)
def test_killed_at_random_moments(undisturbed, tmp_path, n_kills, seed):
    """SIGKILL of two ranks in stages, saves and rejected steps, each turn being saved: in the end nothing shows it."""
    lines = metrics(undisturbed)
    n_turns = lines[-1]["n_velocities"]
    assert max(line["attempts"] for line in lines) > 1 and n_turns > 15  # there are rejected steps
    draw = random.Random(seed)
    for _ in range(n_kills):
        mark = new_mark()
        process = start(2, *quench(*ADAPTIVE, "run_dir=run"), cwd=tmp_path, mark=mark)
        saves(tmp_path / "run", draw.randint(1, max(2, 2 * n_turns // n_kills)), process)
        time.sleep(0.03 * draw.random())
        kill_all(mark)
        process.communicate(timeout=600)
    output = evolve(2, *ADAPTIVE, "run_dir=run", cwd=tmp_path)
    assert "resumed from" in output or "nothing to do" in output
    same_end(tmp_path / "run", undisturbed)


def test_stopped_by_a_signal_inside_a_step(undisturbed, tmp_path):
    """USR1 at any turn: a checkpoint, exit code 85, and the same trajectory after the next start."""
    mark = new_mark()
    process = start(2, *quench(*ADAPTIVE, "run_dir=run"), cwd=tmp_path, mark=mark)
    saves(tmp_path / "run", 5, process)
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=600)
    assert process.returncode in (85, 0), output  # 0: a fast machine came to the end before
    if process.returncode == 85:
        assert summary(tmp_path / "run")["status"] == "stopped"
    evolve(2, *ADAPTIVE, "run_dir=run", cwd=tmp_path)
    same_end(tmp_path / "run", undisturbed)
