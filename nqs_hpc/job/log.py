"""metrics.jsonl: one JSON object for each step, each step exactly once even if the run was killed.

A line reaches the operating system by one write, so a killed process leaves at most one incomplete line. ``sync``
before a checkpoint makes the lines survive a power cut if the checkpoint does; ``cut`` at a restart removes lines after
the checkpoint. Floats keep every bit, NaN and infinities become null.

All readers of these files use this module: ``read`` returns all lines or evenly chosen ones, ``newest`` only the last
ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.plain import plain
from nqs_hpc.job.files import check_held, named, open_to_append, sync_folder, write
from nqs_hpc.job.tails import tail

NEWEST_BYTES = 8192  # a dozen steps
MORE_BYTES = 16 * NEWEST_BYTES


class Log(NamedTuple):
    """An open metrics.jsonl, or another record of the steps; only rank 0 has it."""

    append: Callable[[dict[str, Any]], None]  # one line, flushed to the operating system
    sync: Callable[[], None]  # all lines so far are on the disk; call it before a checkpoint is written
    close: Callable[[], None]


class Appender(NamedTuple):
    """A file open for appending; its errors name it. lock.Lost if its folder no longer belongs to this process."""

    write: Callable[[bytes], None]  # flushed to the operating system
    sync: Callable[[], None]
    close: Callable[[], None]


class Cut(NamedTuple):
    """What ``cut`` removed and did not find."""

    n_cut: int  # lines removed, broken ones included
    missing: bool  # whether a step up to the cut has no line


def log(path: Path) -> Log:
    """Open ``path`` for appending; it is created if it does not exist."""
    file = appender(path)

    def append(line: dict[str, Any]) -> None:
        file.write(json.dumps(plain(line), allow_nan=False).encode() + b"\n")

    return Log(append, file.sync, file.close)


def both(first: Log, second: Log) -> Log:
    """A log that writes to two others, the first one first."""

    def append(line: dict[str, Any]) -> None:
        first.append(line)
        second.append(line)

    def sync() -> None:
        first.sync()
        second.sync()

    def close() -> None:
        first.close()
        second.close()

    return Log(append, sync, close)


def appender(path: Path) -> Appender:
    """Open ``path`` for appending bytes; it is created if it does not exist."""
    descriptor = open_to_append(path)
    sync_folder(path.parent)

    def append(content: bytes) -> None:
        check_held(path.parent)
        data = memoryview(content)
        try:
            while data:  # the system may write only a part when the disk is nearly full
                data = data[os.write(descriptor, data) :]
        except OSError as error:
            raise named(error, path) from None

    def sync() -> None:
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise named(error, path) from None

    def close() -> None:
        with suppress(OSError):  # some file systems report errors late: everything that matters has been synced before
            os.close(descriptor)

    return Appender(append, sync, close)


def cut(path: Path, step: int) -> Cut:
    """Keep one intact line for each step 1..``step``, in order, and remove the rest, atomically. No log may be open.

    If a step has several lines, the first is kept. A missing file has no lines.
    """
    content = _content(path)
    kept: list[bytes] = []
    last = n_lines = 0
    for text in reading.lines(content):
        n_lines += 1
        line = _parse(text)
        if line is not None and last < line["step"] <= step:
            last = line["step"]
            kept.append(text)
    if content and (len(kept) < n_lines or not content.endswith(b"\n")):
        write(path, b"".join(text + b"\n" for text in kept))
    return Cut(n_lines - len(kept), len(kept) < step)


def read(path: Path, at_most: int | None = None) -> list[dict[str, Any]]:
    """The intact lines of ``path``, in the order of the file; none if it does not exist.

    With ``at_most``, at most so many of them, chosen evenly; the others are not parsed.
    """
    content = _content(path)
    texts = reading.lines(content)
    if at_most is not None:
        n_lines = content.count(b"\n") + (not content.endswith(b"\n"))
        chosen = _evenly(n_lines if content else 0, at_most)
        texts = (text for i, text in enumerate(texts) if i in chosen)
    return [line for line in map(_parse, texts) if line is not None]


def newest(path: Path) -> list[dict[str, Any]]:
    """The last intact lines of ``path``, about a dozen, oldest first; none if it does not exist.

    If lines are so long that two do not fit, as in a run of many couplings, a larger part of the file is read.
    """
    # a line that begins before this part does not parse, like one that a kill cut short
    found = [line for line in map(_parse, tail(path, NEWEST_BYTES)) if line is not None]
    return found if len(found) > 1 else [line for line in map(_parse, tail(path, MORE_BYTES)) if line is not None]


def last(path: Path) -> dict[str, Any] | None:
    """The last intact line of ``path``; None if there is none."""
    lines = read(path)
    return lines[-1] if lines else None


def _evenly(n: int, at_most: int) -> set[int]:
    """The numbers 0 to ``n`` - 1, or ``at_most`` of them with the first and the last."""
    if n <= at_most or at_most < 2:
        return set(range(n))
    return {i * (n - 1) // (at_most - 1) for i in range(at_most)}


def _content(path: Path) -> bytes:
    """The whole file; empty if it does not exist. Raises reading.Unfit if it is not a file of lines."""
    try:
        return reading.data(path, reading.METRICS)
    except FileNotFoundError:
        return b""


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        line = reading.parse_json(text)
    except ValueError:
        return None
    step = line.get("step") if isinstance(line, dict) else None
    return line if type(step) is int and 0 <= step < 2**63 else None
