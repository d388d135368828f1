"""Points on this machine: a few at a time, each on its own cores; several ranks of a point run under mpiexec.

Children get an environment without the variables of an outer launcher, and their own session, so that a Ctrl-C at the
terminal reaches only this process. It asks their ranks to stop by a signal, waits until they have finished their step
and saved a checkpoint, and ends them at once at a second Ctrl-C.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.choices.hydra.launcher.local import Local
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.reading import printable
from nqs_hpc.job import files
from nqs_hpc.job.lifecycle import DONE, STOPPED
from nqs_hpc.job.tails import last_lines
from nqs_hpc.parallel.blas import as_given
from nqs_hpc.parallel.launchers import without_launcher
from nqs_hpc.sweep.points import shown
from nqs_hpc.sweep.study_file import StudyFile, Todo

OUTPUT = "output.log"  # in a point's folder: everything that its starts printed
POLL_SECONDS, SIGNAL_SECONDS = 0.1, 1.0
# Every point already has its cores, and mpiexec must start ranks on this host, also inside an allocation.
OWN = {"HYDRA_LAUNCHER": "fork", "HYDRA_RMK": "user", "OMPI_MCA_hwloc_base_binding_policy": "none"}
OWN |= {"PRTE_MCA_hwloc_default_binding_policy": "none"}


class _Running(NamedTuple):
    process: subprocess.Popen[bytes]
    todo: Todo
    slot: tuple[int, ...]  # the cores it may use
    n_ranks: int


def ranks(launcher: Local, config: Config) -> int:
    """How many ranks a point runs on."""
    return launcher.n_ranks or config.resources.ranks


def check(launcher: Local, todos: list[Todo]) -> None:
    """Raise InputError if several ranks are wanted and there is no mpiexec."""
    most = max((ranks(launcher, todo.config) for todo in todos), default=1)
    if most > 1 and mpiexec() is None:
        raise bad(
            "resources.ranks" if launcher.n_ranks is None else "hydra.launcher.n_ranks",
            most,
            "1: no mpiexec is on PATH",
        )


def run(launcher: Local, todos: list[Todo], study_file: StudyFile) -> None:
    """Run ``todos`` to their end, or until this process is asked to stop (SIGINT, SIGTERM, SIGUSR1).

    ``study_file`` records how each ended.
    """
    free = slots(launcher, todos, taken=_cores_of(study_file.folder))
    waiting, running, n_asked, last_signal = list(todos), list[_Running](), 0, 0.0
    with _signals() as asked, _none_left(running):
        while running or (waiting and not asked()):
            if asked() > n_asked:
                n_asked, last_signal = asked(), 0.0
                print(
                    f"stopping {len(running)} points with a checkpoint; a second signal stops them at once", flush=True
                )
            if n_asked and time.monotonic() - last_signal > SIGNAL_SECONDS:
                # repeatedly: a start that does not handle signals yet ignores the first, and further ones have no
                # effect
                _stop(running, at_once=n_asked > 1)
                last_signal = time.monotonic()
            while free and not asked() and (todo := _next(waiting, study_file)) is not None:
                waiting.remove(todo)
                try:
                    running.append(_start(launcher, todo, free[0], study_file))
                    free.pop(0)
                except OSError as error:  # of its folder, or of its log: the others still run
                    study_file.note(todo.point.name, state="failed", why=f"not started: {files.said(error)}")
                    print(f"{_label(todo)}: failed: not started: {files.said(error)}", flush=True)
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                free.append(one.slot)
                _ended(one, study_file, stopping=n_asked > 0)
            if waiting and not running and not asked() and _next(waiting, study_file) is None:
                break  # the remaining ones come after points that did not finish
            time.sleep(POLL_SECONDS)
    for todo in waiting:
        after = todo.point.after
        why = "stopped before it was started" if n_asked else f"comes after {after}, which is not done"
        study_file.note(todo.point.name, state="waiting", why=why)


def slots(launcher: Local, todos: list[Todo], taken: Set[int] = frozenset()) -> list[tuple[int, ...]]:
    """The cores for each of the points that run at a time; disjoint if there are enough.

    ``taken``: by points that a former launcher left running.
    """
    every = os.sched_getaffinity(0)
    cores = sorted(every - taken or every)
    most = max((ranks(launcher, todo.config) * todo.config.resources.cores for todo in todos), default=1)
    n_jobs = max(len(cores) // most, 1) if launcher.n_jobs == "auto" else launcher.n_jobs
    width = max(len(cores) // n_jobs, 1)
    return [tuple(cores[(first * width + i) % len(cores)] for i in range(width)) for first in range(n_jobs)]


def _cores_of(study: Path) -> set[int]:
    """The cores to which ranks of a study's points are bound right now."""
    found: set[int] = set()
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            pid = int(words.parent.name)
            if os.fsencode(study) in words.read_bytes() and _is_rank(pid):
                found |= os.sched_getaffinity(pid)
    return found


def mpiexec() -> str | None:
    """The mpiexec of this environment: the one beside this python, else the one on PATH."""
    beside = Path(sys.executable).parent / "mpiexec"
    return str(beside) if beside.exists() else shutil.which("mpiexec")


