"""How long a step is, and whether it is taken: plain numbers on the host, the same on every rank.

Times of output are reached exactly. The length of an adaptive step follows its error as (tolerance / error)^(1/3),
for an error of second order (Hairer, Norsett and Wanner, doi:10.1007/978-3-540-78862-1, section II.4).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from nqs_hpc.integrators.tableau import Integrator, Steps

SAFETY = 0.9
SHRINK, GROW = 0.2, 5.0  # bounds of the change of the length in one step
ROUNDING = 1e-9  # relative: what is left of an interval that is not worth a step of its own


class Trial(NamedTuple):
    """A step that is to be tried."""

    dt: float
    lands: bool  # on the time of output, to which the time is then set


class Judged(NamedTuple):
    """What came of a step."""

    accepted: bool
    dt: float  # of the next step, or of the next attempt at this one
    at_floor: bool = False  # accepted though its error is above the tolerance: it is not longer than the least


def trial(steps: Steps, dt: float, time: float, target: float) -> Trial:
    """The next step from ``time`` towards the time of output ``target``, at most ``dt`` long.

    Fixed steps are what is left in equal parts; of adaptive ones the last two are equal.
    """
    left = target - time
    if left <= dt * (1 + ROUNDING):
        return Trial(left, True)
    if steps.tolerance is None:
        return Trial(left / math.ceil(left / dt * (1 - ROUNDING)), False)
    return Trial(left / 2 if left < 2 * dt else dt, False)


def judged(integrator: Integrator, dt: float, tried: float, error: float) -> Judged:
    """Whether a step of the length ``tried`` is taken. ``dt``: what it would have been without a time of output near;
    ``error``: a distance in Hilbert space, not finite where the step led nowhere.
    """
    steps = integrator.steps
    if steps.tolerance is None:
        return Judged(math.isfinite(error), dt)
    power = 1.0 / integrator.order  # the error of the method of one order less, in one step
    wanted = SAFETY * (steps.tolerance / error) ** power if error > 0 else math.inf
    factor = min(GROW, max(SHRINK, wanted)) if math.isfinite(error) else SHRINK
    if not error <= steps.tolerance:
        if tried > steps.least * (1 + ROUNDING):
            return Judged(False, max(steps.least, tried * min(factor, SAFETY)))
        return Judged(math.isfinite(error), steps.least, at_floor=True)
    following = tried * factor
    if wanted >= GROW:  # how much longer it could have been is not known: a step cut short says nothing of ``dt``
        following = max(following, dt)
    return Judged(True, min(steps.most, max(steps.least, following)))
