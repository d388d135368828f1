"""One job per run folder: an advisory lock that lives exactly as long as the process that holds it.

The lock is flock on ``.lock``. The kernel releases it when its holder ends, so a kill or a power cut leaves none
behind. The file says who holds it: host, process and Slurm job. On a shared file system flock may not work across
hosts; there a holder on another host that did not release the lock counts as alive until Slurm no longer knows its job.
No lock expires.

A lock belongs to a file, not to a name: a folder can be moved while its job runs, and ``.lock`` can be removed. So
before each write a holder checks that the paths still lead to its folder and lock (`check_held`), and a process that
takes a lock checks that the locked file still has its name. If the file system allows it, the folder itself is locked
too: nobody can remove that lock.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.inputs.reading import parse_json, printable
from nqs_hpc.job import files, slurm
from nqs_hpc.job.files import named
from nqs_hpc.job.mounts import shared

NAME = ".lock"
NO_LOCKS = "its file system has no locks (flock): mount it with them, or choose a folder elsewhere"
_WITHOUT = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
LOOKS, LOOK_SECONDS = 10, 0.02  # a process that only checks whether a folder is in use holds its lock for a moment
_MOST_BYTES = 1000  # read from a lock file
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Not truncated before we have the lock, not through a link, and without blocking at a FIFO.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Held(NamedTuple):
    descriptor: int  # stays open until the process ends: its death releases the lock
    place: int  # the folder itself, likewise
    text: bytes  # what the file says while we hold it
    shared: bool  # whether another host could take the folder over behind flock's back


_held: dict[Path, _Held] = {}


class Lost(RuntimeError):
    """Another start has taken over the run folder; one line."""


class Owner(NamedTuple):
    """Who holds a lock."""

    host: str
    pid: int
    job: str | None  # of Slurm

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f", Slurm job {self.job}" if self.job else "")


def flock(descriptor: int, operation: int, path: Path) -> None:
    """`fcntl.flock`; if the file system of ``path`` has no locks, the OSError names it and says what to do."""
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(error.errno, NO_LOCKS if error.errno in _WITHOUT else error.strerror, str(path)) from None


def lock(folder: Path, *, state: Callable[[str], str | None] = slurm.state) -> str | None:
    """Take the lock of ``folder`` until this process ends; rank 0 calls it. None on success, else the reason why not.

    ``state`` gives the state of a Slurm job as ``slurm.state`` does. Raises OSError if the file system has no locks or
    if the lock file is not a regular file.
    """
    path = folder / NAME
    place = os.open(folder, _FOLDER)
    descriptor = None
    try:
        while True:
            descriptor = _locked(path, place) if _folder_is_free(place) else None
            if descriptor is None:
                return f"{folder} is in use by {_named_owner(place) or 'another process'}: one job a run folder"
            before = _owner(os.pread(descriptor, _MOST_BYTES, 0))
            if before is not None and (reason := _alive(folder, before, state)):
                return reason
            if os.fstat(descriptor).st_nlink == 1:
                break
            os.unlink(NAME, dir_fd=place)  # a hard link: the file also has another name, somebody else's
            os.close(descriptor)
            descriptor = None
        own = Owner(socket.gethostname(), os.getpid(), slurm.job_id())
        text = json.dumps(own._asdict()).encode() + b"\n"
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text, 0)
            os.fsync(descriptor)
        except OSError as error:
            raise named(error, path) from None
        _held[folder] = _Held(descriptor, place, text, shared(folder))

        def still_ours(place: int = place) -> int:
            check_held(folder)
            return place

        files.hold(folder, still_ours)
        return None
    finally:
        if folder not in _held or _held[folder].place != place:
            if descriptor is not None:
                os.close(descriptor)
            os.close(place)


@contextmanager
def alone(path: Path, *, wait: bool, guard: bool = False) -> Iterator[bool]:
    """Hold the lock of the file ``path``, which is made if missing; yields whether we have it.

    With ``wait`` this waits for the lock. With ``guard`` each write in its folder raises Lost if the paths no longer
    lead to folder and lock. Raises OSError if the file system has no locks, or ``path`` is not a regular file. Removing
    ``path`` within the block is safe: a process that waits for it checks again.
    """
    place = os.open(path.parent, _FOLDER)
    descriptor = None

    def still_ours() -> int:
        assert descriptor is not None
        _check(path, place, descriptor, "launch")
        return place

    try:
        descriptor = _locked(path, place, wait=wait)
        if guard and descriptor is not None:
            files.hold(path.parent, still_ours)
        yield descriptor is not None
    finally:
        if descriptor is not None:
            if guard:
                files.let_go(path.parent)
            os.close(descriptor)
        os.close(place)


def _locked(path: Path, place: int, *, wait: bool = False) -> int | None:
    """A descriptor of the file ``path`` in the open folder ``place``, locked; None where another process holds it."""
    while True:
        descriptor = files.open_regular(path, _FILE, place)
        try:
            if wait:
                flock(descriptor, fcntl.LOCK_EX, path)
            else:
                _patiently(descriptor, path)
            if _is(descriptor, path.name, place):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder removed it, and the next process would not find our lock: try again


def _patiently(descriptor: int, path: Path) -> None:
    """Lock, trying a few times; BlockingIOError if somebody holds the lock for longer than a check takes."""
    for left in range(LOOKS, -1, -1):
        try:
            return flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
        except BlockingIOError:
            if not left:
                raise
            time.sleep(LOOK_SECONDS)


def _is(descriptor: int, name: str, place: int) -> bool:
    """Whether the open file is the one called ``name`` in the open folder ``place``."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(name, dir_fd=place, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _folder_is_free(place: int) -> bool:
    """Lock the open folder itself; False if another process has. True if the file system cannot lock folders."""
    try:
        _patiently(place, Path())
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def in_use(folder: Path) -> str:
    """Who holds the lock of ``folder`` right now, as flock shows it on this host; empty if nobody does.

    Takes nothing and makes nothing. Raises OSError where the file system has no locks.
    """
    try:
        place = os.open(folder, _FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    descriptor, look = None, fcntl.LOCK_SH | fcntl.LOCK_NB
    try:
        with suppress(OSError):  # missing, or not a lock file: a start reports that
            descriptor = os.open(NAME, _READ, dir_fd=place)
        if descriptor is not None:
            flock(descriptor, look, folder / NAME)
        try:
            fcntl.flock(place, look)
        except BlockingIOError:
            raise
        except OSError:
            pass  # some file systems do not lock folders
    except BlockingIOError:
        return str(_named_owner(place) or "another process")
    finally:
        if descriptor is not None:
            os.close(descriptor)
        os.close(place)
    return ""


def why_used(folder: Path, *, state: Callable[[str], str | None] = slurm.state) -> str:
    """Why `lock` would refuse ``folder``, in one line; empty if it would not. Takes nothing. OSError as `in_use`."""
    if owner := in_use(folder):
        return f"{folder} is in use by {owner}"
    place = os.open(folder, _FOLDER)
    try:
        before = _named_owner(place)
    finally:
        os.close(place)
    return "" if before is None else _alive(folder, before, state)


def check_held(folder: Path) -> None:
    """Raise Lost if the path of ``folder``, which this process locked, or of its lock leads to something else.

    `files` calls it before each write. On a shared file system without flock across hosts another host may take over
    the lock after a network failure; then the content of the lock file says so.
    """
    mine = _held.get(folder)
    if mine is None:
        return
    _check(folder / NAME, mine.place, mine.descriptor, "job")
    if mine.shared and (text := _text(mine.place)) != mine.text:
        raise Lost(f"{folder} has been taken over by {_owner(text) or 'somebody'}: this job writes nothing more")


def _check(path: Path, place: int, descriptor: int, who: str) -> None:
    """Raise Lost unless ``path`` still leads to the open folder ``place`` and the lock file in it."""
    try:
        moved = not os.path.samestat(os.fstat(place), os.stat(path.parent))
    except (FileNotFoundError, NotADirectoryError):
        moved = True
    if moved:
        raise Lost(f"{path.parent} was moved or replaced{_now_at(place)}: this {who} writes nothing more")
    if not _is(descriptor, path.name, place):
        raise Lost(f"{path} was removed or replaced, so another {who} may have started: this one writes nothing more")


def _now_at(place: int) -> str:
    """Where an open folder is now, in words; empty if Linux does not say, or it is gone."""
    try:
        path = os.readlink(f"/proc/self/fd/{place}")
    except OSError:
        return ""
    return "" if path.endswith(" (deleted)") else f" (it is {path} now)"


def release(folder: Path) -> None:
    """Release the lock, so that the next start need not check whether we are alive. No effect if it is not ours."""
    mine = _held.pop(folder, None)
    files.let_go(folder)
    if mine is not None:
        with suppress(OSError):  # a read-only disk, say: the lock ends with this process anyway
            if os.pread(mine.descriptor, _MOST_BYTES, 0) == mine.text:
                os.ftruncate(mine.descriptor, 0)
        os.close(mine.descriptor)
        os.close(mine.place)


def withdraw(folder: Path, made: list[Path]) -> None:
    """Undo what a start made that ended early: ``.lock``, and the folders ``made`` that are empty.

    We hold the lock meanwhile: a process that has just opened the file finds that it lost its name, and tries again.
    """
    with suppress(OSError, Lost):
        files.remove(folder / NAME)
        files.let_go(folder)
        files.unmake(made)
    release(folder)


def _text(place: int) -> bytes:
    """What the lock file in an open folder says; empty if there is none or it is not a regular file."""
    try:
        descriptor = os.open(NAME, _READ, dir_fd=place)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, _MOST_BYTES, 0)
    except OSError:  # a FIFO, a folder
        return b""
    finally:
        os.close(descriptor)


