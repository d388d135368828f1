"""The batch script as bash runs it: signals go on to the step, and only what may go on goes back to the queue."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from nqs_hpc.cluster.batch import Entry, array_script, job_script
from nqs_hpc.cluster.site import load_site
from nqs_hpc.config.compose import compose
from nqs_hpc.config.identity import run_folder

# A step that ends with CODE after a while, or with what a signal makes of it. It begins as srun does, ignoring USR1.
STEP = """\
#!{python}
import signal, sys, time
from pathlib import Path
here = Path({folder!r})
assert signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN, "a signal would end it now"
time.sleep({deaf})
def got(number, frame):
    with open(here / "got", "a") as file:
        file.write(signal.Signals(number).name + "\\n")
    if {ends}:
        sys.exit(85)
signal.signal(signal.SIGUSR1, got)
signal.signal(signal.SIGTERM, got)
(here / "ready").touch()
begun = time.monotonic()
while time.monotonic() - begun < 5:
    time.sleep(0.02)
sys.exit({code})
"""


def step(queue, work, *, code=0, ends=True, deaf=0.0):
    text = STEP.format(python=sys.executable, folder=str(work), code=code, ends=ends, deaf=deaf)
    (queue.folder / "srun").write_text(text)


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
    asked = queue.calls("scontrol")
    assert asked == [["scontrol", ["requeue", "42"], "", str(work)]] * len(asked) and bool(asked) == requeued
    assert ("requeued 20 times" in done.stdout) == (others.get("SLURM_RESTART_COUNT") == "20")
    assert done.stdout.count("not requeued: ") == (code == 85)  # it does not go without a word; here scontrol fails


@pytest.mark.parametrize("name", ["USR1", "TERM"])
@pytest.mark.parametrize("deaf", [0.0, 1.0])
def test_a_signal_goes_on_to_the_step_whose_end_counts(work, queue, script, name, deaf):
    """Also to one that does not listen yet: it comes again."""
    step(queue, work, deaf=deaf)
    summary(work, "stopped", f"signal SIG{name}")
    process = subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (work / "ready").exists() and not deaf:
        time.sleep(0.01)
    time.sleep(deaf / 2)
    os.kill(process.pid, getattr(signal, f"SIG{name}"))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 85, output
    assert set((work / "got").read_text().split()) == {"SIGUSR1"}  # at a TERM srun would kill them all
    assert "back to the queue, restart 1 of 20" in output


def test_a_warning_during_the_preamble_is_not_lost(work, queue):
    (work / "site.yaml").write_text('preamble: |\n  kill -s USR1 "$$"\n')
    (work / "run").mkdir()
    config = compose(["run_dir=run", "resources.site=site.yaml"], None)
    script = job_script(config.resources, load_site("site.yaml"), Entry(run_folder(config), ["run_dir=run"]))
    step(queue, work, deaf=0.5)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 85 and set((work / "got").read_text().split()) == {"SIGUSR1"}


def test_a_signal_that_does_not_stop_the_step_does_not_end_the_script(work, queue, script):
    step(queue, work, code=7, ends=False)
    process = subprocess.Popen(["bash", "-c", script])
    while not (work / "ready").exists():
        time.sleep(0.01)
    for _ in range(3):
        os.kill(process.pid, signal.SIGUSR1)
        time.sleep(0.2)
    assert process.wait(timeout=120) == 7 and len((work / "got").read_text().split()) >= 3
    assert queue.calls("scontrol") == []


ANSWERS = """\
#!/bin/sh
echo >> "{folder}/asked"
[ "$(wc -l < "{folder}/asked")" -gt {n_failing} ] || {{ echo "Socket timed out" >&2; exit 1; }}
echo RUNNING
"""


@pytest.mark.parametrize(("n_failing", "requeued"), [(3, True), (100, False)])
def test_a_controller_that_does_not_answer_is_asked_again(work, queue, script, n_failing, requeued):
    (queue.folder / "squeue").write_text(ANSWERS.format(folder=work, n_failing=n_failing))
    queue.answer("srun", "", 85)
    summary(work, "stopped", "signal SIGUSR1")
    done = subprocess.run(["bash"], input=script, text=True, capture_output=True)
    assert done.returncode == 85 and bool(queue.calls("scontrol")) == requeued
    assert ("not requeued: squeue does not answer; submit it again" in done.stdout) == (not requeued)


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
    assert queue.calls("scontrol")[0] == ["scontrol", ["requeue", "42_1"], "", str(work)]
    assert "--jobs=42_1" in queue.calls("squeue")[0][1]
