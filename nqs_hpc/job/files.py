"""Files that are whole or not there: atomic writes, JSON, leftovers of killed writers.

A file is written as ``.NAME.HOST.PID.tmp`` beside its goal, flushed to the disk and renamed; the folder is flushed too,
so after a kill or a power cut a reader finds the old content or the new one, never a mixture.

A folder may be moved, and another put in its place, at any moment. So everything is written relative to an open
descriptor of the folder, and one that this process holds (job/lock.py) is asked before each write whether it still is
what its path says. Links are not followed below it: what they name is not ours.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.plain import plain
from nqs_hpc.parallel.world import World

T = TypeVar("T")

STALE_SECONDS = 3600.0  # a temporary file untouched this long has no living writer on any host
# What a run or a sweep keeps below its folder: folders and regular files of its own. The folder itself may be a link.
FOLDERS = ("checkpoints", "tensorboard", "mlruns", "report", "logs")
FILES = (
    *(".launch.lock", ".lock", ".submit", "DONE", "config.yaml", "energy.pdf", "energy.png", "energy.svg"),
    *("job.sbatch", "manifest.json", "metrics.jsonl", "observables.h5", "reference.json", "summary.json"),
    *(f"{picture}.{kind}" for picture in ("observables", "trajectory") for kind in ("pdf", "png", "svg")),
)
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

# Folders that this process holds: what raises where one is no longer what its path says, else returns its descriptor.
_held: dict[Path, Callable[[], int]] = {}
_own: set[Path] = set()  # folders that `subfolder` made or found to be no link


def hold(folder: Path, still_ours: Callable[[], int]) -> None:
    """From now on ask ``still_ours`` before each write in ``folder``, for the descriptor to write through."""
    _held[folder] = still_ours


def let_go(folder: Path) -> None:
    """Undo `hold`."""
    _held.pop(folder, None)


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of ``folder`` for writing in it. Raises what `hold` was told to; OSError, also for a link below it.

    Everything that this package writes, renames or removes in the folder of a run goes through here.
    """
    if folder in _held:
        yield _held[folder]()
        return
    below = folder.parent in _held
    holder = next((place for place in folder.parents if place in _held), None)
    if holder is not None and not below:
        with _deep(holder, folder) as descriptor:
            yield descriptor
        return
    flags = _FOLDER | (os.O_NOFOLLOW if folder in _own or (below and folder.name in FOLDERS) else 0)
    try:
        place = _held[folder.parent]() if below else None
        descriptor = os.open(folder.name if below else folder, flags, dir_fd=place)
    except NotADirectoryError as error:
        raise OSError(error.errno, f"it is {_kind(folder)}, not a folder of its own", str(folder)) from None
    except OSError as error:
        raise named(error, folder) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _deep(holder: Path, folder: Path) -> Iterator[int]:
    """A descriptor of a folder further down in one that is held, reached through no link."""
    opened: list[int] = []
    place = _held[holder]()
    try:
        for part in folder.relative_to(holder).parts:
            try:
                place = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=place)
            except NotADirectoryError as error:
                raise OSError(error.errno, "a link or a file stands in place of a folder", str(folder)) from None
            except OSError as error:
                raise named(error, folder) from None
            opened.append(place)
        yield place
    finally:
        for descriptor in opened:
            os.close(descriptor)


def check_held(folder: Path) -> None:
    """Raise job.lock.Lost where ``folder``, or one that it is in, is held and no longer what its path says."""
    for place in (folder, *folder.parents):
        if place in _held:
            _held[place]()
            return


def subfolder(folder: Path) -> Path:
    """Make ``folder``, whose parent is there, unless it is there already; OSError where that is a link or no folder."""
    with opened(folder.parent) as parent:
        with suppress(FileExistsError):
            os.mkdir(folder.name, dir_fd=parent)
            os.fsync(parent)
        found = os.stat(folder.name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.ENOTDIR, f"it is {kind(found.st_mode)}, not a folder of its own", str(folder))
    _own.add(folder)
    return folder


def check_places(folder: Path) -> None:
    """Raise ValueError, one line, where something else stands in place of the files and folders that we keep there.

    Asked before anything is read or made: a FIFO would keep its reader waiting, a link lead to somebody else's files.
    """
    for name in (*FILES, *FOLDERS):
        try:
            mode = os.lstat(folder / name).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not (stat.S_ISDIR(mode) if name in FOLDERS else stat.S_ISREG(mode)):
            wanted = "folder" if name in FOLDERS else "file"
            raise ValueError(f"{folder / name} is {kind(mode)}, where a {wanted} of its own belongs: move it away")


def kind(mode: int) -> str:
    """What ``st_mode`` says a file is, in words."""
    return KINDS.get(stat.S_IFMT(mode), "a file")


def _kind(path: Path) -> str:
    try:
        return kind(os.lstat(path).st_mode)
    except OSError:
        return "something else"


