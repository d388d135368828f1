"""``python -m nqs_hpc reproduce NAME``: run the sweep of a published result, and say how near it comes.

The points are those of an ordinary sweep in sweeps/NAME (`nqs_hpc.sweep`): the same command again starts what is left.
Then the table is printed, and reproduction.json and reproduction.md are written beside the points.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.config.admission import Answer
from nqs_hpc.config.commands import START, usage
from nqs_hpc.inputs.checks import InputError, nearest
from nqs_hpc.inputs.reading import harmless
from nqs_hpc.job import files
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.report.page import report
from nqs_hpc.reproduce.described import Reproduction, load, names, read_known
from nqs_hpc.reproduce.found import Compared, compare, points
from nqs_hpc.reproduce.table import OF_ALL, OF_ONE, aligned, as_plain, head_of, last_line, page_of, row_of, rows_of
from nqs_hpc.sweep.command import LAUNCHER, SETTINGS, sweep
from nqs_hpc.sweep.points import key_of

USAGE = f"{START} reproduce {usage('reproduce')}"
HELP = f"""{USAGE}

NAME       a published result that conf/reproduction has, or a YAML file like those
--list     all of them: what they are, what they cost, how near they came
--slurm    submit the points, with the resources that the reproduction names
--dry-run  print the scripts (with --slurm) or the commands of the points, and start nothing
--here     run on this machine what is meant for a cluster
--compare  only compare what sweeps/NAME has, and start nothing
KEY=VALUE  of resources, the launcher and the like; with any other key the result would be another one"""
OPTIONS = ("--list", "--slurm", "--dry-run", "--here", "--compare")
# What a start may be told without being of another result.
FREE = ("resources.", f"{SETTINGS}.", "memory_gib", "compile_cache", "max_seconds", "checkpoint.", "log.")


class _Request(NamedTuple):
    reproduction: Reproduction
    options: set[str]
    overrides: list[str]  # of the command line


def reproduce(words: list[str]) -> int:
    """What the command line asks for; the exit code: that of the sweep, whether or not the targets were reached."""
    if any(word in ("-h", "--help") for word in words):
        return _leave(Answer(DONE, HELP))
    try:
        if "--list" in words:
            return _leave(Answer(DONE, _list(words)))
        asked = _read(words)
        combined = points(asked.reproduction)  # raises for what is not valid, while nothing is made
        line = f"{head_of(asked.reproduction)}\n{len(combined)} points"
        if "--compare" in asked.options:
            return _told(asked.reproduction)
        if not asked.options & {"--slurm", "--here", "--dry-run"} and asked.reproduction.place == "cluster":
            name = asked.reproduction.name
            raise InputError(f"{name} is for a cluster; valid: {name} --slurm, or --here to run it on this machine")
    except InputError as error:
        return _leave(Answer(BAD_INPUT, str(error)))
    if "--dry-run" not in asked.options:
        print(harmless(line), flush=True)
    code, ran_in = sweep(sweep_words(asked.reproduction, asked.options, asked.overrides))
    if code == BAD_INPUT or "--dry-run" in asked.options:
        return code
    if ran_in is not None:
        report([str(ran_in)])
    return max(code, _told(asked.reproduction, silent=ran_in is None))


def sweep_words(reproduction: Reproduction, options: set[str], overrides: list[str]) -> list[str]:
    """The command line of the sweep; of a key that is there twice the later one is taken."""
    own = [*reproduction.sweep]
    if "--slurm" in options:
        own += [*reproduction.cluster, f"{LAUNCHER}=slurm"]
    if "--dry-run" in options:
        own.append(f"{SETTINGS}.dry_run=true")
    by_key = {key_of(word): word for word in (*own, *overrides)}
    return ["-m", f"study={reproduction.name}", *by_key.values()]


def _read(words: list[str]) -> _Request:
    """Raises InputError."""
    if flags := [word for word in words if word.startswith("-") and word not in OPTIONS]:
        raise InputError(f"{flags[0]} is not an option of reproduce; {nearest(flags[0], OPTIONS)}valid: {USAGE}")
    rest = [word for word in words if not word.startswith("-")]
    named = [word for word in rest if "=" not in word]
    if len(named) != 1:
        raise InputError(f"reproduce takes one name, not {len(named)}; valid: {', '.join(names())}")
    options, overrides = set(words) - set(rest), [word for word in rest if "=" in word]
    for word in overrides:
        if not key_of(word).startswith(FREE):
            others = "a variation is a sweep of its own, python -m nqs_hpc -m study=NAME"
            raise InputError(f"{word} would be another result; valid: {', '.join(FREE)}; {others}")
    for one, other in (("--slurm", "--here"), ("--compare", "--slurm"), ("--compare", "--dry-run")):
        if {one, other} <= options:
            raise InputError(f"{one} {other} is not valid; valid: one of them")
    return _Request(load(named[0]), options, overrides)


def _list(words: list[str]) -> str:
    if others := [word for word in words if word != "--list"]:
        raise InputError(f"--list {others[0]} is not valid; valid: --list alone")
    return aligned(OF_ALL, [row_of(read_known(one)) for one in names()])


def _told(reproduction: Reproduction, *, silent: bool = False) -> int:
    """Print and write how near the study comes; the exit code. ``silent``: where nothing of it was run."""
    folder = Path.cwd() / "sweeps" / reproduction.name
    compared = compare(reproduction, folder)
    if silent and all(one.ours is None for one in compared.outcomes):
        return DONE
    table = rows_of(compared.outcomes)
    last = last_line(reproduction, compared)
    print("\n" + harmless(f"{head_of(reproduction)}\n\n{aligned(OF_ONE, table)}\n\n{last}"), flush=True)
    if folder.is_dir():
        try:
            _write(reproduction, compared, folder, f"{page_of(compared.outcomes)}\n\n{last}\n")
        except OSError as error:
            return _leave(Answer(FAULT, f"reproduction.json cannot be written: {files.said(error)}"))
    return DONE


def _write(reproduction: Reproduction, compared: Compared, folder: Path, table: str) -> None:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    files.write_json(folder / "reproduction.json", as_plain(reproduction, compared, today, machine()))
    title, rest = head_of(reproduction).split("\n")
    files.write(folder / "reproduction.md", f"# {title}\n\n{rest}\n\n{table}")


def machine() -> str:
    """The processor of this machine and how many cores it has."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:  # another system
        pass
    return f"{model}, {os.cpu_count()} cores"


def _leave(left: Answer) -> int:
    print(harmless(left.line), file=sys.stdout if left.code == DONE else sys.stderr, flush=True)
    return left.code
