"""Starting jobs on several ranks as a user does, for tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from nqs_hpc.parallel.launchers import without_launcher

# A small job of every part: chains, minSR, checkpoints; one step takes milliseconds.
SMALL = (
    "lattice.length=8",
    "sampler.n_chains=16",
    "sampler.n_samples=64",
    "sampler.warmup=5",
    "task.final_samples=1024",
    "optimizer.momentum=0.5",
    "optimizer.average=0.9",
)

# jax writes its compile cache in place: a job that will be killed only reads it.
READ_ONLY_CACHE = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000000"}


def mpiexec() -> str:
    """The launcher of the MPI that mpi4py stands on: the wheel's beside python, else the one on PATH."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    assert found, "no mpiexec: install the extra mpich or load an MPI module"
    return found


def environment() -> dict[str, str]:
    """This environment without what pytest's own start left in it, letting Open MPI run as root and oversubscribe."""
    inherited = {k: v for k, v in without_launcher(os.environ).items() if k not in ("PJRT_NPROC", "NPROC")}
    openmpi = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
    return inherited | openmpi | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def start(n_ranks: int, *words: str, cwd: Path, mark: str = "") -> subprocess.Popen[str]:
    """``mpiexec -n N python WORDS`` in ``cwd``, output piped; ``mark`` lets `kill_all` find its processes."""
    command = [mpiexec(), "-n", str(n_ranks), sys.executable, *words]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment() | ({"NQS_HPC_TEST_MARK": mark, **READ_ONLY_CACHE} if mark else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(n_ranks: int, *words: str, cwd: Path, code: int = 0) -> str:
    """Run to the end; returns what it printed. Fails unless the exit code is ``code``."""
    process = start(n_ranks, *words, cwd=cwd)
    output, _ = process.communicate(timeout=1200)
    assert process.returncode == code, f"exit code {process.returncode}, expected {code}:\n{output}"
    return output


def small(*overrides: str) -> list[str]:
    """The words of the small job with some keys set otherwise."""
    keys = dict(word.split("=", 1) for word in (*SMALL, *overrides))
    return ["-m", "nqs_hpc", *(f"{key}={value}" for key, value in keys.items())]


def job(n_ranks: int, *overrides: str, cwd: Path, code: int = 0) -> str:
    return run(n_ranks, *small(*overrides), cwd=cwd, code=code)


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def numbers(line: dict[str, Any]) -> dict[str, Any]:
    """A line of metrics without the times, which no two runs share."""
    return {k: v for k, v in line.items() if k != "seconds" and not k.endswith("_s")}


def new_mark() -> str:
    return uuid.uuid4().hex


def marked(mark: str) -> list[int]:
    """The processes started under ``mark``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"NQS_HPC_TEST_MARK={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return found


def kill_all(mark: str) -> None:
    """SIGKILL to every process of a start, ranks first, until none is left."""
    while pids := marked(mark):
        for pid in sorted(pids, reverse=True):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for pid in pids:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