def write(path: Path, data: bytes | str, *, durable: bool = True) -> None:
    """Put ``data`` (text as UTF-8) at ``path``, atomically and durably; raises OSError and leaves the old file.

    ``durable=False``: not waiting for the disk, for one of many files that are made again where a power cut took them.
    """
    temporary = f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp"
    with opened(path.parent) as place:
        try:
            with open(_fresh(temporary, place), "wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            os.replace(temporary, path.name, src_dir_fd=place, dst_dir_fd=place)
        except BaseException as error:
            with suppress(OSError):  # on a disk that has become read-only it stays, and `clean` removes it later
                os.unlink(temporary, dir_fd=place)
            if isinstance(error, OSError):
                raise named(error, path) from None
            raise
        if durable:
            os.fsync(place)


def _fresh(name: str, place: int) -> int:
    """A descriptor of a new file. One of this name is left from a process of our number, or a trap: it is removed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, 0o666, dir_fd=place)
    except FileExistsError:
        os.unlink(name, dir_fd=place)
        return os.open(name, flags, 0o666, dir_fd=place)


def open_to_append(path: Path) -> int:
    """A descriptor of ``path`` for appending, created if it does not exist; OSError if it is not a regular file."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with opened(path.parent) as place:
        descriptor = open_regular(path, flags, place)
    if os.fstat(descriptor).st_nlink == 1:
        return descriptor
    # the file of another run as well, copied by hard links: what is added here is not to be in that one
    os.close(descriptor)
    write(path, reading.data(path, reading.METRICS))
    with opened(path.parent) as place:
        return open_regular(path, flags, place)


def open_regular(path: Path, flags: int, place: int) -> int:
    """A descriptor of the file ``path`` in the open folder ``place``; OSError, in words, if it is not a regular file.

    ``flags`` hold O_NOFOLLOW, and O_NONBLOCK, without which a FIFO keeps waiting who opens it.
    """
    try:
        descriptor = os.open(path.name, flags, 0o666, dir_fd=place)
    except OSError as error:
        with suppress(FileNotFoundError):
            mode = os.stat(path.name, dir_fd=place, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                raise _not_regular(path, mode) from None
        raise named(error, path) from None
    if not stat.S_ISREG(mode := os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path, mode)
    return descriptor


def _not_regular(path: Path, mode: int) -> OSError:
    return OSError(errno.EINVAL, f"it is {kind(mode)}, not a file of its own", str(path))


def remove(path: Path) -> None:
    """Remove the file ``path`` if it is there; raises OSError."""
    with opened(path.parent) as place:
        try:
            os.unlink(path.name, dir_fd=place)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise named(error, path) from None


def named(error: OSError, path: Path) -> OSError:
    """The same error with the file a user knows: system calls on an open file name none."""
    return type(error)(error.errno, error.strerror, str(path))


def sync_folder(folder: Path) -> None:
    """Make new, renamed and removed names of ``folder`` survive a power cut."""
    with opened(folder) as descriptor:
        os.fsync(descriptor)


def clean_all(folder: Path) -> None:
    """`clean` for the folder of a run and those in it that are written to in parts."""
    below = [Path(place) for place, _, _ in os.walk(folder / "mlruns")]
    for place in (folder, folder / "checkpoints", folder / "tensorboard", *below):
        if place.is_dir():
            clean(place)


def clean(folder: Path) -> list[str]:
    """Remove what is `stale` in ``folder``; return the names. To be called before the first write."""
    removed = []
    for name in stale(folder):
        with suppress(OSError):  # a folder of such a name is nobody's leftover
            remove(folder / name)
            removed.append(name)
    return removed


def stale(folder: Path) -> list[str]:
    """Temporary files ``.NAME.HOST.PID.tmp`` of dead writers in ``folder``.

    A writer is dead if its process is gone from this host, or if the file has not been touched for an hour. Files under
    this process's own number are leftovers of a former holder of it.
    """
    found = []
    with opened(folder) as place:
        for name in sorted(os.listdir(place)):
            words = name.rsplit(".", 2)
            if not (name.startswith(".") and len(words) == 3 and words[1].isdigit() and words[2] == "tmp"):
                continue
            with suppress(OSError, ValueError, OverflowError):  # a writer may have finished meanwhile
                here = words[0].endswith(f".{socket.gethostname()}")
                touched = os.stat(name, dir_fd=place, follow_symlinks=False).st_mtime
                if (here and not _alive(int(words[1]))) or time.time() - touched > STALE_SECONDS:
                    found.append(name)
    return found


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


def said(error: Exception) -> str:
    """What went wrong, with the file that an OSError names in front; one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


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
        with suppress(OSError):  # not empty: somebody uses it
            place.rmdir()


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
    try:  # some exceptions pickle but cannot be made again, which would kill the receiving ranks alone
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
