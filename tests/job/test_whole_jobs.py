"""Whole jobs on one rank, disturbed: closed streams, a time limit below the start-up, a folder that is moved."""

import json
import os
import signal
import subprocess
import sys
import time

from nqs_hpc.job import lifecycle
from nqs_hpc.job.checkpoint import newest_step
from tests.mpi.starts import environment, metrics, small, summary


def command(*overrides):
    return [sys.executable, *small("run_dir=run", *overrides)]


def test_a_run_that_nobody_hears_and_whose_time_is_too_short(tmp_path):
    """Two starts that make no step end the requeueing; a longer one goes on, with its streams closed in mid-run."""
    words = command("task.n_steps=30", "max_seconds=0.01")
    options = {"cwd": tmp_path, "env": environment(), "capture_output": True, "text": True}
    done = subprocess.run(["bash", "-c", '"$@" <&- >&- 2>&-', "bash", *words], **options)
    assert done.returncode == 85 and done.stdout == done.stderr == ""
    folder = tmp_path / "run"
    assert (summary(folder)["status"], summary(folder)["reason"]) == ("stopped", "max_seconds")

    done = subprocess.run(words, **options)
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert line.startswith("failed: two starts in a row were stopped (max_seconds) before step 1 was made, this one ")
    assert "raise max_seconds; " in line and summary(folder)["status"] == "failed"

    (folder / "SAVE").mkdir()
    process = subprocess.Popen(
        command("task.n_steps=30", "log.progress=lines"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert b"new, step 0 of 30" in process.stderr.readline()
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=600) == 0
    assert summary(folder)["status"] == "done" and len(metrics(folder)) == 30 and (folder / "SAVE").is_dir()
    ends = [start["exit"] for start in json.loads((folder / "manifest.json").read_text())["starts"]]
    assert [end.get("in_vain") for end in ends] == [True, True, None]
    trust = summary(folder)["trust"]
    assert trust["verdict"] == "good" and trust["checks"]["second_energy"]["verdict"] == "good"
    assert trust["second"]["n_samples"] >= 32 * 16 and trust["second"]["seconds"] > 0


def test_a_run_whose_folder_is_moved(tmp_path):
    """It ends in one line, with its checkpoints, and leaves the run alone that has its place."""
    words = command("task.n_steps=1000000", "checkpoint.every_steps=5")
    process = subprocess.Popen(words, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    folder, moved = tmp_path / "run", tmp_path / "moved"
    while not (newest_step(folder) or 0) > 5:
        assert process.poll() is None
        time.sleep(0.02)
    folder.rename(moved)
    (folder / "checkpoints").mkdir(parents=True)
    names = (".lock", "metrics.jsonl", "summary.json", "manifest.json", "checkpoints/step_00000001.h5")
    for name in names:
        (folder / name).write_text("of another run")
    _, output = process.communicate(timeout=600)
    assert process.returncode == 1 and "Traceback" not in output, output
    lines = [line for line in output.splitlines() if "moved" in line]
    assert len(lines) == 1, output
    assert lines[0] == f"failed: {folder} was moved or replaced (it is {moved} now): this job writes nothing more"
    assert sorted(os.listdir(folder)) == sorted({name.split("/")[0] for name in names})
    assert all((folder / name).read_text() == "of another run" for name in names)
    step = newest_step(moved)
    assert [line["step"] for line in metrics(moved)][:step] == list(range(1, step + 1))

    moved.rename(tmp_path / "back")
    words = [sys.executable, *small("run_dir=back", f"task.n_steps={step + 1}")]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0 and f"resumed from step_{step:08d}.h5" in done.stderr, done.stderr


def test_pictures_come_last_and_never_where_a_queue_ends_the_job(tmp_path):
    """Where whoever draws is killed, all is said that the next start wants to know; a SIGTERM leads to no drawing."""
    (tmp_path / "matplotlib.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    env = environment()
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"
    folder = tmp_path / "run"

    process = subprocess.Popen(command("task.n_steps=1000000"), cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    while not (folder / "metrics.jsonl").exists() or len((folder / "metrics.jsonl").read_bytes()) == 0:
        assert process.poll() is None
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=600) == 85
    step = newest_step(folder)
    done = subprocess.run(command(f"task.n_steps={step + 1}"), cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGKILL
    starts = json.loads((folder / "manifest.json").read_text())["starts"]
    reasons = [start["exit"]["reason"] for start in starts]
    assert reasons[0] == "stopped: signal SIGTERM" and reasons[1].partition(":")[0] in ("done", "doubtful"), reasons
    assert lifecycle.done(folder) == step + 1 and not (folder / "energy.png").exists()
