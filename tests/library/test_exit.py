"""A script that ends right after a step, before it reads any number of it."""

import subprocess
import sys

from tests.mpi.starts import environment

SCRIPT = """
import nqs_hpc

parts = nqs_hpc.build(["lattice.length=16", "sampler.n_samples=512"])
state = parts.driver.warmed(parts.driver.init())
for _ in range(3):
    chains, samples, counts = parts.driver.sample(state)
    batch, _ = parts.driver.evaluate(state.params, samples, counts)
    state, info = parts.driver.update(state, chains, batch)
"""


def test_it_ends(tmp_path):
    """XLA's threads would be stopped while the step still waits for them: more often than not the process hung."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment(), timeout=1800)
    assert done.returncode == 0
