"""Files in the folder of a run or a sweep that are no longer needed, and why.

A restart needs the newest checkpoint with a correct checksum: the newest `keep` good ones stay, and everything newer.
What can go are older checkpoints, all but the newest logs of a finished run, temporary files of dead writers, and
compiled programs older than a month. Files of any other kind are unknown, so they stay.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.inputs import reading
from nqs_hpc.job import files
from nqs_hpc.job.checkpoint_file import Damaged, check, newest_first
from nqs_hpc.parallel.compile_cache import MONTH

NAMED = re.compile(rb"([^\s'\"/]+)/checkpoints/(step_\d{8,}\.h5)")  # a run's name and its checkpoint, in a path


class Piece(NamedTuple):
    """A file that can go."""

    path: Path
    n_bytes: int
    why: str


def of_run(folder: Path, keep: int, named: Collection[tuple[str, str]], jobs: Iterable[str]) -> list[Piece]:
    """What can go in the folder of a run that no process uses; the newest ``keep`` good checkpoints stay.

    ``named``: checkpoints that other runs name, as `checkpoints_named_in` finds them. ``jobs``: former Slurm jobs of
    the run, if it is finished. Raises OSError.
    """
    logs = [folder / f"slurm-{job}.log" for job in jobs if re.fullmatch(r"\d+", job)]
    why = "the log of a former job of this finished run"
    return [*_checkpoints(folder, keep, named), *_left_by_writes(folder, files.FOLDERS), *_regular(logs, why)]


def of_sweep(folder: Path, jobs: Iterable[str]) -> list[Piece]:
    """What can go beside the points of a sweep. ``jobs``: former Slurm jobs of points that are finished."""
    logs = [folder / "logs" / f"{job}.log" for job in jobs if re.fullmatch(r"\d+(_\d+)?", job)]
    return [
        *_left_by_writes(folder, ("report", "logs")),
        *_regular(logs, "the log of a former job of a finished point"),
    ]


def of_programs(kept: Path) -> list[Piece]:
    """Compiled programs made more than a month ago. A start that needs one compiles it again."""
    old = []
    for path in kept.glob("*-*/*-cache"):
        with suppress(OSError):  # a start may remove it meanwhile
            if re.fullmatch(r"[0-9a-f]{8}-\d+", path.parent.name) and time.time() - path.stat().st_mtime > MONTH:
                old.append(path)
    return list(_regular(sorted(old), "a program compiled more than a month ago"))


def checkpoints_named_in(folders: Iterable[Path]) -> set[tuple[str, str]]:
    """The checkpoints that the configurations of these runs name (init_from, task.run, …): (run, file)."""
    found: set[tuple[str, str]] = set()
    for folder in folders:
        with suppress(OSError):  # a run without a readable configuration names no checkpoint
            raw = reading.data(folder / "config.yaml", reading.SETTINGS)
            found |= {(os.fsdecode(run), os.fsdecode(name)) for run, name in NAMED.findall(raw)}
    return found


def _checkpoints(folder: Path, keep: int, named: Collection[tuple[str, str]]) -> Iterator[Piece]:
    if (folder / "checkpoints").is_symlink():
        return
    n_good = 0
    for path in newest_first(folder):
        if n_good < keep:
            with suppress(OSError, Damaged):  # a damaged one does not count, and stays
                check(path, reading.CHECKPOINT)
                n_good += 1
        elif (folder.resolve().name, path.name) not in named:
            which = "newest good one" if keep == 1 else f"{keep} newest good ones"
            yield from _regular([path], f"a checkpoint before the {which}")


def _left_by_writes(folder: Path, below: Iterable[str]) -> Iterator[Piece]:
    for place in (folder, *(folder / name for name in below)):
        if place.is_dir() and (place == folder or not place.is_symlink()):
            yield from _regular([place / name for name in files.stale(place)], "left by a write that was interrupted")


def _regular(paths: Iterable[Path], why: str) -> Iterator[Piece]:
    for path in paths:
        with suppress(FileNotFoundError):
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):
                yield Piece(path, status.st_size, why)
