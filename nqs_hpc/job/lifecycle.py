"""When a run stops or saves: signals, the files STOP and SAVE, a limit on its wall time.

A Python signal handler does not run while its rank waits in a collective, and one rank alone may get the signal. So a
handler only sets a flag, and once a step the flags of all ranks are reduced: all stop after the same step.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from nqs_hpc.job.files import write
from nqs_hpc.parallel.world import World

DONE, FAULT, BAD_INPUT, STOPPED = 0, 1, 2, 85  # exit codes, the same on every rank

REASONS = (
    "signal SIGTERM",
    "signal SIGUSR1",
    "signal SIGINT",
    "STOP file",
    "max_seconds",
    "SAVE file",
    "due",
)  # by bit
SIGNALS = {signal.SIGTERM: 1, signal.SIGUSR1: 2, signal.SIGINT: 4}
STOP, TIME, SAVE, DUE = 8, 16, 32, 64


class Verdict(NamedTuple):
    """What to do after this step, the same on every rank."""

    stop: bool
    save: bool  # write a checkpoint now; always set with ``stop``
    reason: str  # in words, several joined by "and"; empty where there is nothing to do


class Lifecycle(NamedTuple):
    """``check`` is collective, one small reduction; the others are this rank's."""

    check: Callable[[float, float, bool], Verdict]  # seconds of the last step and save, whether a save is due here
    saved: Callable[[], None]  # the checkpoint a verdict asked for is on the disk
    close: Callable[[], None]  # give the signals back to their former handlers


def lifecycle(folder: Path, world: World, *, max_seconds: float | None, started: float | None = None) -> Lifecycle:
    """Watch over the run in ``folder``; to be called in the main thread.

    The run stops as soon as what is left of ``max_seconds`` since ``started`` (a ``time.monotonic()``, default now) has
    no room for one more step and one save, each as long as the longest so far; the first step, which compiles, counts
    only until there is a second. SIGTERM, SIGUSR1 and SIGINT stop it after the current step; a second SIGINT raises
    KeyboardInterrupt at once.
    """
    start = time.monotonic() if started is None else started
    flags = 0
    obeyed = 0
    steps: list[float] = []  # the first, and the longest of the others
    longest_save = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal flags
        del frame
        bit = SIGNALS[signal.Signals(number)]
        if number == signal.SIGINT and flags & bit:
            raise KeyboardInterrupt
        flags |= bit

    former = {number: signal.signal(number, handle) for number in SIGNALS}

    def check(step_seconds: float, save_seconds: float, due: bool) -> Verdict:
        nonlocal obeyed, steps, longest_save
        steps = [steps[0], max(step_seconds, *steps[1:])] if len(steps) > 1 else [*steps, step_seconds]
        longest_save = max(longest_save, save_seconds)
        bits = flags
        if world.rank == 0:
            bits |= DUE * due  # clocks differ: rank 0's counts
            bits |= STOP * (folder / "STOP").exists() | SAVE * (folder / "SAVE").exists()
        if max_seconds is not None and time.monotonic() - start + steps[-1] + longest_save > max_seconds:
            bits |= TIME
        obeyed = world.any_flags(bits)
        reason = " and ".join(words for i, words in enumerate(REASONS) if obeyed >> i & 1)
        return Verdict(stop=obeyed & ~(SAVE | DUE) != 0, save=obeyed != 0, reason=reason)

    def saved() -> None:
        if world.rank == 0 and obeyed & SAVE:
            (folder / "SAVE").unlink(missing_ok=True)

    def close() -> None:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python

    return Lifecycle(check, saved, close)


def stop_requested(folder: Path) -> bool:
    """Whether the run folder holds a STOP file, which only its owner removes; rank 0 asks."""
    return (folder / "STOP").exists()


def done(folder: Path) -> int | None:
    """The step a finished run reached, from its DONE file; None where there is none; ValueError if it holds no step."""
    path = folder / "DONE"
    if not path.exists():
        return None
    text = path.read_text(errors="replace").strip()
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{path} holds {text[:40]!r}; expected the step reached, a whole number")
    return int(text)


def write_done(folder: Path, step: int) -> None:
    """Say that the run is finished at ``step``; rank 0 calls it."""
    write(folder / "DONE", f"{step}\n")
