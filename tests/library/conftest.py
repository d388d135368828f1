"""One small run, made as a user makes it, that all tests of the library open."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mpi.starts import environment, small

N = 8  # sites of the ring; J = h = 1
# Long enough a warm-up that chains are independent of where they began, and a wave function with some structure.
WORDS = (
    "sampler.warmup=60",
    "task.n_steps=40",
    "task.final_samples=8192",
    "checkpoint.every_steps=10",
    "checkpoint.keep=3",
    "run_dir=runs/ring",
)


@pytest.fixture(scope="session")
def ring(tmp_path_factory) -> Path:
    """The folder of a finished run: real RBM, running mean of the parameters, checkpoints at 20, 30 and 40."""
    folder = tmp_path_factory.mktemp("library")
    made = subprocess.run(
        [sys.executable, *small(*WORDS)], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "runs" / "ring"
