"""One row per point: its keys, progress and results, for `status` and `report`.

Everything that is missing or unreadable in a file is None; a broken folder has a row too.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from nqs_hpc.job.quantities import TASK, declared
from nqs_hpc.report import by_coupling
from nqs_hpc.report import queue as slurm_queue
from nqs_hpc.report.measured import OF_ENERGY, Values, values
from nqs_hpc.report.places import RunFolders
from nqs_hpc.report.queue import NOT_ASKED
from nqs_hpc.report.states import PointState, followers, judge
from nqs_hpc.report.swept import Settings, swept
from nqs_hpc.report.traces import Traces, in_batch, n_steps, step, step_seconds, traces
from nqs_hpc.report.values import clean, count, number, section, text
from nqs_hpc.types import Progress, Quantity

TIME = "time"  # the unit of the progress of a trajectory
LONGEST_UNIT = 20  # characters
VERDICTS = ("good", "doubtful", "bad", "not known")


class Row(NamedTuple):
    """One point; times in seconds."""

    name: str
    swept: Settings  # the keys that differ from point to point, with its values
    state: str  # one of states.STATES
    why: str
    trust: str | None  # the verdict on its final energy: good, doubtful, bad; None if there is none
    step: int | None
    n_steps: int | None
    progress: Progress | None  # its progress, if that is not the number of steps
    task: str  # what it computes: ground_state, …
    quantities: tuple[Quantity, ...]  # declared for display
    values: Values  # of these and of derived quantities, by key
    final: bool  # whether the values are those of a final evaluation
    seconds_per_step: float | None
    eta_seconds: float | None  # until the last step, without the final evaluation
    seconds: float | None  # wall time of all starts together
    restarts: int | None
    n_sites: int | None
    n_parameters: int | None
    n_ranks: int | None
    job: str | None  # of Slurm
    command: str | None  # to run it again
    troubles: list[str]  # files of its folder that cannot be read

    @property
    def is_trajectory(self) -> bool:
        """Whether its lines are times of a trajectory, not steps of an optimization."""
        return self.progress is not None and self.progress.unit == TIME

    def get(self, key: str) -> float | None:
        """The value of one quantity; None if it is not known, or the run has no such quantity."""
        return self.values.get(key)


class ReadPoint(NamedTuple):
    """A row and the files it was read from."""

    row: Row
    traces: Traces


def flat(row: Row) -> dict[str, Any]:
    """A row with its values among its fields, for CSV and JSON; ``task`` if it is not the default."""
    fields = row._asdict()
    if (progress := fields.pop("progress")) is not None:
        fields |= {"progress": progress.done, "progress_total": progress.total, "progress_unit": progress.unit}
    task, values = fields.pop("task"), fields.pop("values")
    del fields["quantities"]
    values = {key: value for key, value in values.items() if key not in fields}  # no quantity replaces a field
    result: dict[str, Any] = {}
    for field, value in fields.items():
        if field == "final":  # between measured and derived values
            result |= {key: values.pop(key) for key in OF_ENERGY[:3] if key in values} | {field: value} | values
        else:
            result[field] = value
    return result if task == TASK else result | {"task": task}


def read_rows(of: RunFolders, now: float, *, each_coupling: bool = False) -> list[ReadPoint]:
    """A row for each place, in their order; asks Slurm at most once. ``now``: the Unix time.

    ``each_coupling``: for a run of several couplings a row for each, as in a sweep over them.
    """
    all_traces = [traces(place) for place in of.places]
    queue = NOT_ASKED
    if any(_needs_slurm(found) for found in all_traces):
        try:
            queue = slurm_queue.ask(of.folder.stat().st_uid)
        except OSError:
            queue = slurm_queue.ask(os.getuid())
    verdicts = followers(all_traces, [judge(found, queue, now) for found in all_traces])
    points = list(zip(all_traces, verdicts, strict=True))
    if each_coupling:
        points = [one for found, verdict in points for one in by_coupling.each(found, verdict)]
    each = zip(points, swept([found for found, _ in points]), strict=True)
    return [ReadPoint(_row(found, verdict, of_it), found) for (found, verdict), of_it in each]


def _needs_slurm(found: Traces) -> bool:
    if found.done is not None and found.done >= (n_steps(found) or 0):
        return False
    return in_batch(found) or (found.owner is not None and found.owner.job is not None)


def _row(found: Traces, verdict: PointState, of_it: Settings) -> Row:
    summary, point = found.summary, found.place.point
    n_sites = count(summary.get("n_sites")) or (count(point.n_sites) if point is not None else None)
    quantities = declared(summary)
    reached, target, per_step = step(found), n_steps(found), step_seconds(found)
    left = None
    if reached is not None and target is not None and per_step is not None and reached <= target:
        left = (target - reached) * per_step  # negative if a run is now asked for fewer steps
    progress = _progress(found)
    if progress is not None:
        left = _left(found, progress)
    counts = verdict.state in ("running", "requeued", "queued")
    return Row(
        name=clean(found.place.name),
        swept=of_it,
        state=verdict.state,
        why=verdict.why or _of_its_sector(summary, verdict),
        trust=_verdict(summary),
        step=reached,
        n_steps=target,
        progress=progress,
        task=text(summary.get("task")) or TASK,
        quantities=quantities,
        values=values(summary, found.steps, quantities, n_sites, count(summary.get("n_degrees"))),
        final=summary.get("final") is True,
        seconds_per_step=per_step,
        eta_seconds=number(left) if counts else None,
        seconds=number(summary.get("seconds")),
        restarts=max(0, len(found.starts) - 1) if found.starts else None,
        n_sites=n_sites,
        n_parameters=count(summary.get("n_parameters")),
        n_ranks=count(summary.get("n_ranks")),
        job=found.job,
        command=text(point.command, 10**5) if point is not None else text(found.manifest.get("command"), 10**5),
        troubles=found.troubles,
    )


def _progress(found: Traces) -> Progress | None:
    """The progress of a run in its own unit, from the newest line if that contains it."""
    told = section(found.summary, "progress")
    unit = text(told.get("unit"), LONGEST_UNIT)
    if unit is None:
        return None
    newest = number(found.steps[-1].get(unit)) if found.steps else None
    done = number(told.get("done")) if newest is None else newest
    return None if done is None else Progress(done, number(told.get("total")), unit)


def _left(found: Traces, progress: Progress) -> float | None:
    """Seconds until the end at the pace of the newest lines."""
    lines = [(at, seconds) for line in found.steps
             if (at := number(line.get(progress.unit))) is not None
             and (seconds := number(line.get("seconds"))) is not None]  # fmt: skip
    if progress.total is None or len(lines) < 2 or lines[-1][0] <= lines[0][0]:
        return None
    pace = sum(seconds for _, seconds in lines[1:]) / (lines[-1][0] - lines[0][0])
    return number(max(0.0, progress.total - progress.done) * pace)


def _verdict(summary: dict[str, Any]) -> str | None:
    word = section(summary, "trust").get("verdict")
    return word if summary.get("final") is True and word in VERDICTS else None


def _of_its_sector(summary: dict[str, Any], verdict: PointState) -> str:
    """The note of a finished run if its sector does not contain the ground state."""
    reference = section(summary, "reference")
    above = number(reference.get("above_lowest")) or number(reference.get("network_above"))
    return text(summary.get("reason")) or "" if verdict.state == "done" and above else ""
