"""The ends of files that grow, the newest lines of a log or of metrics.jsonl, without reading the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nqs_hpc.inputs.reading import opened, parse_json
from nqs_hpc.report.values import clean, count

METRICS_BYTES = 8192  # a dozen steps
LOG_BYTES = 16384


def last_steps(path: Path) -> list[dict[str, Any]]:
    """The newest intact lines of a metrics.jsonl, oldest first; none where it does not exist. Raises OSError."""
    found = []
    for raw in _tail(path, METRICS_BYTES):
        try:
            line = parse_json(raw)
        except ValueError:  # cut short by a kill, or by the place where the tail begins
            continue
        if isinstance(line, dict) and count(line.get("step")) is not None:
            found.append(line)
    return found


def last_lines(path: Path, n: int) -> list[str]:
    """The last ``n`` lines of a log that say anything, fit to be printed. Raises OSError."""
    # a bar moves by carriage returns: what it showed last is the line
    shown = [raw.decode(errors="replace").rstrip("\r").rpartition("\r")[2] for raw in _tail(path, LOG_BYTES)]
    return [line for line in map(clean, shown) if line][-n:]


def _tail(path: Path, n_bytes: int) -> list[bytes]:
    try:
        with opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - n_bytes))
            return file.read(n_bytes).split(b"\n")
    except FileNotFoundError:
        return []
