"""Compiled programs kept from start to start: jax's compilation cache, set up before jax is imported.

XLA spends seconds on the programs of a run; a start that finds them on the disk spends none. jax names an entry by the
program, the versions and the compiler's options, but not by the threads, for which XLA cuts its loops: a program made
for one thread would be read, and run on one, by a start with sixty-four. A home folder also serves processors of many
kinds. Each pair of these has a folder of its own.

jax writes an entry in place and never again, and each rank takes itself for the only process. So one rank a folder
writes (but for the large programs, which are shared out: `parallel.ahead`), and an entry that cannot be read, cut short
by a kill, is removed and so written again. That rank also removes entries a month after they were made: those of former
versions, and of MPI libraries whose handles, which are part of a program, differ from start to start (Open MPI).
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
# The lines of /proc/cpuinfo that say what a processor can run and what code is tuned for: x86, Arm, POWER.
KIND = ("vendor_id", "cpu family", "model", "flags", "CPU implementer", "CPU variant", "CPU part", "Features", "cpu")


class Share(NamedTuple):
    """This rank's place among the ranks that share a folder of programs."""

    number: int
    size: int
    least_seconds: float  # programs that compile faster are not written


def folder(setting: str | None) -> Path | None:
    """Where programs are kept, absolute; None: nowhere. ``setting``: a path, or auto for jax's own variable or the
    user's cache folder. Makes nothing; ValueError where the user has no home.
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
    """Have jax keep its programs under ``kept``, every one of them, or none where that is None. Collective.

    The rank that writes keeps to a least time of compilation that the user set. Returns this rank's place among
    those that read and write the same folder.
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
    # XLA's own caches for GPUs: every rank would write them, and their path would be part of every entry's name.
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
    """A short name for this kind of processor: equal names run each other's machine code."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        first = file.read(2**14).split("\n\n")[0]  # one processor, not hundreds: each costs the kernel time
    kind = [line for line in first.splitlines() if line.partition(":")[0].strip() in KIND]
    return hashlib.sha256("\n".join(kind).encode()).hexdigest()[:8]


def _speak(own: Path, rank: int) -> None:
    """One line on stderr, in place of jax's warning, for an entry that it could not read or write. One that could not
    be read is removed, because jax writes no other while it is there.
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
