"""Files that are complete or absent: atomic writes, JSON, leftovers of killed writers.

A file is written as ``.NAME.HOST.PID.tmp`` beside its target, flushed to the disk and renamed; the folder is flushed
too, so after a kill or a power cut a reader finds the old content or the new one, never a mixture.

A folder may be moved, and another put in its place, at any moment. So everything is written relative to an open
descriptor of the folder. Before each write into a folder that this process holds (job/lock.py) we check that its path
still leads to it. Links below it are not followed: what they name is not ours.
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
# What a run or a sweep keeps in its folder: its own folders and regular files. The folder itself may be a link.
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

# For each folder that this process holds, a function that returns its descriptor and raises if its path no longer leads
# to it.
_held: dict[Path, Callable[[], int]] = {}
_own: set[Path] = set()  # folders that `subfolder` made or found to be no link


def hold(folder: Path, still_ours: Callable[[], int]) -> None:
    """From now on call ``still_ours`` before each write in ``folder``; it returns the descriptor to write through."""
    _held[folder] = still_ours


def let_go(folder: Path) -> None:
    """Undo `hold`."""
    _held.pop(folder, None)


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of ``folder`` for writing in it. Raises what ``still_ours`` of `hold` raises; OSError, also for a
    link.

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
    """A descriptor of a folder inside a held one, opened without following links."""
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
    """Raise job.lock.Lost if ``folder`` or a parent is held and its path no longer leads to it."""
    for place in (folder, *folder.parents):
        if place in _held:
            _held[place]()
            return


def subfolder(folder: Path) -> Path:
    """Make ``folder``, whose parent exists, unless it exists; OSError if it is a link or not a folder."""
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
    """Raise ValueError, one line, if something else has the name of a file or folder that we keep there.

    Called before anything is read or made: a FIFO would block its reader, a link lead to somebody else's files.
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

    ``durable=False`` does not wait for the disk: for one of many files that are made again if a power cut takes them.
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
            with suppress(OSError):  # if the disk has become read-only the file stays, and `clean` removes it later
                os.unlink(temporary, dir_fd=place)
            if isinstance(error, OSError):
                raise named(error, path) from None
            raise
        if durable:
            os.fsync(place)


def _fresh(name: str, place: int) -> int:
    """A descriptor of a new file. An existing one, left by a process with our number or set as a trap, is removed."""
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
    # a copy made by hard links shares the file with another run, which must not get our lines
    os.close(descriptor)
    write(path, reading.data(path, reading.METRICS))
    with opened(path.parent) as place:
        return open_regular(path, flags, place)


def open_regular(path: Path, flags: int, place: int) -> int:
    """A descriptor of the file ``path`` in the open folder ``place``; OSError, in words, if it is not a regular file.

    ``flags`` include O_NOFOLLOW, and O_NONBLOCK because opening a FIFO would block without it.
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
    """The same error with the name of the file: errors of system calls on open files have none."""
    return type(error)(error.errno, error.strerror, str(path))


def sync_folder(folder: Path) -> None:
    """Make created, renamed and removed files in ``folder`` survive a power cut."""
    with opened(folder) as descriptor:
        os.fsync(descriptor)


def clean_all(folder: Path) -> None:
    """`clean` for the folder of a run and those of its subfolders that are written in parts."""
    below = [Path(place) for place, _, _ in os.walk(folder / "mlruns")]
    for place in (folder, folder / "checkpoints", folder / "tensorboard", *below):
        if place.is_dir():
            clean(place)


def clean(folder: Path) -> list[str]:
    """Remove what is `stale` in ``folder`` and return the names. Call it before the first write."""
    removed = []
    for name in stale(folder):
        with suppress(OSError):  # a folder with such a name is not a leftover
            remove(folder / name)
            removed.append(name)
    return removed


def stale(folder: Path) -> list[str]:
    """Temporary files ``.NAME.HOST.PID.tmp`` of dead writers in ``folder``.

    A writer is dead if its process is gone from this host, or if the file has not been touched for an hour. Files with
    the number of this process are left by an earlier process that had it.
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
    """What went wrong, in one line that begins with the file if an OSError names one."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def why(error: Exception) -> str:
    """Why a run could not continue, in one line."""
    if isinstance(error, reading.Unfit):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be written: {error.strerror}; the checkpoints so far are intact"
    return str(error)


def make(folder: Path) -> list[Path]:
    """Make ``folder`` and its missing parents; returns the folders made, outermost first."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def unmake(made: list[Path]) -> None:
    """Remove the empty ones among the folders that ``make`` made."""
    for place in reversed(made):
        with suppress(OSError):  # not empty: it is in use
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
    """Call ``act()`` on rank 0 and return its result, or raise its exception, on every rank; collective."""
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
    """Whether every rank has this exception, so that all can exit in order."""
    return getattr(error, _MARK, False)


_MARK = "_nqs_hpc_on_all_ranks"


def _marked(error: Exception) -> Exception:
    setattr(error, _MARK, True)
    return error


def _portable(error: Exception) -> Exception:
    try:  # some exceptions can be pickled but not unpickled, which would kill only the receiving ranks
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
