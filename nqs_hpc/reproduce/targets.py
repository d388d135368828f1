"""A number that was published, ours beside it, and whether that is near enough.

The deviation is d = ours times the factor of the normalisation, minus theirs. Reached is

    within     |d| <= tolerance
    at_most    d <= tolerance: variational energies, of which a lower one is better
    apart      |d| >= tolerance: what a method that is known to fail is expected to do

with a tolerance that is a part of |theirs| where it is relative. The rule does not ask for standard errors:
they only say by how many of them the numbers differ, d / sqrt(error^2 + error^2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.report.values import number

RULES = ("within", "at_most", "apart")
ORIGINS = {  # where a value comes from, as tables say it
    "table": "published table",
    "figure": "published figure",
    "code": "authors' code",
    "exact": "exact value",
    "bound": "own bound, no published number",
}
REACHED, MISSED, NOT_RUN, DOUBTFUL = "reached", "missed", "not run", "doubtful"


class Number(NamedTuple):
    """A number with its standard error, 0 where it has none."""

    value: float
    error: float

    def __str__(self) -> str:
        return with_error(self.value, self.error) if self.error > 0 else f"{self.value:.10g}"


class Target(NamedTuple):
    """What one number of one point is compared with."""

    name: str
    at: dict[str, Any]  # the point: swept keys with their values
    quantity: str  # a path into summary.json
    value: float
    error: float  # its standard error, 0 where it has none
    times: float  # ours times this is theirs
    rule: str  # one of RULES
    tolerance: float
    relative: bool
    origin: str  # one of ORIGINS
    source: str  # of the value, in words


class Outcome(NamedTuple):
    """A target and what came of it. Numbers in the normalisation of the target, None if it was not run."""

    target: Target
    ours: Number | None
    note: str = ""  # what is to be known of the run: its state, or that its energy is doubtful

    @property
    def deviation(self) -> float | None:
        """Ours minus theirs, a part of |theirs| where the tolerance is relative."""
        if self.ours is None:
            return None
        return (self.ours.value - self.target.value) / (abs(self.target.value) if self.target.relative else 1.0)

    @property
    def sigmas(self) -> float | None:
        """The deviation in standard errors of both numbers together; None if neither has one."""
        if self.ours is None or not (error := math.hypot(self.ours.error, self.target.error)):
            return None
        return (self.ours.value - self.target.value) / error

    @property
    def verdict(self) -> str:
        """reached, missed, or not run."""
        if (off := self.deviation) is None:
            return NOT_RUN
        tolerance, rule = self.target.tolerance, self.target.rule
        if rule == "apart":
            return REACHED if abs(off) >= tolerance else MISSED
        return REACHED if (off if rule == "at_most" else abs(off)) <= tolerance else MISSED

    @property
    def words(self) -> str:
        """The verdict, and how far off a missed one is."""
        if self.verdict != MISSED or self.deviation is None:
            return self.verdict
        off, tolerance = abs(self.deviation), self.target.tolerance
        if self.target.rule == "apart":
            return f"missed: {off:.1e} apart, at least {tolerance:.1e} expected"
        return f"missed by {off - tolerance:.1e}: {off / tolerance:.3g} times the tolerance"


def ours(target: Target, summary: dict[str, Any]) -> Number | None:
    """The number of a summary.json that ``target`` compares, in its normalisation; None if it is not there."""
    from_energy = target.quantity == "energy_per_site"
    found: Any = summary
    for key in ("energy" if from_energy else target.quantity).split("."):
        found = found.get(key) if isinstance(found, dict) else None
    # names of observables hold points themselves: observables.mz.m is the entry "mz.m" of observables
    if found is None and target.quantity.startswith("observables."):
        known = summary.get("observables")
        found = known.get(target.quantity.removeprefix("observables.")) if isinstance(known, dict) else None
    pair = (found.get("mean"), found.get("error")) if isinstance(found, dict) else (found, None)
    value, error = map(number, pair)
    n_sites = number(summary.get("n_sites")) if from_energy else 1.0
    if value is None or not n_sites:
        return None
    factor = target.times / n_sites
    return Number(value * factor, (error or 0.0) * abs(factor))


def status(outcomes: Sequence[Outcome]) -> str:
    """All targets of a reproduction in a few words."""
    missed = [one for one in outcomes if one.verdict == MISSED]
    left = sum(one.verdict == NOT_RUN for one in outcomes)
    if left == len(outcomes):
        return NOT_RUN
    doubts = sum(one.verdict != NOT_RUN and one.note == DOUBTFUL for one in outcomes)
    if len(outcomes) == 1:
        return outcomes[0].words + (f", {DOUBTFUL}" if doubts else "")
    found = f"{REACHED} {len(outcomes) - left - len(missed)} of {len(outcomes)}"
    found += f", {left} {NOT_RUN}" if left else ""
    found += f", {doubts} {DOUBTFUL}" if doubts else ""
    if not missed:
        return found
    worst = max(missed, key=lambda one: abs(one.deviation or 0.0) / one.target.tolerance)
    return f"{found}; {worst.target.name} {worst.words}"
