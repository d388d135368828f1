"""Jobs through what a queue does to them, each against the same job left alone: every step once, and the same bits.

The cases of the first part run at the same time, for most of it is waiting for the queue; those that take a node away
come after. What happens to a job happens while it is held at a step (`held`), so no job has to last for any time.
"""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.mpi.starts import metrics, numbers, small, summary
from tests.mpi.test_restart import same_checkpoints
from tests.slurm.cluster import Cluster, command_line, processes

pytestmark = pytest.mark.slurm

N_STEPS = 1000
PATHS = f"{Path(__file__).parents[2]}:{Path(__file__).parent / 'held'}"
KEYS = ("resources.ranks=2", "resources.nodes=2", "run_dir=run", f"task.n_steps={N_STEPS}", "task.final_samples=4096")


class Job(NamedTuple):
    """A job that was submitted from ``cwd``."""

    cluster: Cluster
    cwd: Path
    number: str

    @property
    def folder(self) -> Path:
        return self.cwd / "run"

    @property
    def output(self) -> Path:
        return self.folder / f"slurm-{self.number}.log"

    def hold(self, step: int) -> None:
        """It waits after ``step``, or after its next where it is beyond, until `release`, a later hold, or a signal."""
        hold(self.folder, step)

    def release(self) -> None:
        self.folder.with_name(f"{self.folder.name}.hold").unlink()

    def reach(self, step: int, seconds: float = 900) -> None:
        """Wait until it has logged ``step``."""
        begun, path = time.monotonic(), self.folder / "metrics.jsonl"
        while not path.exists() or path.read_bytes().count(b"\n") < step:
            state = self.cluster.state(self.number)
            alive = state in ("PENDING", "CONFIGURING", "RUNNING", "SIGNALING", "COMPLETING")
            assert alive and time.monotonic() - begun < seconds, (state, step, self.said())
            time.sleep(0.1)

    def steps(self) -> int:
        path = self.folder / "metrics.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def restarts(self, count: int, seconds: float = 600) -> None:
        """Wait until Slurm has started it for the ``count``-th time again, or for a later one."""
        begun = time.monotonic()
        while int(self.shown("Restarts")) < count or self.cluster.state(self.number) != "RUNNING":
            assert time.monotonic() - begun < seconds, (self.cluster.show(self.number), self.said())
            time.sleep(0.2)

    def shown(self, name: str) -> str:
        return self.cluster.show(self.number)[name]

    def done(self, seconds: float = 900) -> None:
        ended = self.cluster.wait(
            self.number, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", seconds=seconds
        )
        assert ended == "COMPLETED", (ended, self.said())

    def said(self) -> str:
        return self.output.read_text(errors="replace")[-4000:] if self.output.exists() else "(no output)"

    def ranks(self) -> dict[int, int]:
        """The process of each rank."""
        found = {}
        for pid in processes():
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            number, _, element = self.number.partition("_")
            marks = (
                {f"SLURM_ARRAY_JOB_ID={number}", f"SLURM_ARRAY_TASK_ID={element}"}
                if element
                else {f"SLURM_JOB_ID={number}"}
            )
            own = {mark.encode() for mark in marks} <= set(environment)
            if own and "-m nqs_hpc" in command_line(pid) and command_line(pid).startswith(sys.executable):
                (rank,) = [int(entry[9:]) for entry in environment if entry.startswith(b"PMI_RANK=")]
                found[rank] = pid
        return found


def hold(folder: Path, step: int) -> None:
    """The run in ``folder``, started or not, waits after ``step``: tests/slurm/held does it."""
    file = folder.with_name(f"{folder.name}.hold")
    file.with_suffix(".new").write_text(f"{step}\n")
    file.with_suffix(".new").rename(file)


