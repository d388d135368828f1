"""One job a run folder: an advisory lock that lives as long as the process that holds it, whatever ends it.

The lock is flock on ``.lock``, which the kernel releases with its holder, so a kill or a power cut leaves none behind.
The file says who holds it: host, process and Slurm job. On a file system that several hosts share, flock may not reach
beyond one host; there a holder of another host that did not take leave is believed to live until Slurm no longer knows
its job, and a holder looks before it writes whether it still is one. No lock ends by a time-out.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.job import slurm
from nqs_hpc.job.files import named
from nqs_hpc.job.mounts import shared
from nqs_hpc.reading import parse_json, printable


class _Held(NamedTuple):
    descriptor: int  # stays open until the process ends: its death releases the lock
    text: bytes  # what the file says since we hold it
    shared: bool  # whether another host could take the folder over behind flock's back


_held: dict[Path, _Held] = {}


class Lost(RuntimeError):
    """Another start has taken the run folder over; one line."""


class Owner(NamedTuple):
    """Who holds a lock."""

    host: str
    pid: int
    job: str | None  # of Slurm

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f", Slurm job {self.job}" if self.job else "")


def lock(folder: Path, *, state: Callable[[str], str | None] = slurm.state) -> str | None:
    """Take the lock of ``folder`` for the life of this process; rank 0 calls it. None if we have it, else why not.

    ``state`` answers for a Slurm job as ``slurm.state`` does. Raises OSError where the file system has no locks.
    """
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = _owner(os.pread(descriptor, 1000, 0))
        os.close(descriptor)
        return f"{folder} is in use by {owner or 'another process'}: one job a run folder"
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            reason = "its file system has no locks (flock); mount it with them or choose a run_dir elsewhere"
            raise OSError(error.errno, reason, str(folder / ".lock")) from None
        raise
    before = _owner(os.pread(descriptor, 1000, 0))
    if before is not None and (reason := _alive(folder, before, state)):
        os.close(descriptor)
        return reason
    own = Owner(socket.gethostname(), os.getpid(), slurm.job_id())
    text = json.dumps(own._asdict()).encode() + b"\n"
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)
        os.fsync(descriptor)
    except OSError as error:
        os.close(descriptor)
        raise named(error, folder / ".lock") from None
    _held[folder] = _Held(descriptor, text, shared(folder))
    return None


def in_use(folder: Path) -> str:
    """Who holds the lock of ``folder`` right now, as flock shows it on this host; empty where nobody does.

    Takes nothing and makes nothing.
    """
    try:
        descriptor = os.open(folder / ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return str(_owner(os.pread(descriptor, 1000, 0)) or "another process")
    finally:
        os.close(descriptor)
    return ""


def check_held(folder: Path) -> None:
    """Raise Lost where another start has taken over the lock that this process took; call it before writing.

    That takes a file system of several hosts on which flock ends at the host, and a network that was cut in two.
    """
    mine = _held.get(folder)
    if mine is None or not mine.shared:
        return
    now = (folder / ".lock").read_bytes() if (folder / ".lock").exists() else b""
    if now != mine.text:
        owner = _owner(now) or "somebody"
        raise Lost(f"{folder} has been taken over by {owner}: this job writes nothing more")


def release(folder: Path) -> None:
    """Take leave: the next start need not ask whether we are alive. Nothing where the lock is not ours."""
    mine = _held.pop(folder, None)
    if mine is not None:
        if os.pread(mine.descriptor, 1000, 0) == mine.text:
            os.ftruncate(mine.descriptor, 0)
        os.close(mine.descriptor)


def _owner(data: bytes) -> Owner | None:
    """Who wrote a lock file; None where it is empty or a kill left it torn."""
    try:
        fields: Any = parse_json(data)
        job = None if fields["job"] is None else printable(str(fields["job"]))
        return Owner(printable(str(fields["host"])), int(fields["pid"]), job)
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _alive(folder: Path, owner: Owner, state: Callable[[str], str | None]) -> str:
    """Why a holder that flock does not show must be believed to live; empty where it is gone."""
    if owner.host == socket.gethostname() or not shared(folder):
        return ""  # flock is the truth here
    if owner.job is None:
        return (
            f"{folder} was in use by {owner}, and from this host nobody can tell whether it still is: "
            f"remove {folder / '.lock'} once that process is gone"
        )
    if owner.job == slurm.job_id():
        return ""  # this job, requeued: Slurm starts it again when its former processes are gone
    try:
        found = state(owner.job)
    except slurm.SlurmError as error:
        return (
            f"{folder} was in use by {owner}, and Slurm does not say whether it still is ({error}): "
            f"remove {folder / '.lock'} once that job is gone"
        )
    return f"{folder} is in use by {owner} ({found}): one job a run folder" if found else ""
