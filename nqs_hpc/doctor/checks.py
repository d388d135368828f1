"""The doctor's checks of MPI, the installation and the devices: one function per check, one line from all ranks.

Every rank calls the checks in the same order. What a rank does by itself runs inside `together`, which catches
exceptions and reports them to all ranks. Everything after that depends only on gathered outcomes, so no rank waits in a
collective for another that has failed, and all get the same line. A child process tries what could crash this one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from nqs_hpc.job.manifest import versions
from nqs_hpc.parallel import compile_cache
from nqs_hpc.parallel.agreement import disagreement, settings
from nqs_hpc.parallel.errors import error_text
from nqs_hpc.parallel.launch import Placement, place
from nqs_hpc.parallel.launchers import LAUNCHERS, without_launcher
from nqs_hpc.parallel.world import World

LEVELS = ("ok", "warning", "fault")
CHILD_SECONDS = 120.0  # for a child, which may load jax from a network file system
MIB = 2**20
BUILD = "`make` with the MPI= of this installation, or pip install --no-cache-dir --no-build-isolation mpi4jax"


class Line(NamedTuple):
    """What a check found."""

    status: str  # one of LEVELS
    found: str
    advice: str = ""  # what to do; empty if all is well


class Outcome(NamedTuple):
    """The outcome of a check on one rank."""

    rank: int
    host: str
    value: Any  # plain data
    error: str = ""  # why it failed, in one line; empty if it did not


def together(here: World, act: Callable[[], Any]) -> list[Outcome]:
    """The outcomes of ``act`` on all ranks, in order, on every rank; collective, also if ``act`` raises."""
    try:
        value, error = act(), ""
    except Exception as raised:
        value, error = None, error_text(raised)
    return here.allgather(Outcome(here.rank, socket.gethostname(), value, error))


def worst(statuses: list[str]) -> str:
    """The gravest of some statuses; ok if there is none."""
    return max(statuses, key=LEVELS.index, default="ok")


def merged(outcomes: list[Outcome], advice: str, unit: str = "rank") -> Line:
    """One line for the lines of many ranks: what most have is stated once, ranks that differ are named.

    Values are Lines, or None for a rank without one; at least one rank has a Line. ``advice`` is for ranks that failed.
    With ``unit`` "host" each host has one Line.
    """
    groups: dict[Line, list[Outcome]] = {}
    for outcome in outcomes:
        line = Line("fault", outcome.error, advice) if outcome.error else outcome.value
        if line is not None:
            groups.setdefault(line, []).append(outcome)
    spoke = sum(len(group) for group in groups.values())
    if spoke == 1 and (unit == "host" or len(outcomes) == 1):
        return next(iter(groups))
    texts: list[str] = []
    for line, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        common = not texts and len(group) > 1
        texts.append((f"{len(group)} {unit}s" if common else who(group)) + f": {line.found}")
    advices = dict.fromkeys(line.advice for line in groups if line.advice)
    return Line(worst([line.status for line in groups]), "; ".join(texts), "; ".join(advices))


def failures(outcomes: list[Outcome], advice: str) -> Line | None:
    """The line about the ranks that failed; None if none did."""
    if not any(outcome.error for outcome in outcomes):
        return None
    return merged([outcome._replace(value=None) for outcome in outcomes], advice)


def who(group: list[Outcome]) -> str:
    """The ranks of some outcomes by number and host, or the first few of them."""
    names = [f"rank {outcome.rank} on {outcome.host}" for outcome in group[:4]]
    return ", ".join(names) + (f" and {len(group) - 4} more" if len(group) > 4 else "")


def count(number: int, noun: str) -> str:
    """A number of things in words."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def not_tried(reason: str) -> Line:
    """The line of a check that is impossible because something else is broken."""
    return Line("warning", f"not tried: {reason}", "repair that first")


# --- MPI and installation ---


def mpi(here: World, n_started: int, trouble: str = "") -> Line:
    """The MPI library, and whether it sees the ranks that the launcher started. ``trouble``: why it did not start."""
    beside = f"the mpiexec beside {sys.executable}"
    if trouble:
        return Line("fault", trouble, f"load the module of the MPI that mpi4py is for, or use {beside}")
    library = " ".join(here.library.partition(", package")[0].replace(" Version:", "").split())
    n_hosts = sum(outcome.value for outcome in together(here, lambda: here.local_rank == 0))
    if here.size > n_started:
        names = ", ".join(size for size, _ in LAUNCHERS)
        return Line("fault", f"{library} sees {here.size} ranks, but no launcher said so", f"use one that sets {names}")
    if here.size < n_started:
        kind = "pmix" if "Open MPI" in library else "pmi2"
        found = (
            f"{count(n_started, 'rank')} started, but {library} sees {here.size}; checks of several ranks are left out"
        )
        return Line("fault", found, f"srun --mpi={kind} (`srun --mpi=list` shows what it has), or {beside}")
    return Line("ok", f"{library}; {count(here.size, 'rank')} on {count(n_hosts, 'host')}")


