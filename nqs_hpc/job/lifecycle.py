"""When a run stops or saves: signals, the files STOP and SAVE, limits of wall time.

A Python signal handler does not run while its rank waits in a collective, and the signal may reach only one rank. So a
handler only sets a flag, and the flags of all ranks are reduced once a step: all ranks stop after the same step.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from nqs_hpc.inputs import reading
from nqs_hpc.job.files import remove, write
from nqs_hpc.job.lock import Lost
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
    "time limit of Slurm",
    "fault",
)  # one for each bit; the templates in slurm/ look for them in summary.json
SIGNALS = {signal.SIGTERM: 1, signal.SIGUSR1: 2, signal.SIGINT: 4}
STOP, TIME, SAVE, DUE, LIMIT, TROUBLE = 8, 16, 32, 64, 128, 256
CLOSING_SECONDS = 10.0  # before Slurm's limit, for the summary and the exit of all ranks
GRACE_SECONDS = 2.0  # that the main thread has to end the job itself after a second SIGINT


class Signals(NamedTuple):
    """Signals that this process received."""

    flags: Callable[[], int]  # the bits of those received so far
    close: Callable[[], None]  # restores the former handlers


class Verdict(NamedTuple):
    """What to do after this step, the same on every rank."""

    stop: bool
    save: bool  # write a checkpoint now; set together with ``stop``, unless a fault forbids it
    reason: str  # in words, several joined by "and"; empty if there is nothing to do


class Lifecycle(NamedTuple):
    """``check`` is collective, one small reduction; ``saved`` is this rank's."""

    # seconds of the last step and save, 0 if there was none; on rank 0 whether a save is due, and whether it cannot
    # continue
    check: Callable[..., Verdict]
    # call it when the requested checkpoint is on the disk; returns a line if SAVE cannot be removed, else ""
    saved: Callable[[], str]
    seconds: Callable[[], float]  # since this start began
    # whether this reason means that the time of this start was over; collective
    out_of_time: Callable[[str], bool]


def listen(abort: Callable[[int], None]) -> Signals:
    """Treat SIGTERM, SIGUSR1 and SIGINT as requests to stop from now on. Call it in the main thread.

    A second SIGINT raises KeyboardInterrupt at once. If the main thread cannot react, because it waits in a
    collective for a rank that is gone, a thread calls ``abort(1)``, which ends all ranks.
    """
    flags = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal flags
        del frame
        bit = SIGNALS[signal.Signals(number)]
        if number == signal.SIGINT and flags & bit:
            raise KeyboardInterrupt
        flags |= bit

    # The C part of Python's handlers writes each signal's number here even while the main thread is stuck.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    closed = threading.Event()

    def watch() -> None:
        interrupts = 0
        while data := os.read(reader, 64):
            interrupts += data.count(signal.SIGINT)
            if interrupts > 1 and not closed.wait(GRACE_SECONDS):
                print("stopped at once by a second SIGINT", file=sys.stderr, flush=True)
                abort(FAULT)
                os._exit(FAULT)
        os.close(reader)

    former_writer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    former = {number: signal.signal(number, handle) for number in SIGNALS}
    threading.Thread(target=watch, name="signals", daemon=True).start()

    def close() -> None:
        closed.set()
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python
        signal.set_wakeup_fd(former_writer)
        os.close(writer)  # ends the thread

    return Signals(lambda: flags, close)


