"""Files that are whole or not there: atomic writes, JSON, leftovers of killed writers.

A file is written as ``.NAME.HOST.PID.tmp`` beside its goal, flushed to the disk and renamed; the folder is flushed too,
so after a kill or a power cut a reader finds the old content or the new one, never a mixture.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from nqs_hpc import reading
from nqs_hpc.parallel.world import World

T = TypeVar("T")

STALE_SECONDS = 3600.0  # a temporary file untouched this long has no writer, wherever that ran


def write(path: Path, data: bytes | str) -> None:
    """Put ``data`` (text as UTF-8) at ``path``, atomically and durably; raises OSError and leaves the old file."""
    temporary = path.parent / f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # on a disk that has become read-only it stays, and `clean` takes it away later
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise named(error, path) from None
        raise
    sync_folder(path.parent)


def named(error: OSError, path: Path) -> OSError:
    """The same error with the file a user knows: system calls on an open file name none."""
    return type(error)(error.errno, error.strerror, str(path))


def sync_folder(folder: Path) -> None:
    """Make new, renamed and removed names of ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clean(folder: Path) -> list[str]:
    """Remove temporary files ``.NAME.HOST.PID.tmp`` of dead writers from ``folder``; return their names.

    A writer is dead if its process is gone from this host, or if the file has not been touched for an hour. Files under
    this process's own number are leftovers of a former holder of it: call this before the first write.
    """
    removed = []
    for path in sorted(folder.glob(".*.*.tmp")):
        owner, pid = path.name.rsplit(".", 2)[:2]
        if not pid.isdigit():
            continue
        try:
            here = owner.endswith(f".{socket.gethostname()}")
            if (here and not _alive(int(pid))) or time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()
                removed.append(path.name)
        except FileNotFoundError:  # its writer finished or another start removed it
            continue
    return removed


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def why(error: Exception) -> str:
    """What kept a run from going on, in one line."""
    if isinstance(error, reading.Unfit):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be written: {error.strerror}; the checkpoints so far are intact"
    return str(error)


def make(folder: Path) -> list[Path]:
    """Make ``folder`` and the parents it lacks; returns what was made, outermost first."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def unmake(made: list[Path]) -> None:
    """Remove those of the folders that ``make`` made which are empty."""
    for place in reversed(made):
        with suppress(OSError):  # not empty: it has become somebody's
            place.rmdir()


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: arrays and their scalars become lists and numbers, NaN and infinities None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def write_json(path: Path, value: Any) -> None:
    """Write ``plain(value)`` atomically, indented; floats keep every bit."""
    write(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file; reading.Unfit in one line if it is broken, FileNotFoundError if it is missing."""
    raw = reading.data(path, reading.SETTINGS)
    try:
        return reading.parse_json(raw)
    except ValueError as error:
        raise reading.unfit(path, f"is not valid JSON: {error}") from None


def on_root(world: World, act: Callable[[], T]) -> T:
    """What ``act()`` returns on rank 0, on every rank; collective. What it raises there is raised on every rank."""
    if world.rank > 0:
        good, value = world.bcast(None)
        if good:
            return value
        raise _marked(value)
    try:
        value = act()
    except Exception as error:
        world.bcast((False, _portable(error)))
        raise _marked(error)  # noqa: B904 - it is the same exception
    world.bcast((True, value))
    return value


def on_all_ranks(error: BaseException) -> bool:
    """Whether every rank holds this exception, so that all can leave in order."""
    return getattr(error, _MARK, False)


_MARK = "_nqs_hpc_on_all_ranks"


def _marked(error: Exception) -> Exception:
    setattr(error, _MARK, True)
    return error


def _portable(error: Exception) -> Exception:
    try:  # some exceptions pickle but cannot be made anew, which would kill the receiving ranks alone
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