def installation(here: World) -> Line:
    """Versions of Python and the packages, and whether versions and settings are the same on all ranks."""
    again = "install them again: `make`, or pip install in the environment of this python"
    outcomes = together(here, lambda: {**versions(), "MPI": here.library, **settings()})
    if (broken := failures(outcomes, again)) is not None:
        return broken
    if odd := disagreement(outcomes[here.rank].value, here):
        what, _, advice = odd.rpartition(": ")
        return Line("fault", what, advice)
    known = {name: version for name, version in outcomes[0].value.items() if name in versions()}
    if missing := [name for name, version in known.items() if version is None]:
        return Line("fault", f"not installed: {', '.join(missing)}", again)
    return Line("ok", ", ".join(f"{name} {version}" for name, version in known.items()))


# MPI is not started in this child: it would take itself for a rank of the job.
IMPORT = """
import json, warnings
found = {"error": "", "cuda": False, "warning": ""}
try:
    import mpi4py
    mpi4py.rc.initialize = mpi4py.rc.finalize = False
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        import mpi4jax
    found["cuda"] = mpi4jax.has_cuda_support()
    found["warning"] = next((str(w.message) for w in caught if "mpi4jax" in str(w.message)), "")
except BaseException as error:
    found["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


def bridge(here: World) -> Line:
    """Whether mpi4jax loads with this MPI; one rank per host tries it in a child process."""

    def act() -> Line | None:
        if here.local_rank > 0:
            return None
        known = versions()
        # a user may have switched off the comparison of the MPIs, which we need here
        answer, trouble = child(IMPORT, {"MPI4JAX_SKIP_ABI_CHECK": ""})
        found = {"error": trouble} if trouble else json.loads(answer)
        name = f"mpi4jax {known['mpi4jax']} with mpi4py {known['mpi4py']}"
        if found["error"]:
            return Line("fault", f"{name}: {' '.join(found['error'].split())}", f"build it for this MPI: {BUILD}")
        name += f" fits this MPI, for CPUs{' and CUDA' if found['cuda'] else ''}"
        if found["warning"]:
            return Line(
                "warning", f"{name}; {' '.join(found['warning'].split())}", "install the versions of pyproject.toml"
            )
        return Line("ok", name)

    return merged(together(here, act), f"build it for this MPI: {BUILD}", "host")


def child(code: str, variables: dict[str, str]) -> tuple[str, str]:
    """The last line that Python prints for ``code`` in a child process, and, in one line, why there is none.

    The process does not see the launcher's variables, so that MPI has one rank there.
    """
    # jax would end a traceback with a remark on tracebacks, but we need its last line
    environment = without_launcher(os.environ) | {"JAX_TRACEBACK_FILTERING": "off"} | variables
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=CHILD_SECONDS)
    except subprocess.TimeoutExpired:
        return "", f"no end after {CHILD_SECONDS:.0f} s"
    if done.returncode == 0 and done.stdout.strip():
        return done.stdout.strip().splitlines()[-1], ""
    how = f"exit code {done.returncode}" if done.returncode >= 0 else signal.Signals(-done.returncode).name
    said = done.stderr.strip().splitlines()
    return "", f"ended by {how}" + (f": {said[-1].strip()}" if said else "")


# --- where ranks compute ---


def settle(here: World) -> list[Outcome]:
    """Give every rank its cores and device, as a job does: (Placement, SLURM_CPUS_PER_TASK). Call before jax is
    loaded."""

    def act() -> tuple[Placement, str]:
        placement = place(here)
        compile_cache.use(None, placement.threads, here)  # jobs cannot use what is compiled here
        # no preallocation of GPU memory, because a child or other ranks may share the GPU
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        return placement, os.environ.get("SLURM_CPUS_PER_TASK", "")

    return together(here, act)


def threads(placed: list[Outcome]) -> Line:
    """Cores and threads of each rank, and whether ranks share cores."""
    placements = [(o.rank, o.host, set(o.value[0].cpus)) for o in placed if not o.error]

    def judge(outcome: Outcome) -> Line:
        (_, cpus, n_threads, _), asked = outcome.value
        found = f"{count(len(cpus), 'core')}, {count(n_threads, 'thread')}"
        near = [others for rank, host, others in placements if host == outcome.host and rank != outcome.rank]
        if any(not others.isdisjoint(cpus) for others in near):
            advice = "fewer ranks a host, or bind each to its own cores: srun --cpu-bind=cores, mpiexec --bind-to core"
            return Line("warning", f"{found}, shared with other ranks", advice)
        if n_threads > len(cpus):
            return Line("warning", found, "more threads than cores: unset PJRT_NPROC, or give each rank more cores")
        if asked.isdigit() and int(asked) != len(cpus):
            advice = "give srun --cpus-per-task=$SLURM_CPUS_PER_TASK, which it does not inherit, and --cpu-bind=cores"
            return Line("warning", f"{found}, but SLURM_CPUS_PER_TASK={asked}", advice)
        return Line("ok", found)

    lines = [outcome if outcome.error else outcome._replace(value=judge(outcome)) for outcome in placed]
    return merged(lines, "start without binding options, and see whether the launcher binds to cores that exist")
