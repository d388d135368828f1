"""Standard streams that may be closed before or while a job runs: the run does not depend on them.

A terminal is closed, a pipe has read enough, a log lies on a full disk: what is printed is lost, and nothing else.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

# A stream with one of these errors will not recover. A full disk may.
_GONE = (errno.EBADF, errno.EIO, errno.ENXIO, errno.EPIPE)


def fill() -> None:
    """Open /dev/null for standard streams that were closed at the start; call it before a file is opened.

    Else the next file gets their number, and what a library prints (MPI, XLA) would land in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: this one
    # Python has none where the number was closed
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - it stays open


class Patient:
    """A stream that discards what is written once its other end is gone."""

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
        """Point its descriptor at /dev/null: what is left in buffers would fail at the end and change the exit code."""
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
