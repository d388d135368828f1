"""A sweep by Slurm: what a queue does to its points, each against the same point run on this machine."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nqs_hpc.job import study
from tests.mpi.starts import SMALL, metrics, numbers, summary
from tests.mpi.test_restart import same_checkpoints
from tests.slurm.test_jobs import PATHS, Job, hold, nqs_hpc

pytestmark = pytest.mark.slurm

N_STEPS = 1000
SWEPT = ("lattice.length=6,8", "ansatz=rbm,jastrow,mlp")
KEYS = (
    "-m",
    "study=a",
    *(word for word in SMALL if not word.startswith("lattice.")),
    *SWEPT,
    f"task.n_steps={N_STEPS}",
    "resources.ranks=2",
)
BY_SLURM = ("hydra/launcher=slurm", "hydra.launcher.array_parallelism=2")


def points(cwd: Path) -> dict[tuple, study.Point]:
    found = study.read(cwd / "sweeps" / "a")
    assert found is not None
    return {tuple(point.swept.values()): point for point in found.points}


class Element(Job):
    """A point's job: an element of an array."""

    @property
    def folder(self) -> Path:
        (point,) = [point for point in points(self.cwd).values() if point.job == self.number]
        return self.cwd / "sweeps" / "a" / point.name

    @property
    def output(self) -> Path:
        return self.cwd / "sweeps" / "a" / "logs" / f"{self.number}.log"