def child_environment() -> dict[str, str]:
    """This environment, made fit for a separate job."""
    kept = without_launcher(as_given(os.environ))
    kept.pop("PJRT_NPROC", None)  # the threads of this process
    return OWN | kept


def _next(waiting: list[Todo], study_file: StudyFile) -> Todo | None:
    """The first point that does not have to wait for another one."""
    for todo in waiting:
        if todo.point.after is None or study_file.point(todo.point.after).state == "done":
            return todo
    return None


def _start(launcher: Local, todo: Todo, slot: tuple[int, ...], study_file: StudyFile) -> _Running:
    folder = study_file.folder / todo.point.name
    files.make(folder)
    n_ranks = ranks(launcher, todo.config)
    command = [sys.executable, "-m", "nqs_hpc", *todo.words]
    if n_ranks > 1:
        command = [str(mpiexec()), "-n", str(n_ranks), *command]
    # as many cores as in a queue: another number of threads would change the bits
    cores = slot[: n_ranks * todo.config.resources.cores]

    def become() -> None:  # in the child, which has one thread like this process
        os.sched_setaffinity(0, cores)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until it listens (job/lifecycle.py)

    with open(files.open_to_append(folder / OUTPUT), "ab") as output:
        process = subprocess.Popen(
            command,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=become,
        )
    study_file.note(todo.point.name, state="running", why=f"process {process.pid}, cores {','.join(map(str, cores))}")
    print(f"{_label(todo)}: started, {n_ranks} rank{'s' * (n_ranks > 1)}", flush=True)
    return _Running(process, todo, slot, n_ranks)


def _ended(one: _Running, study_file: StudyFile, *, stopping: bool) -> None:
    """Record how a point ended."""
    code, folder = one.process.returncode, study_file.folder / one.todo.point.name
    if code in (DONE, STOPPED):
        state, why = {DONE: "done", STOPPED: "stopped"}[code], _reason(folder)
    elif (killed := _signal(code, one.n_ranks)) is not None:
        state, why = "stopped" if stopping else "failed", f"killed by {killed}"
    else:
        state, why = "stopped" if stopping else "failed", f"code {code}: {_last_line(folder / OUTPUT)}"
    study_file.note(one.todo.point.name, state=state, why="" if state == "done" else why)
    shown = "doubtful" if state == "done" and _is_doubtful(folder) else state
    print(f"{_label(one.todo)}: {shown}: {why}", flush=True)


def _signal(code: int, n_ranks: int) -> str | None:
    """The signal that ended a point; mpiexec returns its number as exit code, and prints much else."""
    number = -code if code < 0 else code if n_ranks > 1 and code > 2 else 0
    try:
        return signal.Signals(number).name
    except ValueError:
        return None


def _label(todo: Todo) -> str:
    return shown(todo.point.swept) or todo.point.name


def _reason(folder: Path) -> str:
    """How the run ended according to its summary; its last line of output if that cannot be read."""
    try:
        return printable(str(files.read_json(folder / "summary.json")["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _last_line(folder / OUTPUT)


def _is_doubtful(folder: Path) -> bool:
    """Whether the run says that its energy is doubtful."""
    try:
        return bool(files.read_json(folder / "summary.json")["status"] == "doubtful")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _last_line(path: Path) -> str:
    """The last nonempty line of a log; "" if there is none, or the log cannot be read."""
    with suppress(OSError):
        return "".join(last_lines(path, 1))
    return ""


# --- stopping


@contextmanager
def _signals() -> Iterator:
    """Count requests to stop; yields a function that returns their number."""
    n_asked = 0

    def handle(number: int, frame: object) -> None:
        nonlocal n_asked
        del number, frame
        n_asked += 1

    former = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield lambda: n_asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _stop(running: list[_Running], *, at_once: bool) -> None:
    """Ask the ranks of all points to stop, or end all of their processes."""
    for one in running:
        for pid in [one.process.pid, *descendants(one.process.pid)]:
            try:
                if at_once:
                    os.kill(pid, signal.SIGKILL)
                elif _is_rank(pid):  # not mpiexec, which would end its ranks
                    os.kill(pid, signal.SIGUSR1)
            except ProcessLookupError:
                continue


@contextmanager
def _none_left(running: list[_Running]) -> Iterator[None]:
    """Stop the points if the launcher cannot continue because its folder is gone: nobody else could stop them."""
    try:
        yield
    except BaseException:
        while any(one.process.poll() is None for one in running):
            _stop([one for one in running if one.process.poll() is None], at_once=False)
            time.sleep(SIGNAL_SECONDS)
        raise


def _is_rank(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[:3] == [os.fsencode(sys.executable), b"-m", b"nqs_hpc"]


def descendants(pid: int) -> list[int]:
    """The descendants of process ``pid``, nearest first."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue  # it has ended
        children.setdefault(parent, []).append(int(status.parent.name))
    found = list(children.get(pid, ()))
    for one in found:
        found += children.get(one, ())
    return found
