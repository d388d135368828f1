"""One job a run folder: an advisory lock that lives as long as the process that holds it, whatever ends it."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

_held: list[int] = []  # descriptors stay open until the process ends: its death releases the lock


def lock(folder: Path) -> str | None:
    """Take the lock of ``folder`` for the life of this process; rank 0 calls it. Returns who has it, None if we do."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        os.close(descriptor)
        return owner or "another process"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    _held.append(descriptor)
    return None
