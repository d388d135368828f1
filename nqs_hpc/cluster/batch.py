"""Batch scripts for Slurm from the templates in slurm/: one job, or an array with a job an element.

Values of the user reach a script through `shlex.quote`, or have been held to what needs none.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import resource
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from nqs_hpc.cluster.site import Found
from nqs_hpc.config.sections import Resources
from nqs_hpc.inputs import reading
from nqs_hpc.inputs.checks import InputError, bad
from nqs_hpc.inputs.reading import printable
from nqs_hpc.job import slurm

ONE_LOG = "slurm-%j.log"  # in the folder the job works in, which is its run folder
# Of jinja2's filters those that a batch script has a use for, none of which pads a text to any length.
FILTERS = {"abs", "default", "d", "first", "float", "int", "join", "last", "length", "count", "list", "lower", "map"}
FILTERS |= {"max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select", "selectattr", "sort"}
FILTERS |= {"string", "sum", "title", "trim", "unique", "upper"}
SECONDS = 10.0  # to fill in a template, which takes a hundredth of one
ROOM = 256 * reading.MIB  # beside what is in use before; the script of ten thousand runs has 3 MiB
ARRAY_LOGS = "logs"  # below the folder an array works in, which is its study's


class Entry(NamedTuple):
    """A run that a script starts."""

    folder: Path
    overrides: list[str]


def job_script(wanted: Resources, found: Found, entry: Entry) -> str:
    """The script of one job. Raises InputError where a template of the site cannot be filled in."""
    return _render(
        wanted, found, {"name": job_name(entry.folder), "log": ONE_LOG, "array": None, "entries": [_plain(entry)]}
    )


def array_script(wanted: Resources, found: Found, entries: list[Entry], *, name: str, parallelism: int | None) -> str:
    """The script of an array whose element i starts ``entries[i]``, at most ``parallelism`` at a time.

    Raises InputError where a template of the site cannot be filled in.
    """
    bound = f"%{parallelism}" if parallelism is not None else ""
    array = f"0-{len(entries) - 1}{bound}"
    log = f"{ARRAY_LOGS}/%A_%a.log"
    return _render(wanted, found, {"name": name, "log": log, "array": array, "entries": list(map(_plain, entries))})


def job_name(folder: Path) -> str:
    """The name of the job of a run folder, by which the queue is asked whether it is there: no two folders share it."""
    tag = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:8]
    return f"{_plain_name(folder.name)[:80]}-{tag}"


def check_place(folder: Path, key: str) -> None:
    """Raise InputError for a folder that a job of Slurm cannot work in.

    Slurm reads the path of a job's log as a pattern, and takes white space from its ends.
    """
    if str(folder) != str(folder).strip() or re.search(r"[%\\\n\r]", str(folder)):
        raise bad(key, str(folder), "a folder without %, backslashes, line breaks, or blanks at its end, for Slurm")


def _plain_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII)


def _plain(entry: Entry) -> dict[str, str]:
    return {"folder": str(entry.folder), "words": shlex.join(entry.overrides)}


def _render(wanted: Resources, found: Found, values: dict[str, object]) -> str:
    from jinja2 import FunctionLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

    site = found.site

    class Sandbox(ImmutableSandboxedEnvironment):
        """Templates come from whoever wrote the site's folder, and --dry-run is to show what a job would do, not to do
        it: no way from a value to Python, and no text longer than a script.
        """

        intercepted_binops = frozenset(("*", "**", "%"))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if not all(isinstance(value, int) and abs(value) < 2**32 for value in (left, right)) or operator == "**":
                raise SecurityError(f"{operator} is for whole numbers")
            return super().call_binop(context, operator, left, right)

    environment = Sandbox(
        loader=FunctionLoader(lambda name: _template(found.folders, name)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.clear()  # range and its like; a template loops over what it is given
    environment.filters = {name: kept for name, kept in environment.filters.items() if name in FILTERS}
    environment.filters["quote"] = shlex.quote
    memory = wanted.memory_gib
    limit = slurm.seconds(wanted.time)
    assert limit is not None  # the check of resources.time lets nothing else pass
    values |= {
        "name": _plain_name(str(values["name"])),
        "ranks": wanted.ranks,
        "nodes": wanted.nodes,
        "threads": wanted.cores,
        "memory_mib": None if memory is None else math.ceil(1024 * memory / wanted.cores),
        "time": wanted.time,
        "partition": (wanted.device == "gpu" and site.gpu_partition) or site.partition,
        "account": site.account,
        "qos": site.qos,
        "options": site.options,
        "mpi": site.mpi,
        "preamble": site.preamble,
        "requeue_limit": site.requeue_limit,
        # a short job would spend much of its time warned; Slurm may be a minute early on top of it
        "signal_seconds": min(site.signal_seconds, int(limit) // 10),
        "cwd": os.getcwd(),
        "python": site.python or sys.executable,
    }
    try:
        with _bounded(SecurityError):
            return environment.get_template(f"{wanted.device}.sbatch").render(values)
    except Exception as error:  # a template can raise anything: 1 // 0, more loops in loops than Python can have
        reason = printable(str(error)) or type(error).__name__
        raise InputError(f"{found.folders[0] / (wanted.device + '.sbatch')} cannot be filled in: {reason}") from None


@contextmanager
def _bounded(error: type[Exception]) -> Iterator[None]:
    """Raise ``error`` in here after SECONDS, MemoryError for more than ROOM: loops in loops, and texts that double, are
    short to write.
    """
    end = time.monotonic() + SECONDS

    def watch(frame: FrameType, event: str, argument: Any) -> Any:
        """Called at every line of a template, and at every call of what it uses."""
        del argument
        if time.monotonic() > end:
            raise error(f"it takes longer than {SECONDS:g} s")
        return watch if event != "call" or frame.f_code.co_filename == "<template>" else None

    former, limits = sys.gettrace(), resource.getrlimit(resource.RLIMIT_AS)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    least = in_use + ROOM if limits[0] == resource.RLIM_INFINITY else min(in_use + ROOM, limits[0])
    resource.setrlimit(resource.RLIMIT_AS, (least, limits[1]))
    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(former)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _template(folders: tuple[Path, ...], name: str) -> str | None:
    """The text of a template, from the first of ``folders`` that has it; None where none has.

    Nobody has named these files, so links are refused: what they lead to would be printed by --dry-run.
    """
    if not reading.is_name(name):
        return None
    for folder in folders:
        try:
            return reading.text(folder / name, reading.TEMPLATE)
        except FileNotFoundError:
            continue
    return None
