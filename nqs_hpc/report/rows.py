"""A row a point: what it is, how far it has come, what it found. What `status` and `report` show.

Everything that a file does not say, or says unreadably, is None; a broken folder is a row like any other.
"""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

from nqs_hpc.report import queue as slurm_queue
from nqs_hpc.report.places import Holding
from nqs_hpc.report.queue import NOT_ASKED
from nqs_hpc.report.states import Verdict, followers, judge
from nqs_hpc.report.swept import Told, swept
from nqs_hpc.report.traces import Traces, in_batch, n_steps, step, step_seconds, traces
from nqs_hpc.report.values import clean, count, number, section, text


class Row(NamedTuple):
    """One point; energies in units of the couplings, times in seconds."""

    name: str
    swept: Told  # the keys that differ from point to point, with its values
    state: str  # one of states.STATES
    why: str
    step: int | None
    n_steps: int | None
    energy: float | None  # of the final parameters once ``final``, before that of the newest step
    energy_error: float | None
    energy_variance: float | None
    final: bool
    energy_per_site: float | None
    energy_per_site_error: float | None
    v_score: float | None
    e_infinity: float | None  # Tr H / dim, the zero of energies that the V-score counts from
    reference: float | None  # the exact lowest energy, where it is known
    relative_error: float | None
    r_hat: float | None
    tau: float | None
    acceptance: float | None
    seconds_per_step: float | None
    eta_seconds: float | None  # until the last step, without the final evaluation
    seconds: float | None  # wall time of all starts together
    restarts: int | None
    n_sites: int | None
    n_parameters: int | None
    n_ranks: int | None
    job: str | None  # of Slurm
    command: str | None  # that makes it run again
    troubles: list[str]  # files of its folder that cannot be read


class Found(NamedTuple):
    """A row and what it was read from."""

    row: Row
    traces: Traces


def read_rows(holding: Holding, now: float) -> list[Found]:
    """A row for each place, in their order; asks Slurm at most once. ``now``: the Unix time."""
    all_traces = [traces(place) for place in holding.places]
    queue = NOT_ASKED
    if any(_needs_slurm(found) for found in all_traces):
        try:
            queue = slurm_queue.ask(holding.folder.stat().st_uid)
        except OSError:
            queue = slurm_queue.ask(os.getuid())
    verdicts = followers(all_traces, [judge(found, queue, now) for found in all_traces])
    each = zip(all_traces, verdicts, swept(all_traces), strict=True)
    return [Found(_row(found, verdict, of_it), found) for found, verdict, of_it in each]


def _needs_slurm(found: Traces) -> bool:
    if found.done is not None and found.done >= (n_steps(found) or 0):
        return False
    return in_batch(found) or (found.owner is not None and found.owner.job is not None)


def _row(found: Traces, verdict: Verdict, of_it: Told) -> Row:
    summary, point = found.summary, found.place.point
    final = summary.get("final") is True
    energies = section(summary, "energy")
    seen = summary  # where acceptance, R-hat and tau stand
    energy, error, variance = (number(energies.get(key)) for key in ("mean", "error", "variance"))
    n_sites = count(summary.get("n_sites")) or (count(point.n_sites) if point is not None else None)
    v_score = number(summary.get("v_score"))
    zero = _e_infinity(energy, variance, n_sites, v_score)
    line = next((line for line in reversed(found.steps) if number(line.get("energy")) is not None), None)
    if not final and line is not None:  # the summary of a running job may be half a minute old
        energy, error, variance = (number(line.get(key)) for key in ("energy", "energy_error", "energy_variance"))
        seen, v_score = line, _v_score(energy, variance, n_sites, zero)
    reference = number(section(summary, "reference").get("energy"))
    reached, target, per_step = step(found), n_steps(found), step_seconds(found)
    left = None
    if reached is not None and target is not None and per_step is not None and reached <= target:
        left = (target - reached) * per_step  # a target that lies behind: a run that is asked for fewer steps now
    counts = verdict.state in ("running", "requeued", "queued")
    return Row(
        name=clean(found.place.name),
        swept=of_it,
        state=verdict.state,
        why=verdict.why or _of_its_sector(summary, verdict),
        step=reached,
        n_steps=target,
        energy=energy,
        energy_error=error,
        energy_variance=variance,
        final=final,
        energy_per_site=_over(energy, n_sites),
        energy_per_site_error=_over(error, n_sites),
        v_score=v_score,
        e_infinity=zero,
        reference=reference,
        relative_error=number((energy - reference) / abs(reference)) if reference and energy is not None else None,
        r_hat=number(seen.get("r_hat")),
        tau=number(seen.get("tau")),
        acceptance=number(seen.get("acceptance")),
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


def _of_its_sector(summary: dict[str, Any], verdict: Verdict) -> str:
    """What a finished run says where its sector does not hold the ground state."""
    reference = section(summary, "reference")
    above = number(reference.get("above_lowest")) or number(reference.get("network_above"))
    return text(summary.get("reason")) or "" if verdict.state == "done" and above else ""


def _over(value: float | None, n: int | None) -> float | None:
    return value / n if value is not None and n else None


def _e_infinity(energy: float | None, variance: float | None, n: int | None, v_score: float | None) -> float | None:
    """What the V-score N Var / (E - E_infinity)² was made with, above E; summaries do not say it."""
    if energy is None or variance is None or not n or not v_score or variance / v_score < 0:
        return None
    zero = energy + math.sqrt(n * variance / v_score)
    if not math.isfinite(zero):
        return None
    return 0.0 if abs(zero) < 1e-9 * abs(energy) else zero  # rounding, where H has no trace


def _v_score(energy: float | None, variance: float | None, n: int | None, zero: float | None) -> float | None:
    if energy is None or variance is None or n is None or zero is None or energy == zero:
        return None
    return number(n * variance / (energy - zero) / (energy - zero))  # a square could overflow
