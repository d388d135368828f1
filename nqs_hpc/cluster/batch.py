"""Batch scripts for Slurm from the templates in slurm/: one job, or an array with one job per element.

Values of the user are quoted by `shlex.quote`, or their checks allow only characters that need no quotes.
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

ONE_LOG = "slurm-%j.log"  # in the working folder of the job, which is its run folder
# The jinja2 filters that are useful in a batch script; none of them pads a text to any length.
FILTERS = {"abs", "default", "d", "first", "float", "int", "join", "last", "length", "count", "list", "lower", "map"}
FILTERS |= {"max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select", "selectattr", "sort"}
FILTERS |= {"string", "sum", "title", "trim", "unique", "upper"}
SECONDS = 10.0  # to fill in a template, which takes 0.01 s
ROOM = 256 * reading.MIB  # besides what is already in use; the script of ten thousand runs has 3 MiB
ARRAY_LOGS = "logs"  # in the working folder of an array, which is that of its study


class Entry(NamedTuple):
    """A run that a script starts."""

    folder: Path
    overrides: list[str]


def job_script(wanted: Resources, found: Found, entry: Entry) -> str:
    """The script of one job. Raises InputError if a template of the site cannot be filled in."""
    return _render(
        wanted, found, {"name": job_name(entry.folder), "log": ONE_LOG, "array": None, "entries": [_plain(entry)]}
    )


def array_script(wanted: Resources, found: Found, entries: list[Entry], *, name: str, parallelism: int | None) -> str:
    """The script of an array whose element i starts ``entries[i]``, at most ``parallelism`` at a time.

    Raises InputError if a template of the site cannot be filled in.
    """
    bound = f"%{parallelism}" if parallelism is not None else ""
    array = f"0-{len(entries) - 1}{bound}"
    log = f"{ARRAY_LOGS}/%A_%a.log"
    return _render(wanted, found, {"name": name, "log": log, "array": array, "entries": list(map(_plain, entries))})


def job_name(folder: Path) -> str:
    """The name of the job of a run folder, unique to the folder, so the queue can be searched for it."""
    tag = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:8]
    return f"{_plain_name(folder.name)[:80]}-{tag}"


def check_place(folder: Path, key: str) -> None:
    """Raise InputError for a folder that cannot be the working folder of a Slurm job.

    Slurm reads the path of a job's log as a pattern, and strips white space from its ends.
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
        """An environment that does not trust templates: others may have written them, and --dry-run must only show what
        a job would do. So values give no access to Python, and no text is longer than a script.
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
    environment.globals.clear()  # range and the like; a template loops only over its values
    environment.filters = {name: kept for name, kept in environment.filters.items() if name in FILTERS}
    environment.filters["quote"] = shlex.quote
    memory = wanted.memory_gib
    limit = slurm.seconds(wanted.time)
    assert limit is not None  # ensured by the check of resources.time
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
        # a short job would get its warning too early; Slurm may send it another minute earlier
        "signal_seconds": min(site.signal_seconds, int(limit) // 10),
        "cwd": os.getcwd(),
        "python": site.python or sys.executable,
    }
    try:
        with _bounded(SecurityError):
            return environment.get_template(f"{wanted.device}.sbatch").render(values)
    except Exception as error:  # a template can raise anything: 1 // 0, more nested loops than Python allows
        reason = printable(str(error)) or type(error).__name__
        raise InputError(f"{found.folders[0] / (wanted.device + '.sbatch')} cannot be filled in: {reason}") from None


@contextmanager
def _bounded(error: type[Exception]) -> Iterator[None]:
    """Raise ``error`` in this block after SECONDS, MemoryError beyond ROOM: nested loops and texts that double are easy
    to write.
    """
    end = time.monotonic() + SECONDS

    def watch(frame: FrameType, event: str, argument: Any) -> Any:
        """Called at every line of a template, and at every call inside of it."""
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
    """The text of a template, from the first of ``folders`` that has it; None if none has.

    The user did not name these files, so links are refused: --dry-run would print what they lead to.
    """
    if not reading.is_name(name):
        return None
    for folder in folders:
        try:
            return reading.text(folder / name, reading.TEMPLATE)
        except FileNotFoundError:
            continue
    return None
