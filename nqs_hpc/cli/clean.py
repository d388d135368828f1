"""``python -m nqs_hpc clean DIR``: what can go in a run, a sweep or a folder of runs; ``--yes`` removes it.

Without ``--yes`` nothing is touched. With it each run is looked at again under its lock, which a job that works on it
holds, so neither a running job nor one that starts meanwhile loses anything. `job.clutter` says what can be removed.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.config.commands import START, usage
from nqs_hpc.inputs.reading import harmless
from nqs_hpc.job import clutter, files, lock, manifest
from nqs_hpc.job.clutter import Piece
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.parallel import compile_cache
from nqs_hpc.report.places import Place, RunFolders, find_runs
from nqs_hpc.report.words import read_words
from nqs_hpc.sweep.study import LOCK

NOT_SEEN = (
    "Runs in other folders are not seen: if one of them begins from a checkpoint listed here (init_from, task.run, "
    "task.below), a larger --keep keeps it"
)
KEEP = 2  # good checkpoints: if the newest is damaged, a start takes the one before it
HELP = f"""\
{START} clean {usage("clean")}

Without --yes it lists what can go, and removes nothing.

--yes        remove these files
--keep N     good checkpoints that stay, 1 or more; {KEEP}
--programs   compiled programs made more than a month ago as well, of all runs
--json       the same list as JSON"""


class Asked(NamedTuple):
    folder: str
    yes: bool
    keep: int
    programs: bool
    as_json: bool


class Cleaned(NamedTuple):
    """One run, the folder of a sweep, or that of compiled programs."""

    name: str
    folder: Path
    pieces: list[Piece]
    left: str = ""  # why it was left as it is
    troubles: tuple[str, ...] = ()  # what could not be removed, a line each


def clean(words: list[str]) -> int:
    """List or remove; the exit code: 0, 1 where a file could not be removed, 2 for bad input, told in one line."""
    if any(word in ("-h", "--help") for word in words):
        print(HELP)
        return DONE
    try:
        asked = _read(words)
        of = find_runs(asked.folder)
    except ValueError as error:
        print(harmless(str(error)), file=sys.stderr, flush=True)
        return BAD_INPUT
    told = [*_runs(of, asked), *_beside(of, asked), *_programs(asked)]
    print(_json(told, asked) if asked.as_json else harmless(_text(told, asked)), flush=True)
    return FAULT if any(one.troubles for one in told) else DONE


def _read(words: list[str]) -> Asked:
    folder, given, flags = read_words(
        words,
        "clean",
        f"{START} clean {usage('clean')}",
        with_value=("--keep",),
        flags=("--yes", "--programs", "--json"),
    )
    keep = given["--keep"][-1] if given["--keep"] else str(KEEP)
    if not (keep.isascii() and keep.isdigit() and int(keep[:9]) > 0):
        raise ValueError(f"--keep {keep} is not valid; valid: a whole number, at least 1")
    return Asked(folder, "--yes" in flags, int(keep[:9]), "--programs" in flags, "--json" in flags)


def _runs(of: RunFolders, asked: Asked) -> list[Cleaned]:
    beside = {path for place in of.places for path in _siblings(place.folder)}
    named = clutter.checkpoints_named_in(sorted(beside))
    return [_run(place, asked, named) for place in of.places if place.folder.is_dir()]


def _siblings(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in folder.resolve().parent.iterdir() if path.is_dir()]
    return []


def _run(place: Place, asked: Asked, named: set[tuple[str, str]]) -> Cleaned:
    folder = place.folder
    try:
        files.check_places(folder)
        if not manifest.starts(folder):
            return Cleaned(place.name, folder, [], "no run has started here")
        if not asked.yes:
            used = lock.why_used(folder)
            return Cleaned(place.name, folder, [] if used else _pieces(place, asked, named), used)
        there = os.path.lexists(folder / lock.NAME)
        if (reason := lock.lock(folder)) is not None:
            return Cleaned(place.name, folder, [], reason)
        try:
            return _removed(Cleaned(place.name, folder, _pieces(place, asked, named)))
        finally:
            if there:
                lock.release(folder)
            else:
                lock.withdraw(folder, [])
    except (OSError, ValueError, lock.Lost) as error:
        return Cleaned(place.name, folder, [], files.said(error) if isinstance(error, OSError) else str(error))


def _pieces(place: Place, asked: Asked, named: set[tuple[str, str]]) -> list[Piece]:
    return clutter.of_run(place.folder, asked.keep, named, _former_jobs(place))


def _removed(one: Cleaned) -> Cleaned:
    """Remove its pieces; name those that cannot be removed, and remove the rest."""
    gone, troubles = [], []
    for piece in one.pieces:
        try:
            files.remove(piece.path)
            gone.append(piece)
        except OSError as error:
            troubles.append(f"{piece.path} cannot be removed: {error.strerror}")
    return one._replace(pieces=gone, troubles=tuple(troubles))


def _beside(of: RunFolders, asked: Asked) -> list[Cleaned]:
    """What can go in the folder of a sweep itself."""
    if of.study is None:
        return []
    jobs = [job for place in of.places for job in _former_jobs(place)]
    try:
        if not asked.yes:
            return [Cleaned("the sweep", of.folder, clutter.of_sweep(of.folder, jobs))]
        with lock.alone(of.folder / LOCK, wait=False) as free:
            if not free:
                return [Cleaned("the sweep", of.folder, [], f"{of.folder} is being launched by another process")]
            return [_removed(Cleaned("the sweep", of.folder, clutter.of_sweep(of.folder, jobs)))]
    except OSError as error:
        return [Cleaned("the sweep", of.folder, [], files.said(error))]


def _former_jobs(place: Place) -> list[str]:
    """The jobs of Slurm in which a run was started, if it is finished; not the last one, which made the result."""
    if not (place.folder / "DONE").is_file():
        return []
    try:
        starts = manifest.starts(place.folder)
    except (OSError, ValueError):
        return []
    own = [job for one in starts if isinstance(job := one.get("slurm_job"), str)]
    last = {own[-1] if own else None, place.point.job if place.point else None}
    return [job for job in dict.fromkeys(own) if job not in last]


def _programs(asked: Asked) -> list[Cleaned]:
    if not asked.programs:
        return []
    try:
        kept = compile_cache.folder("auto")
        assert kept is not None  # only null means none
        found = Cleaned("compiled programs", kept, clutter.of_programs(kept))
        return [_removed(found) if asked.yes else found]
    except (OSError, ValueError) as error:
        return [Cleaned("compiled programs", Path(), [], str(error))]


def _text(told: list[Cleaned], asked: Asked) -> str:
    lines = []
    for one in told:
        if one.left:
            lines.append(f"{one.name}: left as it is: {one.left}")
        elif one.pieces or one.troubles:
            lines.append(f"{one.name}: {_sum(one.pieces)}")
            for piece in one.pieces:
                lines.append(f"  {piece.path.relative_to(one.folder)}  {_size(piece.n_bytes)}  {piece.why}")
        lines += [f"  {trouble}" for trouble in one.troubles]
    pieces = [piece for one in told for piece in one.pieces]
    if asked.yes:
        lines.append(f"{_sum(pieces)} removed")
    elif pieces:
        if any(piece.path.parent.name == "checkpoints" and piece.path.suffix == ".h5" for piece in pieces):
            lines.append(NOT_SEEN)
        lines.append(f"{_sum(pieces)} can go: the same command with --yes removes them")
    else:
        lines.append("nothing can go")
    return "\n".join(lines)


def _json(told: list[Cleaned], asked: Asked) -> str:
    runs: list[dict[str, Any]] = [
        {
            "name": one.name,
            "folder": str(one.folder),
            "left": one.left or None,
            "troubles": list(one.troubles),
            "files": [{"file": str(piece.path), "bytes": piece.n_bytes, "why": piece.why} for piece in one.pieces],
        }
        for one in told
    ]
    pieces = [piece for one in told for piece in one.pieces]
    total = {"removed": asked.yes, "n_files": len(pieces), "n_bytes": sum(piece.n_bytes for piece in pieces)}
    return json.dumps(total | {"places": runs}, indent=2)


def _sum(pieces: list[Piece]) -> str:
    return f"{len(pieces)} file{'' if len(pieces) == 1 else 's'}, {_size(sum(piece.n_bytes for piece in pieces))}"


def _size(n_bytes: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} bytes"
