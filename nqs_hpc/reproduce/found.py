"""What a study found, target by target. Reads run folders, as `report` does; never jax."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.inputs.checks import InputError, show
from nqs_hpc.job.quantities import TASK
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.rows import ReadPoint, read_rows
from nqs_hpc.reproduce.described import Reproduction
from nqs_hpc.reproduce.targets import DOUBTFUL, Outcome, Target, ours
from nqs_hpc.sweep.points import Combination, combinations, n_sites, parsed_points, shown

ENDED = ("done", DOUBTFUL)


class Compared(NamedTuple):
    """A study against what was published."""

    outcomes: list[Outcome]
    seconds: float  # of all points together, as far as they have come


def points(reproduction: Reproduction) -> list[Combination]:
    """The points of the sweep, checked; raises InputError, also for a target that is not of exactly one of them."""
    try:
        combined = combinations(parsed_points(list(reproduction.sweep)), chain=None, n_ranks=None)
        for target in reproduction.targets:
            point_of(target, combined)
    except InputError as error:
        raise InputError(f"{reproduction.name}: {error}") from None
    return combined


def point_of(target: Target, combined: list[Combination]) -> Combination:
    """The one point that ``target`` is of; raises InputError."""
    there = [one for one in combined if target.at == {key: one.swept.get(key) for key in target.at}]
    if len(there) == 1:
        return there[0]
    known = "; ".join(shown(one.swept) for one in combined[:20]) or "{}"
    raise InputError(
        f"targets: {target.name}: at={show(target.at)} is of {len(there)} points; valid: one of these: {known}"
    )


def sizes(combined: list[Combination]) -> list[int]:
    """The numbers of sites that occur, from the smallest on."""
    return sorted({n_sites(one.config) for one in combined})


def compare(reproduction: Reproduction, folder: Path) -> Compared:
    """The targets against what is in ``folder``; raises InputError for settings that are not valid.

    A folder without a study is one of which nothing was run. Asks Slurm once where it has points.
    """
    combined = points(reproduction)
    try:
        rows = read_rows(find_runs(str(folder)), time.time())
    except ValueError:
        rows = []
    known = {one.traces.place.point.identity: one for one in rows if one.traces.place.point is not None}
    found = {one.identity: known[one.identity] for one in combined if one.identity in known}
    outcomes = [_outcome(target, found.get(point_of(target, combined).identity)) for target in reproduction.targets]
    return Compared(outcomes, sum(one.row.seconds or 0.0 for one in found.values()))


def recorded(reproduction: Reproduction) -> list[Outcome]:
    """The targets against what the file says was measured."""
    if (known := reproduction.measured) is None:
        return [Outcome(target, None) for target in reproduction.targets]
    return [Outcome(one, known.values.get(one.name), known.notes.get(one.name, "")) for one in reproduction.targets]


def _outcome(target: Target, point: ReadPoint | None) -> Outcome:
    if point is None:
        return Outcome(target, None, "not started")
    row, summary = point.row, point.traces.summary
    ended = row.final if row.task == TASK else row.state in ENDED
    if not ended:
        return Outcome(target, None, row.state)
    if (value := ours(target, summary)) is None:
        return Outcome(target, None, f"summary.json has no number {target.quantity}")
    return Outcome(target, value, row.state if row.state != "done" else "")