def leave() -> None:
    """Ignore the signals from now on: the process is about to end by itself.

    srun --kill-on-bad-exit sends SIGTERM to all ranks as soon as the first one exits with a code other than 0. Their
    exit code would be that of the signal, and the job gets the largest code of all.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def lifecycle(
    folder: Path,
    world: World,
    signals: Signals,
    *,
    max_seconds: float | None,
    started: float | None = None,
    ends: float | None = None,
) -> Lifecycle:
    """Watch over the run in ``folder``.

    The run stops as soon as what is left of ``max_seconds`` since ``started`` (a ``time.monotonic()``, default now) is
    too short for one more step and one save, each as long as the longest so far; the first step, which compiles, counts
    only until there is a second. It also stops CLOSING_SECONDS before ``ends``, the Unix time of Slurm's limit as rank
    0 knows it.
    """
    start = time.monotonic() if started is None else started
    obeyed = 0
    steps: list[float] = []  # the first, and the longest of the others
    longest_save = 0.0
    kept: os.stat_result | None = None  # a SAVE that has been obeyed but cannot be removed

    def check(
        step_seconds: float = 0.0, save_seconds: float = 0.0, due: bool = False, trouble: bool = False
    ) -> Verdict:
        nonlocal obeyed, steps, longest_save
        if step_seconds > 0:
            steps = [steps[0], max(step_seconds, *steps[1:])] if len(steps) > 1 else [*steps, step_seconds]
        longest_save = max(longest_save, save_seconds)
        needed = (steps[-1] if steps else 0.0) + longest_save
        bits = signals.flags()
        if world.rank == 0:
            bits |= DUE * due | TROUBLE * trouble  # clocks and disks differ: those of rank 0 decide
            bits |= STOP * stop_requested(folder) | SAVE * _is_new(folder / "SAVE", kept)
            if ends is not None and time.time() + needed + CLOSING_SECONDS > ends:
                bits |= LIMIT
        if max_seconds is not None and time.monotonic() - start + needed > max_seconds:
            bits |= TIME
        obeyed = world.any_flags(bits)
        stopping = obeyed & ~(SAVE | DUE)
        # a checkpoint that was also due is not a reason to stop: the batch scripts read the reason
        reason = " and ".join(words for i, words in enumerate(REASONS) if (stopping or obeyed) >> i & 1)
        return Verdict(stopping != 0, obeyed != 0 and not obeyed & TROUBLE, reason)

    def saved() -> str:
        nonlocal kept
        if world.rank > 0 or not obeyed & SAVE:
            return ""
        try:
            remove(folder / "SAVE")
        except OSError as error:  # a folder, or a file that we may not remove
            kept = _lstat(folder / "SAVE")
            return f"{folder / 'SAVE'} was obeyed and cannot be removed ({error.strerror}): it has no further effect"
        except Lost:
            pass  # the next write reports it on all ranks
        return ""

    def seconds() -> float:
        return time.monotonic() - start

    def out_of_time(reason: str) -> bool:
        if any(words in reason for words in ("max_seconds", "time limit of Slurm")):
            return True
        # Slurm warns of its limit by a signal; it also preempts by one, but then more time is left than was used
        asked = "SIGUSR1" in reason or "SIGTERM" in reason
        warned = world.rank == 0 and asked and ends is not None and ends - time.time() < seconds()
        return world.any_flags(int(warned)) != 0

    return Lifecycle(check, saved, seconds, out_of_time)


def by_queue(reason: str) -> bool:
    """Whether the queue caused a stop for this reason: it ends the processes soon after its signal."""
    return any(words in reason for words in ("SIGTERM", "SIGUSR1", "time limit of Slurm"))


def stop_requested(folder: Path) -> bool:
    """Whether the run folder holds a STOP file, which only its owner removes; rank 0 asks."""
    return _lstat(folder / "STOP") is not None


def _is_new(path: Path, known: os.stat_result | None) -> bool:
    """Whether ``path``, of any kind, exists and is not the file or folder ``known``."""
    found = _lstat(path)
    return found is not None and (known is None or _identity(found) != _identity(known))


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_mode, found.st_ctime_ns  # inode numbers of removed files are reused


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


class Finished(NamedTuple):
    """What a DONE file says."""

    step: int  # reached by the run
    n_samples: int | None  # of its final evaluation; files of older versions do not say


def finished(folder: Path) -> Finished | None:
    """The content of the DONE file; None if there is none; ValueError if it holds something else."""
    path = folder / "DONE"
    try:
        text = reading.text(path, reading.SMALL, errors="replace").strip()
    except FileNotFoundError:
        return None
    words = text.split(" ")
    if len(words) > 2 or not all(word.isascii() and word.isdigit() and len(word) < 20 for word in words):
        what = "expected the step reached, a whole number, and perhaps the samples of the final evaluation"
        raise reading.unfit(path, f"holds {text[:40]!r}; {what}")
    return Finished(int(words[0]), int(words[1]) if len(words) == 2 else None)


def done(folder: Path) -> int | None:
    """The step a finished run reached, from its DONE file; None if there is none; ValueError if it holds no step."""
    found = finished(folder)
    return None if found is None else found.step


def write_done(folder: Path, step: int, n_samples: int | None = None) -> None:
    """Record that the run finished at ``step`` with an energy from ``n_samples`` samples; rank 0 calls it."""
    write(folder / "DONE", f"{step}\n" if n_samples is None else f"{step} {n_samples}\n")