def _named_owner(place: int) -> Owner | None:
    return _owner(_text(place))


def _owner(data: bytes) -> Owner | None:
    """Who wrote a lock file; None if it is empty or incomplete after a kill."""
    try:
        fields: Any = parse_json(data)
        job = None if fields["job"] is None else printable(str(fields["job"]))
        return Owner(printable(str(fields["host"])), int(fields["pid"]), job)
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _alive(folder: Path, owner: Owner, state: Callable[[str], str | None]) -> str:
    """Why a holder that flock does not show counts as alive; empty if it is gone."""
    if owner.host == socket.gethostname() or not shared(folder):
        return ""  # flock is reliable here
    if owner.job is None:
        return (
            f"{folder} was in use by {owner}, and from this host nobody can tell whether it still is: "
            f"remove {folder / '.lock'} once that process is gone"
        )
    if owner.job == slurm.job_id():
        return ""  # this job, requeued: Slurm restarts it only when its former processes are gone
    try:
        found = state(owner.job)
    except slurm.SlurmError as error:
        return (
            f"{folder} was in use by {owner}, and Slurm does not say whether it still is ({error}): "
            f"remove {folder / '.lock'} once that job is gone"
        )
    return f"{folder} is in use by {owner} ({found}): one job a run folder" if found else ""
