"""Standard streams that may be closed before or during a job: the run does not depend on them.

If a terminal is closed, the reader of a pipe ends or a log is on a full disk, only the printed text is lost.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

# A stream with one of these errors does not recover. A full disk may.
_GONE = (errno.EBADF, errno.EIO, errno.ENXIO, errno.EPIPE)


def fill() -> None:
    """Open /dev/null for standard streams that are closed at the start. Call it before any file is opened.

    Otherwise the next file would get their number, and libraries (MPI, XLA) would print into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: this one
    # Python has no stream for a closed descriptor
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - it stays open


class Patient:
    """A stream that discards all text once its other end is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, act: Any) -> None:
        try:
            act()
        except OSError as error:
            if error.errno in _GONE:
                self._silence()
        except ValueError:  # somebody has closed it
            pass

    def _silence(self) -> None:
        """Point its descriptor at /dev/null: flushing the buffers would fail at exit and change the exit code."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def patient(stream: TextIO) -> TextIO:
    """``stream``, without errors once its other end is gone."""
    return stream if isinstance(stream, Patient) else cast(TextIO, Patient(stream))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within the block printing never raises, even if stdout or stderr is closed."""
    former = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(patient, former)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = former