def wait_for_all(cluster, numbers_, seconds=1200):
    begun = time.monotonic()
    while {cluster.state(number) for number in numbers_} & {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING"}:
        assert time.monotonic() - begun < seconds, [cluster.show(number) for number in numbers_]
        time.sleep(0.3)


@pytest.fixture(scope="module")
def here(cluster, tmp_path_factory):
    """The same sweep on this machine."""
    cwd = tmp_path_factory.mktemp("here")
    done = nqs_hpc(cluster, cwd, *KEYS)
    assert done.returncode == 0, done.stdout + done.stderr
    return cwd


def test_a_sweep_whose_points_are_killed_and_preempted(cluster, here, tmp_path):
    names = [point.name for point in points(here).values()]
    for name in names[:3]:
        hold(tmp_path / name, 200)  # beside the sweep, which is not there yet
    done = nqs_hpc(cluster, tmp_path, *KEYS, *BY_SLURM)
    assert done.returncode == 0 and "6 points: 6 submitted" in done.stdout, done.stdout + done.stderr
    array = points(tmp_path)[(6, "rbm")].job.partition("_")[0]
    assert [point.job for point in points(tmp_path).values()] == [f"{array}_{i}" for i in range(6)]
    again = nqs_hpc(cluster, tmp_path, *KEYS, *BY_SLURM)
    assert again.returncode == 0 and "submitted array" not in again.stdout and "6 submitted" in again.stdout

    first, second = (Element(cluster, tmp_path, f"{array}_{i}") for i in range(2))
    first.reach(200)
    running = cluster.command("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i").split()
    assert len(running) <= 2
    os.kill(first.ranks()[1], signal.SIGKILL)  # a fault: it ends, and comes back by the next launch
    second.reach(200)
    cluster.command("scontrol", "requeue", second.number)  # a preemption: it comes back by itself
    third = Element(cluster, tmp_path, f"{array}_2")
    third.reach(200)
    cluster.command("scancel", third.number)  # its owner's word: it stays away until the next launch
    for name in names[:3]:
        (tmp_path / f"{name}.hold").unlink()
    wait_for_all(cluster, [f"{array}_{i}" for i in range(6)])
    states = {i: cluster.state(f"{array}_{i}") for i in range(6)}
    assert states == {0: "FAILED", 1: "COMPLETED", 2: "CANCELLED", 3: "COMPLETED", 4: "COMPLETED", 5: "COMPLETED"}
    assert second.shown("Restarts") == "1"

    told = json.loads(nqs_hpc(cluster, tmp_path, "status", "sweeps/a", "--json").stdout)
    assert sorted(row["state"] for row in told["points"]) == ["done"] * 4 + ["failed"] * 1 + ["stopped"] * 1, told

    again = nqs_hpc(cluster, tmp_path, *KEYS, *BY_SLURM)
    assert again.returncode == 0 and "6 points: 2 submitted, 4 done" in again.stdout, again.stdout + again.stderr
    wait_for_all(cluster, [point.job for point in points(tmp_path).values()])
    assert "6 points: 6 done" in nqs_hpc(cluster, tmp_path, *KEYS, *BY_SLURM).stdout

    for swept, point in points(tmp_path).items():  # every point is the one that nobody disturbed, bit for bit
        theirs = here / "sweeps" / "a" / points(here)[swept].name
        ours = tmp_path / "sweeps" / "a" / point.name
        assert point.name == points(here)[swept].name
        assert list(map(numbers, metrics(ours))) == list(map(numbers, metrics(theirs)))
        assert same_checkpoints(
            ours / f"checkpoints/step_{N_STEPS:08d}.h5", theirs / f"checkpoints/step_{N_STEPS:08d}.h5"
        )
        assert summary(ours)["energy"] == summary(theirs)["energy"]

    made = nqs_hpc(cluster, tmp_path, "report", "sweeps/a")
    assert made.returncode == 0, made.stdout + made.stderr
    with open(tmp_path / "sweeps" / "a" / "report" / "points.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    energies = sorted(float(row["energy"]) for row in rows)
    assert energies == sorted(summary(here / "sweeps" / "a" / p.name)["energy"]["mean"] for p in points(here).values())


def test_a_chain_and_a_point_that_fails_in_it(cluster, tmp_path):
    """What comes after a failed point leaves the queue; the next launch makes both."""
    words = ("-m", "study=a", *SMALL, "hamiltonian.h=1.0,1.5,2.0", "chain=hamiltonian.h", "task.n_steps=50")
    (tmp_path / "site.yaml").write_text("preamble: |\n  [ ! -e broken ] || exit 3\n")
    words = (*words, "resources.site=site.yaml", BY_SLURM[0])
    (tmp_path / "broken").touch()
    done = nqs_hpc(cluster, tmp_path, *words)
    assert done.returncode == 0 and "3 points: 3 submitted" in done.stdout, done.stdout + done.stderr
    jobs = [point.job for point in points(tmp_path).values()]
    wait_for_all(cluster, jobs, seconds=300)
    assert [cluster.state(job) for job in jobs] == ["FAILED", "CANCELLED", "CANCELLED"]
    (tmp_path / "broken").unlink()
    done = nqs_hpc(cluster, tmp_path, *words)
    assert "3 points: 3 submitted" in done.stdout
    jobs = [point.job for point in points(tmp_path).values()]
    wait_for_all(cluster, jobs)
    assert "3 points: 3 done" in nqs_hpc(cluster, tmp_path, *words).stdout
    first, second, _ = (tmp_path / "sweeps" / "a" / point.name for point in points(tmp_path).values())
    starts = json.loads((second / "manifest.json").read_text())["starts"]
    assert starts[0]["reason"] == f"new, with the parameters of {first}/checkpoints/step_00000050.h5"


def test_a_partition_that_refuses_leaves_nothing(cluster, tmp_path):
    (tmp_path / "site.yaml").write_text("partition: nowhere\n")
    done = nqs_hpc(cluster, tmp_path, *KEYS, *BY_SLURM, "resources.site=site.yaml")
    assert done.returncode == 2 and done.stderr.startswith("not submitted: ") and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["site.yaml"]


def test_inside_an_allocation_the_local_launcher_stays_on_this_host(cluster, tmp_path):
    """Its mpiexec would find Slurm's variables and start ranks elsewhere."""
    words = ("-m", "study=a", *SMALL, "seed=0,1", "task.n_steps=3", "resources.ranks=2")
    done = subprocess.run(
        ["srun", "-N1", "-n1", "--mpi=pmi2", "--cpus-per-task=2", sys.executable, "-m", "nqs_hpc", *words],
        cwd=tmp_path,
        env=cluster.environment | {"PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0 and "2 points: 2 done" in done.stdout, done.stdout + done.stderr
    assert {summary(tmp_path / "sweeps" / "a" / point.name)["n_ranks"] for point in points(tmp_path).values()} == {2}
