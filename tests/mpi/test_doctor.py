"""`doctor` as a user starts it: on two ranks, and where MPI does not see the ranks that were started."""

import json
import re
import subprocess
import sys

import pytest

from tests.mpi.starts import environment, mpiexec

pytestmark = pytest.mark.mpi

COMMAND = [sys.executable, "-m", "nqs_hpc", "doctor"]
CHECKS = [
    *("mpi", "versions", "mpi4jax", "threads", "devices", "cuda_mpi", "allreduce"),
    *("slurm", "folder", "space", "shared", "compile_cache", "clocks"),
]


def test_two_ranks(tmp_path):
    done = subprocess.run(
        [mpiexec(), "-n", "2", *COMMAND, "--json", str(tmp_path / "runs" / "later")],
        env=environment() | {"MPI4JAX_DEBUG": "1"},  # says on stdout what it sends
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["ranks"] == 2 and [entry["check"] for entry in answer["checks"]] == CHECKS
    found = {entry["check"]: entry["found"] for entry in answer["checks"]}
    status = {entry["check"]: entry["status"] for entry in answer["checks"]}
    # the rest depends on the machine: cores for two ranks, a Slurm, room on the disk
    certain = ["mpi", "versions", "mpi4jax", "allreduce", "folder", "shared", "clocks"]
    assert [status[name] for name in certain] == ["ok"] * len(certain), answer
    assert answer["status"] == ("warning" if "warning" in status.values() else "ok")
    assert all(entry["advice"] for entry in answer["checks"] if entry["status"] != "ok")

    assert found["mpi"].endswith("2 ranks on 1 host")
    assert re.search(r"\bjax \d+\.\d+", found["versions"]) and "mpi4jax" in found["versions"]
    assert re.search(r"sums over 2 ranks are right; 64 bytes in [\d.]+ us, 16 MiB in [\d.]+ ms", found["allreduce"])
    assert "MPI_Allreduce" in done.stderr  # it was sent, and what it says does not meet the answer
    assert found["threads"].startswith("2 ranks: ")
    assert found["folder"].startswith(f"{tmp_path}: ") and "8 MiB" in found["folder"]
    assert found["shared"] == "seen by 2 ranks, locks hold for all"
    assert list(tmp_path.iterdir()) == []


def test_a_launcher_that_does_not_speak_with_this_mpi(tmp_path):
    """Two ranks started, of which MPI sees one: said once, by the first, and both end with a fault."""
    started = [
        subprocess.Popen(
            [*COMMAND, str(tmp_path)],
            env=environment() | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    (text, _), (silent, _) = (process.communicate(timeout=600) for process in started)
    assert [process.returncode for process in started] == [1, 1]
    (fault,) = (line for line in text.splitlines() if line.startswith("fault"))
    assert fault.split()[1] == "mpi" and "2 ranks started" in fault and "srun --mpi=" in fault and "mpiexec" in fault
    assert "allreduce" not in text and "clocks" not in text and silent == ""
