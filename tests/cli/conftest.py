"""One small run, which tests copy."""

import subprocess
import sys

import pytest

from tests.mpi.starts import environment, small


def job(folder, *overrides):
    words = [sys.executable, *small(f"run_dir={folder}", "checkpoint.every_steps=2", "checkpoint.keep=9", *overrides)]
    done = subprocess.run(words, env=environment(), cwd=folder.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A finished run of 10 steps, with checkpoints after 2, 4, 6, 8 and 10 of them."""
    folder = tmp_path_factory.mktemp("made") / "run"
    job(folder, "task.n_steps=10")
    return folder
