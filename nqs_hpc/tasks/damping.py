"""How the shift of natural-gradient steps adapts: plain numbers on the host, the same on every rank.

A step of Gauss and Newton, d = (S + shift)^-1 F, is tried, and what it brings is compared with what its linear model
promised (K. Levenberg, Q. Appl. Math. 2, 164 (1944); D. W. Marquardt, J. SIAM 11, 431 (1963), doi:10.1137/0111030). A
step that makes things worse is undone, and the shift is raised. What is below the errors of the samples is neither
better nor worse.
"""

from __future__ import annotations

import math
from typing import NamedTuple

FIRST = 1e-3
LEAST, MOST = 1e-14, 1e6
RAISED, LOWERED = 10.0, 0.1
POOR, GOOD = 0.25, 0.75  # parts of the promised fall
# A fall by less is none: what is left is what the ansatz cannot be.
WORTH = 0.05


class Judged(NamedTuple):
    """What came of a step."""

    accepted: bool
    shift: float  # of the next step
    is_idle: bool  # it brought nothing that is worth another step


def judged(
    before: tuple[float, float], after: tuple[float, float], promised: float, shift: float, *, least: float
) -> Judged:
    """``before``, ``after``: the value at both ends of the step, and its standard error; ``promised``: the part of it
    that the linear model leaves, between 0 and 1; ``least``: bound of the shift.
    """
    # an error that is not known, of a single chain, tells nothing apart
    noise = math.hypot(*(error if math.isfinite(error) else 0.0 for _, error in (before, after)))
    fall, hoped = before[0] - after[0], before[0] * (1.0 - promised)
    if not fall >= -noise:  # also where it is not a number
        return Judged(False, min(MOST, shift * RAISED), True)
    if fall + noise >= GOOD * hoped:
        shift = max(least, shift * LOWERED)
    elif fall + noise < POOR * hoped:
        shift = min(MOST, shift * RAISED)
    return Judged(True, shift, fall < max(noise, WORTH * before[0]))
