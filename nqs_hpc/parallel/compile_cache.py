"""Compiled programs kept from start to start: jax's compilation cache, set up before jax is imported.

XLA spends seconds on the programs of a run; a start that finds them on the disk spends none. The name jax gives an
entry depends on the program, the versions and the options of the compiler, but not on the number of threads for which
XLA divides its loops: a start with 64 threads would read a program made for one thread and run it on one. A home folder
may also serve several kinds of processors. So each pair of thread count and processor has its own folder.

jax writes an entry in place and never again, as if its rank were the only process. So only one rank per folder writes
(except for the large programs, which are distributed: `parallel.ahead`). An entry that cannot be read, because a kill
cut it short, is removed, so that it is written again. That rank also removes entries after a month: those of former
versions, and those of MPI libraries whose handles, which are part of a program, change from start to start (Open MPI).
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TextIO

from nqs_hpc.parallel.world import World

LEAST_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"  # programs that compile faster are not written
NEVER = "1e9"
MONTH = 30 * 86400.0  # seconds
# The lines of /proc/cpuinfo with the features and the model of a processor: x86, Arm, POWER.
KIND = ("vendor_id", "cpu family", "model", "flags", "CPU implementer", "CPU variant", "CPU part", "Features", "cpu")


class Share(NamedTuple):
    """This rank's place among the ranks that share a folder of programs."""

    number: int
    size: int
    least_seconds: float  # programs that compile faster are not written


def folder(setting: str | None) -> Path | None:
    """Where programs are kept, absolute; None: nowhere. ``setting``: a path, or auto for jax's own variable or the
    user's cache folder. Makes nothing; ValueError if the user has no home.
    """
    if setting is None:
        return None
    if setting != "auto":
        return Path.cwd() / setting
    if given := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path.cwd() / given
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(home):
        raise ValueError(f"{home} is not an absolute path")
    return Path(home, "nqs_hpc", "xla")


def use(kept: Path | None, threads: int, world: World) -> Share | None:
    """Make jax keep all of its programs under ``kept``, or none if that is None. Collective.

    The rank that writes respects the least compile time that the user set. Returns this rank's place among those that
    use the same folder.
    """
    if kept is None:
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
        return None
    own = kept / f"{processor()}-{threads}"
    sharing = [rank for rank, folder in enumerate(world.allgather(own)) if folder == own]
    writes = sharing[0] == world.rank
    share = Share(sharing.index(world.rank), len(sharing), float(os.environ.get(LEAST_SECONDS, "0")))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(own)
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    # No caches of XLA's own for GPUs: every rank would write them, and their path would enter the name of every entry.
    os.environ["JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES"] = "none"
    if writes:
        os.environ.setdefault(LEAST_SECONDS, "0")
        for entry in own.glob("*-cache"):
            with suppress(OSError):  # another job may remove it meanwhile
                if time.time() - entry.stat().st_mtime > MONTH:
                    entry.unlink()
    else:
        os.environ[LEAST_SECONDS] = NEVER
    _speak(own, world.rank)
    return share


def processor() -> str:
    """A short name for this kind of processor: processors with equal names run the same machine code."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        first = file.read(2**14).split("\n\n")[0]  # only the first processor: hundreds take time
    kind = [line for line in first.splitlines() if line.partition(":")[0].strip() in KIND]
    return hashlib.sha256("\n".join(kind).encode()).hexdigest()[:8]


def _speak(own: Path, rank: int) -> None:
    """Print one line on stderr instead of jax's warning for an entry that it could not read or write. An entry that
    could not be read is removed, because jax does not overwrite it.
    """
    warnings.filterwarnings("always", r"Error (reading|writing) persistent compilation cache entry")
    usual = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        found = re.match(r"Error (reading|writing) persistent compilation cache entry for '(\w+)': (.*)", str(message))
        if found is None:
            return usual(message, category, filename, lineno, file, line)
        act, program, reason = found.groups()
        what = "read and is compiled again" if act == "reading" else "written"
        print(f"rank {rank}: {program} could not be {what} ({reason}): {own}", file=sys.stderr, flush=True)
        if act == "reading":
            for entry in own.glob(f"{program}-*"):
                with suppress(OSError):
                    entry.unlink()

    warnings.showwarning = show
