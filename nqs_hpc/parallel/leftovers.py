"""Shared memory that killed ranks left behind, removed before MPI starts.

Ranks of MPICH on one node meet in a file of /dev/shm whose name is that of their job step. SIGKILL leaves the file, and
Slurm starts a requeued job under the same step number: on the same node its ranks would take the dead file for their
own, and fail in MPI_Init with wrong addresses or "out of memory". Open MPI's files carry process numbers.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
PATTERNS = ("mpich_shm_*", "mpich_vci_*")
# Ranks of a job that is starting right now may have made a file and not mapped it yet.
LEAST_AGE = 10.0  # seconds


def remove_leftovers(folder: Path = SHARED_MEMORY) -> list[str]:
    """Remove this user's files of MPICH in ``folder`` that no living process has mapped; returns their names.

    Never raises: what cannot be looked at or removed stays.
    """
    with suppress(OSError):
        if _old(folder):
            # One at a time, each with a list of its own: between the look at a name and its removal nobody may make
            # a file of that name, and every start of a job comes through here first.
            lock = os.open(folder / f"nqs_hpc_{os.getuid()}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                mapped = _mapped()
                dead = [path for path in _old(folder) if str(path) not in mapped]
                for path in dead:
                    path.unlink(missing_ok=True)
                return [path.name for path in dead]
            finally:
                os.close(lock)
    return []


def _old(folder: Path) -> list[Path]:
    """This user's files of MPICH that were made some time ago."""
    found = []
    for path in (path for pattern in PATTERNS for path in folder.glob(pattern)):
        with suppress(FileNotFoundError):
            status = path.stat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > LEAST_AGE:
                found.append(path)
    return found


def _mapped() -> set[str]:
    """The files that processes of this user have mapped."""
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):  # it ended meanwhile, or is another user's
            for line in maps.read_bytes().splitlines():
                _, slash, name = line.partition(b" /")
                if slash:
                    found.add("/" + name.decode(errors="replace"))
    return found
