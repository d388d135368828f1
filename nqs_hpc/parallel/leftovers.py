"""Removes, before MPI starts, shared memory that killed ranks left behind.

Ranks of MPICH on one node share a file in /dev/shm that is named after their job step. After a SIGKILL the file stays,
and Slurm starts a requeued job with the same step number: on the same node its ranks would use the old file, and fail
in MPI_Init with wrong addresses or "out of memory". The names of Open MPI's files contain process numbers.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
PATTERNS = ("mpich_shm_*", "mpich_vci_*")
# Ranks of a job that is just starting may have made a file but not mapped it yet.
LEAST_AGE = 10.0  # seconds


def remove_leftovers(folder: Path = SHARED_MEMORY) -> list[str]:
    """Remove this user's files of MPICH in ``folder`` that no living process has mapped; returns their names.

    Never raises: files that cannot be examined or removed stay.
    """
    with suppress(OSError):
        if _old(folder):
            # One process at a time, each with its own list: nobody may make a file between the check of its name and
            # its removal, and every start of a job takes this lock first.
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
    """This user's files of MPICH that are at least LEAST_AGE old."""
    found = []
    for path in (path for pattern in PATTERNS for path in folder.glob(pattern)):
        with suppress(FileNotFoundError):
            status = path.stat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > LEAST_AGE:
                found.append(path)
    return found


def _mapped() -> set[str]:
    """The files mapped by processes of this user."""
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):  # it has just ended, or belongs to another user
            for line in maps.read_bytes().splitlines():
                _, slash, name = line.partition(b" /")
                if slash:
                    found.add("/" + name.decode(errors="replace"))
    return found
