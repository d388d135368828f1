"""The ends of growing files such as logs, without reading the rest."""

from __future__ import annotations

import os
from pathlib import Path

from nqs_hpc.inputs.reading import opened, printable

LOG_BYTES = 16384


def last_lines(path: Path, n: int) -> list[str]:
    """The last ``n`` lines of a log that are not empty, without control characters; none if it does not exist.

    Raises OSError if the log cannot be read.
    """
    # a bar uses carriage returns: what it showed last is the line
    shown = [raw.decode(errors="replace").rstrip("\r").rpartition("\r")[2] for raw in tail(path, LOG_BYTES)]
    return [line for line in map(printable, shown) if line][-n:]


def tail(path: Path, n_bytes: int) -> list[bytes]:
    """The lines in the last ``n_bytes`` of a file, the first perhaps incomplete; none if it does not exist."""
    try:
        with opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - n_bytes))
            return file.read(n_bytes).split(b"\n")
    except FileNotFoundError:
        return []
