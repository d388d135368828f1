"""The lock of a run folder: one holder, named to others, released by its death, believed across hosts."""

import json
import socket
import subprocess
import sys

import pytest

from nqs_hpc.job import lock as module
from nqs_hpc.job.slurm import SlurmError

HOLD = """
import sys; from pathlib import Path; from nqs_hpc.job.lock import lock
print(lock(Path(sys.argv[1])), flush=True); sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(module, "_held", {})


def nobody_asks(job):
    raise AssertionError("the queue was asked")


def test_second_holder_is_refused_until_the_first_is_dead(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **pipes)
    assert holder.stdout.readline() == "None\n"
    refused = module.lock(tmp_path)
    assert f"in use by process {holder.pid} on {socket.gethostname()}: one job a run folder" in refused
    holder.kill()
    holder.communicate()
    assert module.lock(tmp_path, state=nobody_asks) is None


def test_the_file_says_who_holds_it_and_leave_takes_that_back(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    assert module.lock(tmp_path) is None
    assert "Slurm job 42" in module.lock(tmp_path)  # flock is of the open file: also against ourselves
    assert json.loads((tmp_path / ".lock").read_text())["job"] == "42"
    module.release(tmp_path)
    assert (tmp_path / ".lock").read_text() == ""
    assert module.lock(tmp_path) is None


def left_behind(folder, host, job):
    (folder / ".lock").write_text(json.dumps({"host": host, "pid": 7, "job": job}) + "\n")


@pytest.mark.parametrize(
    ("shared", "host", "job", "answer", "refused"),
    [
        (False, "elsewhere", "41", nobody_asks, ""),  # a disk of this host: flock is the truth
        (True, socket.gethostname(), "41", nobody_asks, ""),
        (True, "elsewhere", "42", nobody_asks, ""),  # this very job, requeued
        (True, "elsewhere", "41", lambda job: None, ""),  # Slurm knows it no more
        (True, "elsewhere", "41", lambda job: "COMPLETING", "process 7 on elsewhere, Slurm job 41 (COMPLETING)"),
        (True, "elsewhere", None, nobody_asks, "once that process is gone"),
    ],
)
def test_a_holder_on_another_host(tmp_path, monkeypatch, shared, host, job, answer, refused):
    monkeypatch.setattr(module, "shared", lambda folder: shared)
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    left_behind(tmp_path, host, job)
    before = (tmp_path / ".lock").read_text()
    reason = module.lock(tmp_path, state=answer)
    if refused:
        assert refused in reason and "\n" not in reason
        assert (tmp_path / ".lock").read_text() == before
    else:
        assert reason is None


def test_a_queue_that_does_not_answer_proves_nothing(tmp_path, monkeypatch):
    def silent(job):
        raise SlurmError("squeue is not on PATH")

    monkeypatch.setattr(module, "shared", lambda folder: True)
    left_behind(tmp_path, "elsewhere", "41")
    assert "squeue is not on PATH" in module.lock(tmp_path, state=silent)


def test_a_torn_owner_is_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "shared", lambda folder: True)
    (tmp_path / ".lock").write_text('{"host": "elsew')
    assert module.lock(tmp_path, state=nobody_asks) is None


def test_whoever_lost_the_folder_writes_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "shared", lambda folder: True)
    module.check_held(tmp_path)  # never locked: a library user without a lock
    assert module.lock(tmp_path) is None
    module.check_held(tmp_path)
    left_behind(tmp_path, "elsewhere", "43")
    with pytest.raises(module.Lost, match="taken over by process 7 on elsewhere, Slurm job 43"):
        module.check_held(tmp_path)
    module.release(tmp_path)
    assert "elsewhere" in (tmp_path / ".lock").read_text()  # not ours to take back
