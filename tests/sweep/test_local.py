"""The local launcher with real jobs: the energies of single runs, stops that lose nothing, chains in their order."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nqs_hpc.choices.hydra.launcher.local import Local
from nqs_hpc.config.compose import compose
from nqs_hpc.job import study
from nqs_hpc.job.files import read_json
from nqs_hpc.sweep import local
from nqs_hpc.sweep.study_file import Todo
from tests.mpi.starts import environment, job, metrics, numbers, small, summary

pytestmark = pytest.mark.mpi
# seen by a child of the launcher, were it not for the cleaning: it would take itself for a rank of another job
OUTER = {"PMIX_RANK": "0", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "PJRT_NPROC": "7"}


def start(*words, cwd):
    command = [sys.executable, "-m", "nqs_hpc", "-m", "study=a", *small()[2:], *words]
    return subprocess.Popen(
        command, cwd=cwd, env=environment() | OUTER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def sweep(*words, cwd, code=0):
    process = start(*words, cwd=cwd)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == code, output
    return output


def points(cwd) -> dict[tuple, study.Point]:
    found = study.read(cwd / "sweeps" / "a")
    assert found is not None
    return {tuple(point.swept.values()): point for point in found.points}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two points on two ranks each, and what the launch printed."""
    cwd = tmp_path_factory.mktemp("swept")
    return cwd, sweep("hamiltonian.h=1.0,1.5", "task.n_steps=20", "resources.ranks=2", cwd=cwd)


def test_points_are_the_single_runs(swept, tmp_path):
    cwd, output = swept
    assert "2 points: 2 done" in output and output.count(": done: 20 steps, energy ") == 2
    for (h,), point in points(cwd).items():
        assert point.state == "done" and read_json(cwd / "sweeps" / "a" / point.name / "manifest.json")["n_ranks"] == 2
        if h == 1.5:
            job(2, "hamiltonian.h=1.5", "task.n_steps=20", "run_dir=single", cwd=tmp_path)
            ours, single = cwd / "sweeps" / "a" / point.name, tmp_path / "single"
            assert list(map(numbers, metrics(ours))) == list(map(numbers, metrics(single)))
            assert summary(ours)["energy"] == summary(single)["energy"]
            assert summary(ours)["threads"] == 1


def test_again_there_is_nothing_to_do(swept):
    cwd, _ = swept
    output = sweep("hamiltonian.h=1.0,1.5", "task.n_steps=20", "resources.ranks=2", cwd=cwd)
    assert "started" not in output and "2 points: 2 done" in output


