"""Slurm: the remaining time of a job, the state of the queue, submission.

Slurm's commands are called by name with their arguments, never through a shell. Nothing is cached: each call asks.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.parallel.blas import as_given

ASK_SECONDS = 20.0  # for an answer; a busy controller takes seconds
# States without processes. A job in any other state may still have some, or get some.
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT"),
}


class SlurmError(RuntimeError):
    """Slurm did not answer, or refused; one line, with Slurm's own message if there is one."""


class NoSlurm(SlurmError):
    """Slurm's commands are not installed here."""


def job_id() -> str | None:
    """The Slurm job of this process, NUMBER_ELEMENT in an array; None outside of a job.

    In an array SLURM_JOB_ID is the number of one element, but squeue and scontrol may apply it to the whole array.
    """
    array, element = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{element}" if array and element else os.environ.get("SLURM_JOB_ID") or None


def end_time(limit: float | None = None) -> float | None:
    """The Unix time of this job's limit; None without a job or without a limit.

    From SLURM_JOB_END_TIME (Slurm 23.02 and newer), else from squeue within ``limit`` seconds. Raises SlurmError if
    there is a job and neither gives the time.
    """
    job = job_id()
    if job is None:
        return None
    given = os.environ.get("SLURM_JOB_END_TIME", "")
    if given.isdigit():
        return float(given) if int(given) < 2**31 - 1 else None  # the largest value means no limit
    left = seconds(ask("squeue", "--noheader", "--jobs", job, "--format=%L", limit=limit))
    return None if left is None else time.time() + left


def seconds(text: str) -> float | None:
    """A duration as Slurm prints it (``1:58``, ``2-03:04:05``) in seconds; None for UNLIMITED and the like."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text.strip())
    if found is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)


def state(job: str) -> str | None:
    """The state of a job in the queue, such as RUNNING; None if it has ended or Slurm no longer knows it.

    Raises SlurmError if Slurm does not answer.
    """
    try:
        answer = ask("squeue", "--noheader", "--states=all", "--jobs", job, "--format=%T")
    except SlurmError as error:
        if "Invalid job id" in str(error):
            return None
        raise
    # an array has one line per element: it lives as long as any of them
    alive = [name for name in answer.split() if name not in ENDED]
    return alive[0] if alive else None


def job_named(name: str) -> tuple[str, str] | None:
    """Number and state of a living job of this user with this name; None if there is none."""
    answer = ask("squeue", "--noheader", f"--user={os.getuid()}", f"--name={name}", "--states=all", "--format=%i|%T")
    for line in answer.splitlines():
        job, _, state = line.partition("|")
        if state not in ENDED:
            return job, state
    return None


class Queued(NamedTuple):
    """A living job, or an element of an array."""

    state: str
    name: str


def queued() -> dict[str, Queued]:
    """Every living job of this user, by NUMBER, or NUMBER_ELEMENT for each element of an array."""
    answer = ask("squeue", "--noheader", "--array", f"--user={os.getuid()}", "--states=all", "--format=%i|%T|%j")
    # a job's name may hold anything, even a line break: malformed lines are skipped
    lines = (line.split("|", 2) for line in answer.splitlines())
    found = {line[0]: Queued(*line[1:]) for line in lines if len(line) == 3}
    return {job: one for job, one in found.items() if one.state not in ENDED}


def max_array_size() -> int:
    """How many elements an array of this cluster may have."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config"), flags=re.MULTILINE)
    if found is None:
        raise SlurmError("scontrol show config names no MaxArraySize")
    return max(int(found[1]), 1)


def submit(script: str, folder: Path, *options: str) -> str:
    """Hand ``script`` to sbatch as a job that works in ``folder``, which exists; returns the job's number."""
    # --parsable prints NUMBER, or NUMBER;CLUSTER
    return ask("sbatch", "--parsable", *options, stdin=script, cwd=folder).partition(";")[0]


def ask(*words: str, stdin: str = "", cwd: Path | None = None, limit: float | None = None) -> str:
    """The output of a Slurm command, stripped; SlurmError if it is missing, fails, or takes longer than ``limit``
    seconds (default ASK_SECONDS).
    """
    if shutil.which(words[0]) is None:
        raise NoSlurm(f"{words[0]} is not on PATH")
    return run(*words, stdin=stdin, cwd=cwd, limit=limit).stdout.strip()


def run(
    *words: str, stdin: str = "", cwd: Path | None = None, limit: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a Slurm command; SlurmError if it fails. One that takes too long is killed with its children, which may keep
    its output open.
    """
    limit = ASK_SECONDS if limit is None else limit
    pipe = subprocess.PIPE
    try:
        own = as_given(os.environ)  # which sbatch hands on to the job
        process = subprocess.Popen(
            words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=cwd, env=own, start_new_session=True
        )
    except OSError as error:
        raise SlurmError(f"{words[0]} does not answer: {error}") from None
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=limit)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise SlurmError(f"{words[0]} does not answer within {limit:g} s") from None
    if process.returncode:
        raise SlurmError(" ".join(stderr.split()) or f"{words[0]} failed with code {process.returncode}")
    return subprocess.CompletedProcess(words, 0, stdout, stderr)
