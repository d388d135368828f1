"""What Slurm's commands print, and what becomes of it."""

import stat
import time

import pytest

from nqs_hpc.job import slurm


@pytest.fixture
def command(tmp_path, monkeypatch):
    """``command(name, text, code)`` puts a command of that name on PATH; it prints, and keeps what it was asked."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "42")

    def put(name, text, code=0):
        path = tmp_path / name
        stream = "&2" if code else "&1"
        path.write_text(f"#!/bin/sh\necho \"$@\" > '{tmp_path}/asked'\nprintf '%s' '{text}' >{stream}\nexit {code}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return tmp_path / "asked"

    return put


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:00", 0),
        ("1:58", 118),
        ("59:59", 3599),
        ("1:00:00", 3600),
        ("2-03:04:05", 2 * 86400 + 3 * 3600 + 4 * 60 + 5),
        ("UNLIMITED", None),
        ("NOT_SET", None),
        ("INVALID", None),
        ("", None),
    ],
)
def test_durations(text, seconds):
    assert slurm.seconds(text) == seconds


def test_the_end_of_a_job(command, monkeypatch):
    asked = command("squeue", "1:40")
    assert slurm.end_time() == pytest.approx(time.time() + 100, abs=5)
    assert asked.read_text() == "--noheader --jobs 42 --format=%L\n"
    asked.unlink()
    monkeypatch.setenv("SLURM_JOB_END_TIME", "2000000000")  # newer Slurms say so themselves
    assert slurm.end_time() == 2e9 and not asked.exists()
    monkeypatch.delenv("SLURM_JOB_END_TIME")
    command("squeue", "UNLIMITED")
    assert slurm.end_time() is None
    monkeypatch.delenv("SLURM_JOB_ID")
    assert slurm.end_time() is None


def test_a_queue_that_cannot_be_asked(command):
    with pytest.raises(slurm.SlurmError, match="squeue is not on PATH"):
        slurm.end_time()
    command("squeue", "error: Unable to contact\n  slurm controller", 1)
    with pytest.raises(slurm.SlurmError, match=r"^error: Unable to contact slurm controller$"):
        slurm.end_time()
    with pytest.raises(slurm.SlurmError):
        slurm.state("42")


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("RUNNING", "RUNNING"),
        ("COMPLETING", "COMPLETING"),
        ("COMPLETED", None),
        ("", None),
        ("FAILED\nPENDING", "PENDING"),
    ],
)
def test_the_state_of_a_job(command, text, state):
    command("squeue", text)
    assert slurm.state("41") == state


def test_a_job_that_slurm_has_forgotten(command):
    command("squeue", "slurm_load_jobs error: Invalid job id specified", 1)
    assert slurm.state("41") is None


def test_the_job_of_a_name(command):
    asked = command("squeue", "8|CANCELLED\n9_1|PENDING")
    assert slurm.job_named("run-01234567") == ("9_1", "PENDING")
    assert "--name=run-01234567" in asked.read_text().split()
    command("squeue", "8|CANCELLED")
    assert slurm.job_named("run-01234567") is None


def test_all_jobs_and_elements(command):
    asked = command("squeue", "7|RUNNING|a|b\n8_0|PENDING|c\n8_1|COMPLETED|c\n9|FAILED|d\nrest of a name")
    assert slurm.queued() == {"7": ("RUNNING", "a|b"), "8_0": ("PENDING", "c")}
    assert "--array" in asked.read_text().split()


def test_how_large_arrays_may_be(command):
    command("scontrol", "MailProg = x\nMaxArraySize            = 1001\nMaxJobCount = 5")
    assert slurm.max_array_size() == 1001
    command("scontrol", "nothing")
    with pytest.raises(slurm.SlurmError, match="MaxArraySize"):
        slurm.max_array_size()


def test_an_element_of_an_array_has_its_own_number(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "42")  # the array's own number, on one of its elements
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "42")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert slurm.job_id() == "42_3"


def test_a_script_goes_in_by_stdin_and_its_number_comes_back(command, tmp_path):
    command("sbatch", "44;cluster")
    assert slurm.submit("#!/bin/bash\n", tmp_path) == "44"
