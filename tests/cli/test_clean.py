"""`clean` lists what nobody needs, and removes that alone: what is left restarts to the same bits."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from nqs_hpc.cli.clean import clean
from nqs_hpc.job import lock, study
from nqs_hpc.job.checkpoint_file import newest_first
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE
from nqs_hpc.parallel import compile_cache
from tests.mpi.starts import metrics, numbers
from tests.mpi.test_restart import same_checkpoints

from .conftest import job

HOST = os.uname().nodename


@pytest.fixture
def run(made, tmp_path):
    return shutil.copytree(made, tmp_path / "runs" / "run")


def steps(folder):
    return [int(path.stem[5:]) for path in newest_first(folder)]


def tree(folder):
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


def told(capsys, *words, code=DONE):
    capsys.readouterr()
    assert clean([str(word) for word in words]) == code
    out = capsys.readouterr()
    assert out.err == ""
    return out.out


def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def started(run, *jobs):
    """Let the run have been started by these jobs of Slurm, one after the other."""
    file = run / "manifest.json"
    data = json.loads(file.read_text())
    data["starts"] = [data["starts"][0] | {"slurm_job": number} for number in jobs]
    file.write_text(json.dumps(data))


def test_what_is_listed_is_what_goes_and_unknown_files_stay(run, capsys):
    started(run, "11", "12", "11", "13")
    left = f".summary.json.{HOST}.{dead()}.tmp"
    gone = [left, "checkpoints/step_00000002.h5", "checkpoints/step_00000004.h5", "checkpoints/step_00000006.h5"]
    gone += ["slurm-11.log", "slurm-12.log", f"checkpoints/.step_00000012.h5.{HOST}.{dead()}.tmp"]
    for age, name in enumerate([gone[-1], left, "slurm-13.log", "slurm-12.log", "slurm-11.log"]):
        (run / name).write_text("x")
        os.utime(run / name, times=(time.time() - age - 1,) * 2)
    # of a living process, of another host a moment ago, and what only looks alike
    (run / f".DONE.{HOST}.{os.getppid()}.tmp").touch()
    (run / ".DONE.elsewhere.7.tmp").touch()
    for name in (
        "slurm-x.log",
        "slurm-14.log",
        "output.log",
        "checkpoints/best.h5",
        "checkpoints/step_1.h5",
        "notes.txt",
        "core.123",
    ):
        (run / name).touch()
    (run / "checkpoints" / "step_00000001.h5").symlink_to(run / "notes.txt")

    before = tree(run)
    text = told(capsys, run)
    assert tree(run) == before
    listed = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    assert sorted(listed) == sorted(gone)
    assert text.splitlines()[-1].startswith("7 files, ") and "--yes" in text
    as_json = json.loads(told(capsys, "--json", run))
    size = sum((run / name).stat().st_size for name in gone)
    assert (as_json["removed"], as_json["n_files"], as_json["n_bytes"]) == (False, 7, size)

    assert told(capsys, run, "--yes").splitlines()[-1].endswith(" removed")
    assert tree(run).keys() == before.keys() - set(gone)
    assert told(capsys, run) == "nothing can go\n"


def test_a_cleaned_run_restarts_to_the_same_bits(run, tmp_path, capsys):
    other = shutil.copytree(run, tmp_path / "runs" / "other")
    told(capsys, run, "--yes", "--keep", 1)
    assert steps(run) == [10] and steps(other) == [10, 8, 6, 4, 2]
    for folder in (run, other):
        job(folder, "task.n_steps=14")
    assert list(map(numbers, metrics(run))) == list(map(numbers, metrics(other))) and len(metrics(run)) == 14
    assert steps(run)[0] == 14 and same_checkpoints(newest_first(run)[0], newest_first(other)[0])


def test_good_checkpoints_stay_however_many_are_damaged(run, capsys):
    for step in (8, 10):
        path = run / "checkpoints" / f"step_{step:08d}.h5"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    told(capsys, run, "--yes")
    assert steps(run) == [10, 8, 6, 4]  # two good ones, and what is newer
    for step in (6, 4):
        (run / "checkpoints" / f"step_{step:08d}.h5").write_bytes(b"")
    assert told(capsys, run) == "nothing can go\n"  # none is good: nobody knows what can be rescued


def test_logs_of_a_run_that_goes_on_stay(run, capsys):
    (run / "DONE").unlink()
    started(run, "1", "2")
    for number in (1, 2):
        (run / f"slurm-{number}.log").touch()
    assert "slurm" not in told(capsys, run)


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_a_run_in_use_is_left_as_it_is(run, capsys, yes):
    hold = "import sys; from pathlib import Path; from nqs_hpc.job.lock import lock; lock(Path(sys.argv[1])); "
    hold += "print(flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", hold, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    before = tree(run)
    try:
        text = told(capsys, run, *yes)
    finally:
        holder.communicate(b"\n")
    assert tree(run) == before
    assert text.startswith(f"run: left as it is: {run} is in use by process {holder.pid} on {HOST}")
    text = told(capsys, run, *yes)
    assert text.startswith("run: 3 files")


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_a_run_of_another_host_is_left_as_it_is(run, capsys, monkeypatch, yes):
    """Where hosts share a file system, a holder that flock does not show counts as alive until somebody says else."""
    (run / ".lock").write_text(json.dumps({"host": "elsewhere", "pid": 7, "job": None}))
    monkeypatch.setattr(lock, "shared", lambda folder: True)
    assert "left as it is" in told(capsys, run, *yes) and len(steps(run)) == 5


def test_a_checkpoint_that_another_run_names_stays(run, capsys):
    other = run.parent / "other"
    other.mkdir()
    (other / "config.yaml").write_text("init_from: ../x/runs/run/checkpoints/step_00000004.h5\n")
    text = told(capsys, run.parent, "--yes")
    assert steps(run) == [10, 8, 4] and "other: left as it is: no run has started here" in text


def test_the_list_says_that_runs_elsewhere_are_not_seen(run, capsys):
    """Where a checkpoint is listed, in one line; not where nothing of a run goes, and not once it is gone."""
    said = [line for line in told(capsys, run).splitlines() if "in other folders are not seen" in line]
    assert len(said) == 1 and "init_from, task.run, task.below" in said[0] and "--keep" in said[0]
    assert "not seen" not in told(capsys, run, "--keep", "99")
    assert "not seen" not in told(capsys, run, "--yes") and "not seen" not in told(capsys, run)


def test_the_lock_is_given_back(run, capsys):
    there = (run / lock.NAME).exists()
    told(capsys, run, "--yes")
    assert lock.in_use(run) == "" and (run / lock.NAME).exists() == there
    (run / lock.NAME).unlink(missing_ok=True)
    told(capsys, run, "--yes")
    assert not (run / lock.NAME).exists()


def test_the_logs_of_a_sweep(run, tmp_path, capsys):
    sweep = tmp_path / "sweep"
    shutil.copytree(run, sweep / "a")
    shutil.copytree(run, sweep / "b")
    (sweep / "b" / "DONE").unlink()
    for name, jobs in (("a", ["1_0", "2_0", "3"]), ("b", ["1_1", "2_1"])):
        started(sweep / name, *jobs)
    common = {"swept": {}, "overrides": [], "command": "x", "n_sites": 8, "n_steps": 10}
    points = [study.Point(name=name, identity=name, **common) for name in "ab"]
    study.write(sweep, study.Study("s", "/", "slurm", [study.Launch(study.now(), "x")], points))
    (sweep / "logs").mkdir()
    for number in ("1_0", "2_0", "3", "1_1", "2_1", "9"):
        (sweep / "logs" / f"{number}.log").touch()
    told(capsys, sweep, "--yes")
    # the newest of a finished point, those of one that is not, and of jobs that nobody knows
    assert sorted(path.stem for path in (sweep / "logs").iterdir()) == ["1_1", "2_1", "3", "9"]
    assert steps(sweep / "a") == steps(sweep / "b") == [10, 8]


def test_programs_of_more_than_a_month_ago(run, tmp_path, capsys, monkeypatch):
    kept = tmp_path / "programs"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(kept))
    names = ("01234567-8/jit_a-cache", "01234567-8/jit_b-cache", "01234567-8/jit_a-atime", "mine-8/jit_a-cache")
    for name in names:
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        (kept / name).touch()
        if "_b-" not in name:
            os.utime(kept / name, times=(time.time() - compile_cache.MONTH - 60,) * 2)
    told(capsys, run, "--yes")
    assert len(tree(kept)) == 4  # only where they are asked for
    assert "compiled programs: 1 file" in told(capsys, run, "--yes", "--programs")
    assert tree(kept).keys() == set(names[1:])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nowhere"], "nowhere is not a folder; valid: the folder of a sweep, of runs, or of one run"),
        (["."], ". holds no runs; valid: "),
        ([], "clean takes one folder, not 0"),
        ([".", "--ys"], "--ys is not an option of clean; did you mean --yes? valid: "),
        ([".", "--keep", "0"], "--keep 0 is not valid; valid: a whole number, at least 1"),
        ([".", "--keep=two"], "--keep two is not valid"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, words, line):
    monkeypatch.chdir(tmp_path)
    assert clean(words) == BAD_INPUT
    out = capsys.readouterr()
    assert out.out == "" and out.err.startswith(line) and out.err.count("\n") == 1 and list(tmp_path.iterdir()) == []