def nqs_hpc(cluster: Cluster, cwd: Path, *words: str, timeout: float = 3600) -> subprocess.CompletedProcess[str]:
    """``python -m nqs_hpc WORDS`` on the login node."""
    return subprocess.run(
        [sys.executable, "-m", "nqs_hpc", *words],
        cwd=cwd,
        env=cluster.environment | {"PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def submit(cluster: Cluster, cwd: Path, *overrides: str, held: int | None = None) -> Job:
    """A job of this module, which waits after the step ``held``."""
    if held is not None:
        hold(cwd / "run", held)
    words = small(*KEYS, *overrides)[2:]
    done = nqs_hpc(cluster, cwd, "submit", *words)
    assert done.returncode == 0 and done.stdout.startswith("submitted job "), done.stdout + done.stderr
    return Job(cluster, cwd, done.stdout.split()[2].rstrip(":"))


# --- what happens to them


def left_alone(cluster: Cluster, cwd: Path) -> Job:
    job = submit(cluster, cwd, "checkpoint.every_steps=1000", held=1)
    again = nqs_hpc(cluster, cwd, "submit", *small(*KEYS)[2:])
    assert (again.returncode, again.stdout.count(f"job {job.number} is ")) == (0, 1), again
    job.release()
    job.done()
    return job


def warned_twice(cluster: Cluster, cwd: Path) -> Job:
    """USR1 to the batch script, as Slurm's --signal sends it, and to the ranks, as a person may."""
    job = submit(cluster, cwd, held=200)
    job.reach(200)
    cluster.command("scancel", "--signal=USR1", "--batch", job.number)
    job.restarts(1)
    job.reach(201)  # the first step of the second start
    cluster.command("scancel", "--signal=USR1", job.number)
    job.restarts(2)
    job.release()
    job.done()
    assert job.said().count("signal SIGUSR1; ") == 2 and job.said().count("back to the queue, restart ") == 2
    return job


def warned_early(cluster: Cluster, cwd: Path) -> Job:
    """USR1 before ranks can hear it: in the preamble of the first start, in the first moments of the second."""
    (cwd / "site.yaml").write_text('preamble: |\n  touch "begun.${SLURM_RESTART_COUNT:-0}"; sleep 2\n')
    job = submit(cluster, cwd, "resources.site=site.yaml")
    for restart in range(2):
        while not (cwd / f"begun.{restart}").exists():
            time.sleep(0.05)
        time.sleep(0.5 + 1.8 * restart)
        cluster.command("scancel", "--signal=USR1", "--batch", job.number)
        job.restarts(restart + 1)
    job.done()
    return job


def out_of_time(cluster: Cluster, cwd: Path) -> Job:
    """A limit of six minutes and a site without a warning: the job's own clock stops it."""
    (cwd / "site.yaml").write_text("preamble: trap '' USR1\n")
    job = submit(cluster, cwd, "resources.time=6", "resources.site=site.yaml", held=20)
    job.reach(20)  # few steps, and minutes for them: what is slow on a busy machine is the start
    # it wants ten seconds for its end and some for a checkpoint, and Slurm ends it when it likes after the limit
    ends = datetime.fromisoformat(job.shown("EndTime")).timestamp()
    while ends - time.time() > 9:
        time.sleep(0.1)
    job.release()
    job.restarts(1)
    job.done()
    assert "stopped: time limit of Slurm" in job.said() and "DUE TO TIME LIMIT" not in job.said()
    return job


def put_back(cluster: Cluster, cwd: Path) -> Job:
    """scontrol requeue, as a preemption does it: SIGTERM to the ranks, then the queue."""
    job = submit(cluster, cwd, held=200)
    job.reach(200)
    cluster.command("scontrol", "requeue", job.number)
    job.restarts(1)
    job.release()
    job.done()
    assert "resumed from step_" in job.said()
    return job


def lost_a_rank(cluster: Cluster, cwd: Path) -> Job:
    """SIGKILL of one rank ends the job, which is a fault and is not requeued; submitted again it goes on."""
    job = submit(cluster, cwd, held=200)
    job.reach(200)
    ranks = job.ranks()
    assert sorted(ranks) == [0, 1]
    os.kill(ranks[1], signal.SIGKILL)
    # held, the other rank would wait for ever: it is srun that ends it
    assert cluster.wait(job.number, "FAILED", "COMPLETED", seconds=600) == "FAILED"
    assert job.ranks() == {} and job.shown("Restarts") == "0"
    job.release()
    again = submit(cluster, cwd)
    assert again.number != job.number
    again.done()
    return again


CASES = (left_alone, warned_twice, warned_early, out_of_time, put_back, lost_a_rank)


@pytest.fixture(scope="module")
def cases(cluster, tmp_path_factory):
    """Every case, under way."""
    with ThreadPoolExecutor(len(CASES)) as threads:
        yield {case: threads.submit(case, cluster, tmp_path_factory.mktemp(case.__name__)) for case in CASES}


@pytest.fixture(scope="module")
def undisturbed(cases) -> Path:
    return cases[left_alone].result().folder


def same_as(undisturbed: Path, job: Job, n_steps: int) -> None:
    lines = metrics(job.folder)
    assert [line["step"] for line in lines] == list(range(1, n_steps + 1))
    assert list(map(numbers, lines)) == list(map(numbers, metrics(undisturbed)[:n_steps]))
    newest = f"checkpoints/step_{n_steps:08d}.h5"
    assert same_checkpoints(job.folder / newest, undisturbed / newest)
    assert summary(job.folder)["status"] in ("done", "doubtful") and not list(job.folder.glob("**/*.tmp"))


@pytest.mark.parametrize(
    ("case", "n_steps", "n_starts"),
    [
        (warned_twice, N_STEPS, 3),
        (warned_early, N_STEPS, 3),
        (put_back, N_STEPS, 2),
        (lost_a_rank, N_STEPS, 2),
        (out_of_time, N_STEPS, 2),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_a_queue_does_changes_no_bit(cases, undisturbed, case, n_steps, n_starts):
    job = cases[case].result()
    same_as(undisturbed, job, n_steps)
    starts = json.loads((job.folder / "manifest.json").read_text())["starts"]
    assert {start["n_ranks"] for start in starts} == {2}
    # on a busy machine the first start may run out of time before it is held, the second by itself
    assert len(starts) == n_starts or (case is out_of_time and len(starts) > n_starts)


def test_final_energies_are_equal_bitwise(cases):
    found = {
        json.dumps(summary(cases[case].result().folder)["energy"]) for case in (warned_twice, put_back, lost_a_rank)
    }
    assert len(found) == 1


def test_a_done_job_is_not_submitted_again(cases, cluster):
    job = cases[put_back].result()
    done = nqs_hpc(cluster, job.cwd, "submit", *small(*KEYS)[2:])
    assert done.returncode == 0 and "nothing to do" in done.stdout


# --- what one start is told


def test_singletons_are_refused(cluster, tmp_path):
    """An MPI that the launcher does not speak with: two processes, each of which takes itself for all."""
    words = [sys.executable, "-m", "nqs_hpc", *small("run_dir=run")[2:]]
    done = subprocess.run(
        ["srun", "-N2", "-n2", "--mpi=none", *words],
        cwd=tmp_path,
        env=cluster.environment | {"PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "ranks were started" in line]
    assert "sees 1" in line and "--mpi=pmi2" in line and "mpiexec beside" in line
    assert list(tmp_path.iterdir()) == []


def test_doctor_under_srun(cluster, tmp_path):
    words = [sys.executable, "-m", "nqs_hpc", "doctor", "--json"]
    done = subprocess.run(
        ["srun", "-N2", "-n2", "--mpi=pmi2", "--kill-on-bad-exit=1", *words],
        cwd=tmp_path,
        env=cluster.environment | {"PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stdout)
    found = {check["check"]: check for check in report["checks"]}
    assert report["ranks"] == 2 and done.returncode == (report["status"] == "fault")
    assert {found[name]["status"] for name in ("mpi", "mpi4jax", "allreduce", "slurm")} == {"ok"}, report
    assert "pmi2" in found["slurm"]["found"] and list(tmp_path.iterdir()) == []


# --- nodes that go


def test_slurmd_alone_dies_and_the_job_goes_on(cluster, undisturbed, cases, tmp_path):
    for case in CASES:
        cases[case].result()  # nobody else's job is in the way
    job = submit(cluster, tmp_path, held=200)
    job.reach(200)
    cluster.kill_slurmd("n2")
    job.hold(210)  # soon, for the node counts as dead after SlurmdTimeout
    job.reach(210)
    cluster.start_node("n2")
    job.release()
    job.done()
    assert job.shown("Restarts") == "0"
    same_as(undisturbed, job, N_STEPS)
    cluster.wait_for_nodes("IDLE", "n1", "n2", seconds=300)


def test_a_node_dies_and_the_job_finishes_on_the_other(cluster, undisturbed, tmp_path):
    job = submit(cluster, tmp_path, "resources.nodes=1", held=200)
    job.reach(200)
    first = job.shown("NodeList")
    ranks = job.ranks()
    cluster.kill_node(first)
    assert job.ranks() == {} and len(ranks) == 2
    job.restarts(1)
    assert job.shown("NodeList") != first
    job.release()
    job.done()
    same_as(undisturbed, job, N_STEPS)
    cluster.start_node(first)
    cluster.wait_for_nodes("IDLE", first, seconds=300)
