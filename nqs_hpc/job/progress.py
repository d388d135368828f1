"""What a person sees of a run: a bar on a terminal, plain lines elsewhere. Rank 0 has it, the others have none."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TextIO

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.inputs.reading import harmless
from nqs_hpc.job.streams import patient

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 10.0, 300.0, 1.2  # seconds between plain lines


class Progress(NamedTuple):
    """``update`` takes the metrics of a step as metrics.jsonl has them."""

    update: Callable[[dict[str, Any]], None]
    say: Callable[[str], None]  # one line of text, without breaking the bar
    close: Callable[[], None]


def progress(mode: Literal["auto", "bar", "lines"], total: int, initial: int, stream: TextIO | None = None) -> Progress:
    """Show steps ``initial`` to ``total`` on ``stream`` (default stderr); ``auto`` is a bar on a terminal."""
    stream = sys.stderr if stream is None else stream
    is_bar = mode == "bar" or (mode == "auto" and stream.isatty())
    heard, eta = patient(stream), _eta(total)
    return _bar(total, initial, heard, eta) if is_bar else _lines(total, heard, eta)


def _words(line: dict[str, Any]) -> str:
    words = [f"E {with_error(line.get('energy'), line.get('energy_error'))}"]
    for name, key, form in (
        ("var", "energy_variance", ".3g"),
        ("R-hat", "r_hat", ".3f"),
        ("acc", "acceptance", ".2f"),
    ):
        if line.get(key) is not None:
            words.append(f"{name} {line[key]:{form}}")
    return " ".join(words)


def _eta(total: int) -> Callable[[int], str]:
    first: tuple[int, float] | None = None  # the first step of a start compiles: time runs from its end

    def eta(step: int) -> str:
        nonlocal first
        if first is None or step <= first[0]:
            first = (step, time.monotonic())
            return "ETA --:--"
        from tqdm import tqdm

        per_step = (time.monotonic() - first[1]) / (step - first[0])
        return f"ETA {tqdm.format_interval(per_step * (total - step))}"

    return eta


def _bar(total: int, initial: int, stream: TextIO, eta: Callable[[int], str]) -> Progress:
    from tqdm import tqdm

    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # behind mpiexec the stream is a pipe and cannot tell its width
        width = 0
    columns = os.environ.get("COLUMNS", "")
    tqdm.monitor_interval = 0  # no extra thread beside those of MPI and XLA
    bar = tqdm(
        total=total,
        initial=initial,
        file=stream,
        bar_format="{n_fmt}/{total_fmt} |{bar}| {desc}",
        ncols=(int(columns) if columns.isdigit() else 0) or 80,
        dynamic_ncols=width > 0,  # a terminal may be resized; some (docker, script) claim to have no width
        miniters=1,
    )

    def update(line: dict[str, Any]) -> None:
        bar.set_description_str(f"{_words(line)} {eta(line['step'])}", refresh=False)
        bar.update(line["step"] - bar.n)

    def close() -> None:
        bar.refresh()
        bar.close()

    return Progress(update, lambda message: bar.write(harmless(message), file=stream), close)


def _lines(total: int, stream: TextIO, eta: Callable[[int], str]) -> Progress:
    pause = 0.0
    shown = -math.inf
    waiting: str | None = None  # the newest step not shown yet

    def say(message: str) -> None:
        print(harmless(message), file=stream, flush=True)

    def update(line: dict[str, Any]) -> None:
        nonlocal pause, shown, waiting
        step = line["step"]
        waiting = f"step {step:{len(str(total))}d}/{total} {_words(line)} {eta(step)}"
        if step >= total or time.monotonic() - shown >= pause:
            say(waiting)
            pause = min(max(FIRST_PAUSE, GROWTH * pause), LONGEST_PAUSE)
            shown, waiting = time.monotonic(), None

    def close() -> None:
        nonlocal waiting
        if waiting is not None:
            say(waiting)
            waiting = None

    return Progress(update, say, close)
