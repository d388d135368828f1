"""log.tensorboard and log.mlflow in real jobs: each step once over a kill; one line where the package is missing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.events import read_events
from tests.mpi.starts import environment, job, kill_all, metrics, new_mark, small, start

pytestmark = pytest.mark.mpi

KEYS = ("run_dir=run", "log.tensorboard=true", "log.mlflow=true", "checkpoint.every_steps=7")


def test_each_step_is_there_once_over_a_kill(tmp_path):
    folder, mark = tmp_path / "run", new_mark()
    process = start(2, *small(*KEYS, "task.n_steps=100000"), cwd=tmp_path, mark=mark)
    deadline = time.monotonic() + 120
    while not (folder / "metrics.jsonl").exists() or len(metrics_so_far(folder)) < 20:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    kill_all(mark)
    process.communicate()
    killed_at = len(metrics_so_far(folder))
    job(2, *KEYS, f"task.n_steps={killed_at + 10}", cwd=tmp_path)

    version, *events = read_events(folder / "tensorboard")
    lines = metrics(folder)
    assert version.version == "brain.Event:2"
    assert [event.step for event in events] == list(range(1, killed_at + 11)) == [line["step"] for line in lines]
    for event, line in zip(events, lines, strict=True):
        numbers = {name: np.float32(x) for name, x in line.items() if name != "step" and x is not None}
        assert event.scalars == numbers
    (energies,) = (folder / "mlruns").glob("*/*/metrics/energy")
    logged = [text.split()[1:] for text in energies.read_text().splitlines()]
    assert [(int(step), float(value)) for value, step in logged] == [(line["step"], line["energy"]) for line in lines]


def metrics_so_far(folder: Path) -> list[bytes]:
    return (folder / "metrics.jsonl").read_bytes().splitlines()


def test_without_the_package_it_is_bad_input(tmp_path):
    """The job is started by a Python whose search for the package finds nothing."""
    hide = "import sys; from importlib import machinery as m; f = m.PathFinder.find_spec; "
    hide += "m.PathFinder.find_spec = lambda name, *a: None if name.startswith('tensorboardX') else f(name, *a); "
    code = hide + "from nqs_hpc.cli.command import main; sys.exit(main(['log.tensorboard=true', 'run_dir=run']))"
    made = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert made.returncode == 2 and made.stdout == ""
    (line,) = made.stderr.splitlines()
    assert line.startswith("log.tensorboard=true is not valid; valid: false, or") and "nqs_hpc[tensorboard]" in line
    assert os.listdir(tmp_path) == []
