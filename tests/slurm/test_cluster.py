"""The cluster of these tests does what a real one does, where the tests depend on it."""

import sys
import time

import pytest

pytestmark = pytest.mark.slurm


def test_srun_starts_one_world_over_both_nodes(cluster):
    code = "from mpi4py.MPI import COMM_WORLD as w; import os; print(w.rank, w.size, os.environ['SLURMD_NODENAME'])"
    output = cluster.command("srun", "-N2", "-n2", "--mpi=pmi2", sys.executable, "-c", code)
    assert sorted(output.split("\n")) == ["", "0 2 n1", "1 2 n2"]


def test_a_cancelled_job_is_completing_while_its_script_ends(cluster, tmp_path):
    """By this the batch scripts tell that they must not requeue; an unknown job is an error of a known kind."""
    script = "trap 'squeue -h -j $SLURM_JOB_ID -o %T > state' TERM; sleep 60 & wait; sleep 1"
    job = cluster.batch(f"#!/bin/bash\ntouch ready\n{script}\n", tmp_path)
    while not (tmp_path / "ready").exists():
        time.sleep(0.1)
    cluster.command("scancel", "--full", "--signal=TERM", job)
    cluster.wait(job, "COMPLETED", seconds=120)
    assert (tmp_path / "state").read_text() == "RUNNING\n"
    job = cluster.batch(f"#!/bin/bash\nrm state; touch again\n{script}\n", tmp_path)
    while not (tmp_path / "again").exists():
        time.sleep(0.1)
    cluster.command("scancel", job)
    cluster.wait(job, "CANCELLED", seconds=120)
    assert not (tmp_path / "state").exists() or (tmp_path / "state").read_text() == "COMPLETING\n"
    assert "Invalid job id" in cluster.command("squeue", "--jobs=99999", code=1)
