"""The batch script as bash runs it: signals go on to the step, and only what may go on goes back to the queue."""

import json
import os
import signal
import subprocess
import time

import pytest

from nqs_hpc.batch import Entry, array_script, job_script
from nqs_hpc.config import compose, run_folder
from nqs_hpc.site import load_site

# A step that ends with what SIGNAL said it was sent: 85 after one of the two signals, else after a while 0.
STEP = """\
#!/bin/bash
trap 'echo USR1 >> "{folder}/got"; exit 85' USR1
trap 'echo TERM >> "{folder}/got"; exit 85' TERM
touch "{folder}/ready"
for _ in $(seq 100); do sleep 0.05; done
exit {code}
"""


@pytest.fixture
def script(work, queue, monkeypatch):
    config = compose(["run_dir=run"], None)
    (work / "run").mkdir()
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    queue.answer("squeue", "RUNNING\n")
    queue.answer("scontrol", "", 1)  # it would end the script; where it fails, the script ends by itself
    return job_script(config.resources, load_site(None), Entry(run_folder(config), ["run_dir=run"]))


def summary(work, status, reason):
    text = json.dumps({"status": status, "reason": reason, "step": 3}, indent=2)
    (work / "run" / "summary.json").write_text(text + "\n")


@pytest.mark.parametrize(
    ("code", "status", "reason", "others", "requeued"),
    [
        (85, "stopped", "signal SIGUSR1", {}, True),
        (85, "stopped", "signal SIGTERM and signal SIGUSR1, during the final evaluation", {}, True),
        (85, "stopped", "time limit of Slurm", {}, True),
        (85, "stopped", "max_seconds", {}, True),
        (85, "stopped", "signal SIGUSR1", {"SLURM_RESTART_COUNT": "19"}, True),
        (85, "stopped", "signal SIGUSR1", {"SLURM_RESTART_COUNT": "20"}, False),
        (85, "stopped", "signal SIGUSR1", {"STOP": ""}, False),
        (85, "stopped", "STOP file", {}, False),
        (85, "stopped", "signal SIGINT", {}, False),
        (85, "running", "", {}, False),
        (85, None, None, {}, False),
        (85, "stopped", "signal SIGTERM", {"squeue": "COMPLETING\n"}, False),  # cancelled
        (85, "stopped", "signal SIGTERM", {"squeue": ""}, False),
        (0, "stopped", "signal SIGUSR1", {}, False),
        (1, "stopped", "signal SIGUSR1", {}, False),
        (137, "stopped", "signal SIGUSR1", {}, False),
    ],
)
def test_what_goes_back_to_the_queue(work, queue, script, monkeypatch, code, status, reason, others, requeued):
    queue.answer("srun", "", code)
    if status:
        summary(work, status, reason)
    for name, value in others.items():
        if name == "STOP":
            (work / "run" / "STOP").touch()
        elif name == "squeue":
            queue.answer("squeue", value)
        else:
            monkeypatch.setenv(name, value)
    done = subprocess.run(["bash"], input=script, text=True, capture_output=True)
    assert done.returncode == code, done.stderr
    assert queue.calls("scontrol") == ([["scontrol", ["requeue", "42"], "", str(work)]] if requeued else [])
    assert ("requeued 20 times" in done.stdout) == (others.get("SLURM_RESTART_COUNT") == "20")


@pytest.mark.parametrize("name", ["USR1", "TERM"])
def test_a_signal_goes_on_to_the_step_whose_end_counts(work, queue, script, name):
    (queue.folder / "srun").write_text(STEP.format(folder=work, code=0))
    summary(work, "stopped", f"signal SIG{name}")
    process = subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (work / "ready").exists():
        time.sleep(0.01)
    os.kill(process.pid, getattr(signal, f"SIG{name}"))
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 85 and (work / "got").read_text() == "USR1\n"  # at a TERM srun would kill all
    assert "back to the queue, restart 1 of 20" in output and len(queue.calls("scontrol")) == 1


def test_a_signal_that_does_not_stop_the_step_does_not_end_the_script(work, queue, script):
    (queue.folder / "srun").write_text(STEP.format(folder=work, code=7).replace("; exit 85", ""))
    process = subprocess.Popen(["bash", "-c", script])
    while not (work / "ready").exists():
        time.sleep(0.01)
    for _ in range(3):
        os.kill(process.pid, signal.SIGUSR1)
        time.sleep(0.2)
    assert process.wait(timeout=30) == 7 and (work / "got").read_text() == "USR1\n" * 3
    assert queue.calls("scontrol") == []


def test_an_element_of_an_array_goes_back_alone(work, queue, monkeypatch):
    """Its SLURM_JOB_ID may be the number of the array: Slurm would requeue, and show, all elements under it."""
    config = compose(["run_dir=run"], None)
    (work / "run").mkdir()
    entry = Entry(run_folder(config), ["run_dir=run"])
    script = array_script(config.resources, load_site(None), [entry, entry], name="a", parallelism=None)
    for name, value in {"SLURM_JOB_ID": "42", "SLURM_ARRAY_JOB_ID": "42", "SLURM_ARRAY_TASK_ID": "1"}.items():
        monkeypatch.setenv(name, value)
    queue.answer("squeue", "RUNNING\n")
    queue.answer("scontrol", "", 1)
    queue.answer("srun", "", 85)
    summary(work, "stopped", "signal SIGUSR1")
    done = subprocess.run(["bash"], input=script, text=True, capture_output=True)
    assert done.returncode == 85, done.stderr
    assert queue.calls("scontrol") == [["scontrol", ["requeue", "42_1"], "", str(work)]]
    assert "--jobs=42_1" in queue.calls("squeue")[0][1]
