"""The display of a running job: a bar on a terminal, plain lines elsewhere. Only rank 0 has it."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TextIO

from nqs_hpc.inputs.reading import harmless
from nqs_hpc.job.quantities import GROUND_STATE, in_words
from nqs_hpc.job.streams import patient
from nqs_hpc.types import Quantity

STEPS = "steps"  # the unit of progress unless a task names another
LEAST_SHARE = 1e-3  # of the total, after which the remaining time is estimated
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 10.0, 300.0, 1.2  # seconds between plain lines


class Update(Protocol):
    def __call__(self, line: dict[str, Any], done: float | None = None) -> None:
        """``line``: the metrics of a step as in metrics.jsonl; ``done``: the progress in the unit of the total, the
        step of the line if None."""


class Progress(NamedTuple):
    """Shows the progress of a run and the newest values of its quantities."""

    update: Update
    say: Callable[[str], None]  # one line of text, without breaking the bar
    close: Callable[[], None]


def progress(
    mode: Literal["auto", "bar", "lines"],
    total: float | None,
    initial: float,
    stream: TextIO | None = None,
    *,
    quantities: Sequence[Quantity] = GROUND_STATE,
    unit: str = STEPS,
) -> Progress:
    """Show the progress of a run from ``initial`` to ``total``, in ``unit``, on ``stream`` (default stderr).

    ``total``: None if it is not known. ``auto`` is a bar on a terminal and plain lines elsewhere. ``quantities``: those
    shown of each line.
    """
    stream = sys.stderr if stream is None else stream
    is_bar = mode == "bar" or (mode == "auto" and stream.isatty())
    if unit == STEPS and total is not None:
        total = int(total)
    run = _Run(total, initial, unit, lambda line: in_words(quantities, line), _eta(total))
    return _bar(run, patient(stream)) if is_bar else _lines(run, patient(stream))


class _Run(NamedTuple):
    """What a bar or lines show of a run."""

    total: float | None
    initial: float
    unit: str
    words: Callable[[dict[str, Any]], str]  # of a line of metrics.jsonl
    eta: Callable[[float], str]  # given the progress; empty without a total


def _eta(total: float | None) -> Callable[[float], str]:
    first: tuple[float, float] | None = None  # the first step of a start compiles: times are counted from its end

    def eta(done: float) -> str:
        nonlocal first
        if total is None:
            return ""
        if first is None or done <= first[0]:
            first = (done, time.monotonic())
            return "ETA --:--"
        from tqdm import tqdm

        if done - first[0] < LEAST_SHARE * total:  # time steps begin short, so the estimate would be years
            return "ETA --:--"
        per_unit = (time.monotonic() - first[1]) / (done - first[0])
        return f"ETA {tqdm.format_interval(per_unit * (total - done))}"

    return eta


def _number(total: float | None) -> str:
    return "?" if total is None else f"{total:.6g}"


def _bar(run: _Run, stream: TextIO) -> Progress:
    from tqdm import tqdm

    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # under mpiexec the stream is a pipe and has no width
        width = 0
    columns = os.environ.get("COLUMNS", "")
    named = run.unit.replace("{", "{{").replace("}", "}}")
    counted = "{n_fmt}/{total_fmt}" if run.unit == STEPS else f"{{n:.6g}}/{_number(run.total)} {named}"
    tqdm.monitor_interval = 0  # no thread besides those of MPI and XLA
    bar = tqdm(
        total=run.total,
        initial=run.initial,
        file=stream,
        bar_format=counted + " |{bar}| {desc}",
        ncols=(int(columns) if columns.isdigit() else 0) or 80,
        dynamic_ncols=width > 0,  # a terminal may be resized; some (docker, script) claim to have no width
        miniters=1 if run.unit == STEPS else 0,  # the least progress between two updates of the bar
    )

    def update(line: dict[str, Any], done: float | None = None) -> None:
        reached = line["step"] if done is None else done
        bar.set_description_str(f"{run.words(line)} {run.eta(reached)}".rstrip(), refresh=False)
        bar.update(reached - bar.n)

    def close() -> None:
        bar.refresh()
        bar.close()

    return Progress(update, lambda message: bar.write(harmless(message), file=stream), close)


def _lines(run: _Run, stream: TextIO) -> Progress:
    width, pause = len(str(run.total)), 0.0
    shown = -math.inf
    waiting: str | None = None  # the newest step not shown yet

    def say(message: str) -> None:
        print(harmless(message), file=stream, flush=True)

    def counted(step: int, reached: float) -> str:
        if run.unit == STEPS:
            return f"step {int(reached)}" if run.total is None else f"step {int(reached):{width}d}/{run.total}"
        return f"step {step}, {reached:.6g}/{_number(run.total)} {run.unit}:"

    def update(line: dict[str, Any], done: float | None = None) -> None:
        nonlocal pause, shown, waiting
        reached = line["step"] if done is None else done
        waiting = f"{counted(line['step'], reached)} {run.words(line)} {run.eta(reached)}".rstrip()
        if (run.total is not None and reached >= run.total) or time.monotonic() - shown >= pause:
            say(waiting)
            pause = min(max(FIRST_PAUSE, GROWTH * pause), LONGEST_PAUSE)
            shown, waiting = time.monotonic(), None

    def close() -> None:
        nonlocal waiting
        if waiting is not None:
            say(waiting)
            waiting = None

    return Progress(update, say, close)
