"""``python -m nqs_hpc doctor``: whether this installation and this machine can run jobs, and what to do if not.

Each check prints one line as soon as all ranks have completed it, so one sees where a start hangs. Faults make exit
code 1; warnings do not. The checks are in `checks`, `devices` and `site`.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from nqs_hpc.doctor import checks, site
from nqs_hpc.doctor import devices as on_devices
from nqs_hpc.doctor.checks import Line, Outcome
from nqs_hpc.inputs.checks import InputError, nearest
from nqs_hpc.inputs.reading import printable
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.parallel.errors import error_text
from nqs_hpc.parallel.launch import launched
from nqs_hpc.parallel.world import World, alone, world

JSON = "--json"
USAGE = f"python -m nqs_hpc doctor [{JSON}] [DIR]     DIR: where runs will live; ./runs, or the current folder"
LIMIT_SECONDS = 300.0  # for one check: longer than it takes to load jax on all ranks from the slowest file system
LINGER_SECONDS = 1.0


class Report(NamedTuple):
    """The report, printed by one rank."""

    note: Callable[[str, Callable[[], Line]], Line]  # make the check of this name and report its line
    close: Callable[[], int]  # end the report; returns the exit code


def doctor(words: list[str]) -> int:
    """Start MPI, make all checks and print what they found; every rank calls it.

    ``words``: --json for only one object on stdout, and a folder for runs. Returns the exit code, the same on all
    ranks: 0 without a fault, 1 with one, 2 for bad input, which one line on stderr names. Raises nothing.
    """
    n_started, number = launched()
    here, trouble = None, ""
    with _answer(JSON in words) as out:
        try:
            try:
                here = world()
            except Exception as error:  # no MPI, or not that of mpi4py: the rest can still be checked
                here, trouble = alone(), error_text(error)
            apart = bool(trouble) or here.size != n_started
            # If MPI does not connect the ranks, each is rank 0 of its own world.
            speaks = here.rank == 0 and (not apart or n_started == 1 or number == 0)
            asked = here.bcast(_asked(words) if here.rank == 0 else None)
            if not isinstance(asked, Path):
                code, line = asked
                if speaks:
                    print(line, file=out if code == DONE else sys.stderr, flush=True)
            else:
                told = report(here, out, speaks=speaks, as_json=JSON in words)
                examine(here, asked, n_started, trouble, told.note)
                code = told.close()
            if not speaks and here.rank == 0:
                # Some launchers end all processes at the first that fails: let the one that prints finish.
                time.sleep(LINGER_SECONDS)
            return code
        except BaseException as error:
            print(f"doctor failed: {error_text(error)}", file=sys.stderr, flush=True)
            if here is not None and here.size > 1:
                here.abort(FAULT)  # the others may wait for this rank in a collective
            return FAULT


def examine(
    here: World, folder: Path, n_started: int, trouble: str, note: Callable[[str, Callable[[], Line]], Line]
) -> None:
    """All checks in order, each through ``note``; collective. ``trouble``: why MPI did not start.

    Checks of several ranks are left out if MPI does not connect the started ranks.
    """
    apart = bool(trouble) or here.size != n_started
    asked = site.begin(here)  # its answers may take long, so the other checks go on meanwhile
    placed: list[Outcome] = []
    found: list[Outcome] = []

    def threads() -> Line:
        placed.extend(checks.settle(here))
        return checks.threads(placed)

    def devices() -> Line:
        mine = placed[here.rank]
        found.extend(checks.together(here, lambda: on_devices.device(None if mine.error else mine.value[0].gpu)))
        return on_devices.devices(found)

    def allreduce() -> Line:
        broken = [name for name, line in needed.items() if line.status == "fault"]
        return (
            checks.not_tried(f"{', '.join(broken)} at fault")
            if broken and here.size > 1
            else on_devices.allreduce(here)
        )

    note("mpi", lambda: checks.mpi(here, n_started, trouble))
    note("versions", lambda: checks.installation(here))
    needed = {"mpi4jax": note("mpi4jax", lambda: checks.bridge(here))}
    needed["threads"] = note("threads", threads)
    needed["devices"] = note("devices", devices)
    needed["cuda_mpi"] = note("cuda_mpi", lambda: on_devices.cuda_aware(here, found))
    if not apart:
        note("allreduce", allreduce)
    note("slurm", lambda: site.queue(here, asked))
    note("folder", lambda: site.folder_works(here, folder))
    note("space", lambda: site.space(here, folder))
    if not apart:
        note("shared", lambda: site.folder_shared(here, folder))
    note("compile_cache", lambda: site.programs(here))
    if not apart:
        note("clocks", lambda: site.clocks(here))


def report(here: World, out: TextIO, *, speaks: bool, as_json: bool) -> Report:
    """A report on ``out``. A check that raises is a fault, the same on all ranks; one that does not end ends the
    doctor."""
    lines: dict[str, Line] = {}

    def add(name: str, line: Line) -> None:
        lines[name] = line
        if speaks and not as_json:
            advice = f". To do: {line.advice}" if line.advice else ""
            # names of folders and output of Slurm's commands may hold anything
            print(f"{line.status:8} {name:14} {printable(line.found + advice, 4000)}", file=out, flush=True)

    def close() -> int:
        statuses = [line.status for line in lines.values()]
        status = checks.worst(statuses)
        if speaks and as_json:
            told = [{"check": name, **line._asdict()} for name, line in lines.items()]
            print(json.dumps({"status": status, "ranks": here.size, "checks": told}, indent=2), file=out, flush=True)
        elif speaks:
            numbers = (checks.count(statuses.count(level), level) for level in ("fault", "warning"))
            print(", ".join(numbers), file=out, flush=True)
        return FAULT if status == "fault" else DONE

    def late(name: str) -> None:
        found = f"no end after {LIMIT_SECONDS:.0f} s: a network or file system that hangs, on this or another rank"
        add(name, Line("fault", found, "try fewer ranks, one host, another folder"))
        code = close()
        if here.size > 1:
            here.abort(code)
        os._exit(code)

    def note(name: str, check: Callable[[], Line]) -> Line:
        timer = threading.Timer(LIMIT_SECONDS, late, (name,))
        timer.daemon = True
        if here.rank == 0:
            timer.start()
        try:
            line = check()
        except Exception as error:
            line = Line("fault", error_text(error), "report this: the check itself is broken")
        finally:
            timer.cancel()
        add(name, line)
        return line

    return Report(note, close)


def _asked(words: list[str]) -> Path | tuple[int, str]:
    """The folder to check, or the exit code and the last line; never raises for bad input."""
    try:
        if any(word in ("-h", "--help") for word in words):
            return DONE, USAGE
        if flags := [word for word in words if word.startswith("-") and word != JSON]:
            near = nearest(flags[0], [JSON])
            raise InputError(f"{flags[0]} is not an option of doctor; {near}valid: {JSON} and one folder")
        folders = [word for word in words if word != JSON]
        if len(folders) > 1 or "" in folders:
            raise InputError(f"{' '.join(folders) or repr('')} is not valid; valid: {JSON} and one folder")
        default = "runs" if os.path.lexists("runs") else "."
        name = folders[0] if folders else default
        try:
            return site.existing(Path.cwd() / name)
        except (OSError, ValueError) as error:
            raise InputError(f"{name} is not valid; valid: a folder, there or to be made ({error})") from None
    except InputError as error:
        return BAD_INPUT, str(error)


@contextmanager
def _answer(as_json: bool) -> Iterator[TextIO]:
    """The stream of the report: stdout. For JSON, output of libraries (UCX logs, MPI4JAX_DEBUG) goes to stderr."""
    if not as_json:
        yield sys.stdout
        return
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        try:
            yield out
        finally:
            sys.stdout.flush()
            ctypes.CDLL(None).fflush(None)  # C has its own buffer
            os.dup2(out.fileno(), 1)
