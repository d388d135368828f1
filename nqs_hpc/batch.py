"""Batch scripts for Slurm from the templates in slurm/: one job, or an array with a job an element.

Values of the user reach a script through `shlex.quote`, or have been held to what needs none.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.checks import InputError, bad
from nqs_hpc.job import slurm
from nqs_hpc.schema import Resources
from nqs_hpc.site import Found

ONE_LOG = "slurm-%j.log"  # in the folder the job works in, which is its run folder
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
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

    site = found.site
    environment = Environment(
        loader=FileSystemLoader(found.folders),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
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
        return environment.get_template(f"{wanted.device}.sbatch").render(values)
    except TemplateError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{found.folders[0] / (wanted.device + '.sbatch')} cannot be filled in: {reason}") from None
