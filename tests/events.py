"""A reader of TensorBoard's event files by the description of their format, without the code that writes them.

https://www.tensorflow.org/tutorials/load_data/tfrecord has the records, event.proto and summary.proto the messages.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple


class Event(NamedTuple):
    wall_time: float
    step: int
    version: str
    scalars: dict[str, float]


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_events(folder: Path) -> list[Event]:
    """All events of a folder's files; every checksum must be right and every file end with a whole record."""
    found = []
    for path in sorted(folder.glob("*tfevents*")):
        raw, start = path.read_bytes(), 0
        while start < len(raw):
            length, check = struct.unpack_from("<QI", raw, start)
            data = raw[start + 12 : start + 12 + length]
            assert check == masked(raw[start : start + 8])
            assert struct.unpack_from("<I", raw, start + 12 + length)[0] == masked(data)
            found.append(event(data))
            start += 16 + length
    return found


def event(data: bytes) -> Event:
    fields = dict(messages(data))
    scalars = {}
    for number, value in messages(fields.get(5, b"")):
        assert number == 1
        parts = dict(messages(value))
        scalars[parts[1].decode()] = parts[2]
    return Event(fields.get(1, 0.0), fields.get(2, 0), fields.get(3, b"").decode(), scalars)


def messages(data: bytes):
    """(field number, value) of a protocol buffer: ints, doubles, floats, bytes."""

    def varint(start: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = data[start]
            value, shift, start = value | (byte & 127) << shift, shift + 7, start + 1
            if byte < 128:
                return value, start

    start = 0
    while start < len(data):
        tag, start = varint(start)
        match tag & 7:
            case 0:
                value, start = varint(start)
            case 1:
                value, start = struct.unpack_from("<d", data, start)[0], start + 8
            case 2:
                length, start = varint(start)
                value, start = data[start : start + length], start + length
            case 5:
                value, start = struct.unpack_from("<f", data, start)[0], start + 4
        yield tag >> 3, value
