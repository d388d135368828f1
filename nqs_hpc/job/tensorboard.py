"""RUN/tensorboard: a copy of the numbers of metrics.jsonl as an event file, which TensorBoard draws while a job runs.

Each step appends one record by one write, and restarts cut the file like metrics.jsonl, so it holds each step exactly
once even if the run was killed. The writers of TensorBoard and tensorboardX keep events in a queue of another thread: a
kill would lose steps that a checkpoint contains, and a full disk would end the thread without a message. We use only
the format of tensorboardX: the messages, and the checksum of a record.

A record is its length (8 bytes, little endian), the checksum of these (4), an Event, and the checksum of that (4).
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nqs_hpc.inputs import reading
from nqs_hpc.job import log
from nqs_hpc.job.files import subfolder, write

NAME = "events.out.tfevents.nqs_hpc"  # TensorBoard reads files with tfevents in their name
HEAD, TAIL = struct.Struct("<QI"), struct.Struct("<I")


def board(folder: Path) -> log.Log:
    """The event file of the run in ``folder``, open for appending; call `match` before.

    All numbers of a line except its step become scalars with the names of metrics.jsonl; null ones are left out.
    """
    file = log.appender(folder / "tensorboard" / NAME)
    return log.Log(lambda line: file.write(_step_record(line, time.time())), file.sync, file.close)


def match(folder: Path) -> None:
    """Give the event file exactly the steps of metrics.jsonl, atomically. Call it before `board`.

    Broken events and those of later steps, left by a start that was killed, are removed. If steps are missing, because
    the file is new or a power cut took its end, it is written again from metrics.jsonl with the present time.
    """
    path = subfolder(folder / "tensorboard") / NAME
    lines = log.read(folder / "metrics.jsonl")
    steps = {line["step"] for line in lines}
    try:
        raw = reading.data(path, reading.METRICS)
    except FileNotFoundError:
        raw = b""
    kept: dict[int, bytes] = {}
    for step, record in _records(raw):
        if step in steps:
            kept.setdefault(step, record)
    records = [kept[step] for step in sorted(kept)]
    if len(kept) < len(steps):
        records = [_step_record(line, time.time()) for line in lines]
    if (content := _version_record() + b"".join(records)) != raw:
        write(path, content)


def _records(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The intact records of steps, each with its step, up to the first broken one."""
    from google.protobuf.message import DecodeError
    from tensorboardX.proto.event_pb2 import Event

    start = 0
    while start + HEAD.size <= len(raw):
        length, check = HEAD.unpack_from(raw, start)
        end = start + HEAD.size + length + TAIL.size
        if check != _checksum(raw[start : start + 8]) or end > len(raw):
            return
        data = raw[start + HEAD.size : end - TAIL.size]
        if TAIL.unpack_from(raw, end - TAIL.size)[0] != _checksum(data):
            return
        try:
            event = Event.FromString(data)
        except DecodeError:  # a correct checksum around something else
            return
        if event.HasField("summary"):
            yield event.step, raw[start:end]
        start = end


def _step_record(line: dict[str, Any], wall_time: float) -> bytes:
    """All numbers of one step, in one record."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary

    numbers = {name: x for name, value in line.items() if name != "step" and (x := _number(value)) is not None}
    values = [Summary.Value(tag=name, simple_value=x) for name, x in numbers.items()]
    return _record(Event(wall_time=wall_time, step=line["step"], summary=Summary(value=values)).SerializeToString())


def _number(value: Any) -> float | None:
    """The number if it can be drawn; None for null, infinite, or anything else."""
    if not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _version_record() -> bytes:
    """The first record of every event file; always the same bytes."""
    from tensorboardX.proto.event_pb2 import Event

    return _record(Event(wall_time=0.0, file_version="brain.Event:2").SerializeToString())


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + TAIL.pack(_checksum(length)) + data + TAIL.pack(_checksum(data))


def _checksum(data: bytes) -> int:
    from tensorboardX.record_writer import masked_crc32c

    return int(masked_crc32c(data))