def test_interrupted_it_stops_with_checkpoints_and_goes_on(swept, tmp_path):
    """Ctrl-C at any moment of the start too: two points at a time, one of them hardly there."""
    words = ("hamiltonian.h=1.0,1.5", "hydra.launcher.n_jobs=1", "checkpoint.every_steps=1000", "resources.ranks=2")
    process = start(*words, "task.n_steps=100000", cwd=tmp_path)
    folder = tmp_path / "sweeps" / "a"
    while not list(folder.glob("*/metrics.jsonl")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 85 and "2 points: 1 waiting, 1 stopped" in output, output
    (stopped,) = [point for point in points(tmp_path).values() if point.state == "stopped"]
    assert stopped.why == "signal SIGUSR1"
    step = summary(folder / stopped.name)["step"]
    assert list((folder / stopped.name / "checkpoints").glob(f"step_{step:08d}.h5"))
    assert not [pid for pid in processes_below(folder)]

    process = start(*words, f"task.n_steps={step + 5}", cwd=tmp_path)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0 and "2 points: 2 done" in output, output
    assert f"resumed from step_{step:08d}.h5" in (folder / stopped.name / local.OUTPUT).read_text()
    assert [line["step"] for line in metrics(folder / stopped.name)] == list(range(1, step + 6))
    theirs = metrics(swept[0] / "sweeps" / "a" / points(swept[0])[(1.0,)].name)
    shorter = min(step + 5, len(theirs))
    assert list(map(numbers, metrics(folder / stopped.name)[:shorter])) == list(map(numbers, theirs[:shorter]))


def processes_below(folder: Path) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_a_second_interrupt_ends_all_at_once(tmp_path):
    process = start("seed=0,1", "task.n_steps=100000", "hydra.launcher.n_jobs=2", "resources.ranks=2", cwd=tmp_path)
    folder = tmp_path / "sweeps" / "a"
    while len(list(folder.glob("*/.lock"))) < 2:  # they load jax now, and would stop after their first step
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 85 and processes_below(folder) == [], output
    # a run that stops by itself says so; these did not come to it
    assert not [path for path in folder.glob(f"*/{local.OUTPUT}") if "stopped: signal" in path.read_text()]
    assert {point.state for point in points(tmp_path).values()} == {"stopped"}


def test_a_chain_and_a_point_that_fails(tmp_path):
    """Each begins with what the one before came to; what comes after a failed one waits, the rest goes on."""
    words = ("seed=0,1", "hamiltonian.h=1.0,1.5,2.0", "chain=hamiltonian.h", "task.n_steps=5")
    broken = sweep_folder_of(tmp_path, *words)[(1, 1.5)]
    sweep("seed=0,1", "hamiltonian.h=1.0", "task.n_steps=5", cwd=tmp_path)  # the first of each chain
    (broken / "checkpoints").mkdir(parents=True)
    (broken / "checkpoints" / "step_00000001.h5").write_bytes(b"damaged")
    output = sweep(*words, cwd=tmp_path, code=1)
    assert output.count("started") == 3
    found = points(tmp_path)
    assert "6 points: 1 waiting, 4 done, 1 failed" in output
    assert found[(1, 1.5)].state == "failed" and found[(1, 1.5)].why.startswith("code 1: no checkpoint in ")
    assert found[(1, 2.0)].state == "waiting" and found[(1, 2.0)].why.startswith("comes after ")
    second = tmp_path / "sweeps" / "a" / found[(0, 1.5)].name
    first = tmp_path / "sweeps" / "a" / found[(0, 1.0)].name / "checkpoints" / "step_00000005.h5"
    assert f"new, with the parameters of {first}" in (second / local.OUTPUT).read_text()

    (broken / "checkpoints" / "step_00000001.h5").unlink()
    output = sweep(*words, cwd=tmp_path)
    assert "6 points: 6 done" in output and output.count("started") == 2


def sweep_folder_of(cwd: Path, *words: str) -> dict[tuple, Path]:
    """Where the points will live, by what is swept."""
    process = start(*words, "hydra.launcher.dry_run=true", cwd=cwd)
    output, _ = process.communicate(timeout=600)
    found = {}
    for line in output.splitlines()[1:]:
        keys = dict(word.split("=", 1) for word in line.split() if "=" in word)
        folder = line.split('run_dir="')[1].split('"')[0] if 'run_dir="' in line else keys["run_dir"]
        found[(int(keys["seed"]), float(keys["hamiltonian.h"]))] = Path(folder)
    return found


def test_a_point_in_use_is_let_be(tmp_path):
    other = start("seed=0,1", "hydra.launcher.n_jobs=2", "task.n_steps=100000", cwd=tmp_path)
    folder = tmp_path / "sweeps" / "a"
    while len(list(folder.glob("*/metrics.jsonl"))) < 2:
        assert other.poll() is None
        time.sleep(0.05)
    again = start("seed=0,1", "task.n_steps=100000", cwd=tmp_path)
    output, _ = again.communicate(timeout=600)
    assert again.returncode == 1 and "is being launched by another process" in output
    os.kill(other.pid, signal.SIGKILL)  # its points go on without it
    other.communicate()
    again = start("seed=0,1", "task.n_steps=100000", cwd=tmp_path)
    output, _ = again.communicate(timeout=600)
    assert again.returncode == 85 and "2 points: 2 running" in output, output
    for pid in processes_below(folder):
        os.kill(pid, signal.SIGTERM)
    while processes_below(folder):
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("n_cores", "n_jobs", "ranks", "threads", "expected"),
    [
        (8, "auto", 2, 1, [(0, 1), (2, 3), (4, 5), (6, 7)]),
        (8, "auto", 2, 2, [(0, 1, 2, 3), (4, 5, 6, 7)]),
        (8, 3, 1, 1, [(0, 1), (2, 3), (4, 5)]),
        (2, "auto", 4, 1, [(0, 1)]),
        (2, 3, 1, 1, [(0,), (1,), (0,)]),
    ],
)
def test_cores_of_points_are_disjoint(monkeypatch, tmp_path, n_cores, n_jobs, ranks, threads, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(n_cores)))
    config = compose([f"resources.ranks={ranks}", f"resources.threads={threads}"], None)
    todo = Todo(study.Point("a", "", {}, [], "", 4, 1), config, [])
    assert local.slots(Local("local", False, n_jobs, None), [todo]) == expected


def test_without_a_number_a_point_gets_a_core_a_rank(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    config = compose(["resources.ranks=2", "resources.threads=auto"], None)
    todo = Todo(study.Point("a", "", {}, [], "", 4, 1), config, [])
    assert local.slots(Local("local", False, "auto", None), [todo]) == [(0, 1), (2, 3)]


def test_cores_of_points_in_use_are_left_out(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    todo = Todo(study.Point("a", "", {}, [], "", 4, 1), compose([], None), [])
    launcher = Local("local", False, "auto", None)
    assert local.slots(launcher, [todo], taken={0, 2}) == [(1,), (3,)]
    assert local.slots(launcher, [todo], taken={0, 1, 2, 3}) == [(0,), (1,), (2,), (3,)]  # none is free: they share


@pytest.mark.parametrize(
    ("code", "n_ranks", "name"),
    [
        (-9, 1, "SIGKILL"),
        (9, 2, "SIGKILL"),
        (15, 2, "SIGTERM"),
        (9, 1, None),
        (1, 2, None),
        (2, 2, None),
        (85, 2, None),
    ],
)
def test_a_signal_is_told_by_its_name(code, n_ranks, name):
    assert local._signal(code, n_ranks) == name


def test_without_mpiexec_several_ranks_are_refused(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local, "mpiexec", lambda: None)
    from nqs_hpc.cli.command import main

    assert main(["-m", "study=a", "seed=0,1", "resources.ranks=2"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_is_gone_and_a_sweep_that_is_moved(tmp_path):
    """The first changes nothing; after the second the launcher says so, and leaves no point without one."""
    folder, words = tmp_path / "sweeps" / "a", ("seed=0,1", "hydra.launcher.n_jobs=1")
    process = start(*words, "task.n_steps=30", cwd=tmp_path)
    while not (logs := list(folder.glob(f"*/{local.OUTPUT}"))):
        assert process.poll() is None
        time.sleep(0.05)
    logs[0].unlink()
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0 and "2 points: 2 done" in output, output

    process = start(*words, "task.n_steps=100000", cwd=tmp_path)
    while not any("resumed" in path.read_text() for path in folder.glob(f"*/{local.OUTPUT}")):
        assert process.poll() is None
        time.sleep(0.05)
    folder.rename(tmp_path / "moved")
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 1 and "Traceback" not in output, output
    assert processes_below(folder) == processes_below(tmp_path / "moved") == []
