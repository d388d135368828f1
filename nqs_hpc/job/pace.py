"""When a checkpoint is due. Checkpoints take less than SHARE of the time unless the user asks for more of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

SHARE = 0.02  # of the wall time of a start, for saving
EVERY_STEPS, EVERY_SECONDS = 50, 300.0  # the aim of auto
FIRST_MINUTE = 60.0
Every = float | Literal["auto"] | None  # auto: as above, less often if that would exceed SHARE; None: never


class Pace(NamedTuple):
    """Rank 0 calls ``due`` after each turn with the steps completed so far, and ``saved`` with the seconds that a
    checkpoint took.
    """

    due: Callable[[int], bool]
    saved: Callable[[float], None]
    # a line if saving takes more than SHARE, once per start; else empty, also in the first minute unless ``final``
    excess: Callable[..., str]
    spent: Callable[[], tuple[int, float]]  # checkpoints of this start so far, and the seconds they took


def pace(every_steps: Every, every_seconds: Every, *, started: float) -> Pace:
    """A schedule for a start that began at ``started``, a ``time.monotonic()``."""
    n_saves, spent, longest, reported = 0, 0.0, 0.0, False
    seen: int | None = None  # the last step counted: several turns of one step count once
    last = time.monotonic()

    def due(step: int) -> bool:
        nonlocal seen
        is_new, seen = step != seen, step
        now = time.monotonic()
        by_step, by_time = every_steps not in ("auto", None), every_seconds not in ("auto", None)
        if is_new and by_step and step % int(every_steps) == 0:  # type: ignore[arg-type]
            return True
        if by_time and now - last >= float(every_seconds):  # type: ignore[arg-type]
            return True
        wanted = is_new and every_steps == "auto" and step % EVERY_STEPS == 0
        wanted |= every_seconds == "auto" and now - last >= EVERY_SECONDS
        return wanted and spent + longest <= SHARE * (now - started)

    def saved(seconds: float) -> None:
        nonlocal n_saves, spent, longest, last
        n_saves, spent, longest, last = n_saves + 1, spent + seconds, max(longest, seconds), time.monotonic()

    def excess(*, final: bool = False) -> str:
        nonlocal reported
        total = time.monotonic() - started
        if reported or spent <= SHARE * total or (total < FIRST_MINUTE and not final):
            return ""
        reported = True
        mine = {every_steps, every_seconds} <= {"auto", None}
        why = "the last one is always made" if mine else "checkpoint.every_steps and .every_seconds say how often"
        return (
            f"saving takes {100 * spent / total:.1f} % of the time ({n_saves} checkpoints in {total:.1f} s, "
            f"{longest:.2g} s the longest): {why}"
        )

    return Pace(due, saved, excess, lambda: (n_saves, spent))
