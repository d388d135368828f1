"""What every way to evolve in time does alike: it measures at the times of output, says how far it is, and what it
came to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.chains import widened
from nqs_hpc.system.basis import Basis
from nqs_hpc.tasks import trajectory
from nqs_hpc.tasks.lines import energy_summary
from nqs_hpc.tasks.observing import Tally, observing
from nqs_hpc.tasks.straying import Limits, concluded
from nqs_hpc.tasks.told import quantities
from nqs_hpc.tasks.trajectory import Course, times_of_output
from nqs_hpc.types import Ansatz, Batch, Ending, Observable, Progress, Quantity, Result, Sampler, Samples, Tree

GROWING = tuple(f"memory/course/{name}" for name in trajectory.GROWING)
OF_SUMMARY = ("time", "dt", "energy_drift", "r2", "bound")


class Evolving(NamedTuple):
    """Functions of a trajectory from time 0 to ``t_end``."""

    times: list[float]  # of output
    fresh: Callable[[], Course]
    # course, params, samples, counts, batch -> with what was found where this is a time of output; collective
    measured: Callable[..., tuple[Course, tuple[Result, ...]]]
    # course, whether a line tells of the parameters as they are
    progress: Callable[[Course, bool], Progress]
    # course -> what ends a run, as `types.Task.finish`
    ended: Callable[[Course], Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending]]
    summary: Callable[[dict[str, Any], dict[str, Any] | None], dict[str, Any]]
    impossible: Callable[[Course], str]
    shown: tuple[Quantity, ...]
    jitted: tuple[Any, ...]


def evolving(
    ansatz: Ansatz,
    sampler: Sampler,
    comm: Comm,
    *,
    is_real: bool,
    t_end: float,
    spacing: float,
    limits: Limits,
    basis: Basis,
    e_infinity: float,
    chunk: int | None,
    memory: int,
    observables: Mapping[str, Observable],
    also: tuple[str, ...],
) -> Evolving:
    """``also``: keys of a line that summary.json has beside those of every trajectory."""
    rank = np.int32(comm.rank)
    seen = observing(ansatz, [], observables, sampler, comm, basis=basis, chunk=chunk, memory=memory)
    measure = jax.jit(seen.measure)
    times = times_of_output(t_end, spacing)
    n_values = trajectory.columns(observables)[-1].at.stop

    def measured(
        course: Course, params: Tree, samples: Samples, counts: dict[str, Any], batch: Batch
    ) -> tuple[Course, tuple[Result, ...]]:
        n = int(course.n_measured)
        if n >= len(times) or float(course.time) != times[n]:
            return course, ()
        results: tuple[Result, ...] = ()
        if observables:
            tally = Tally(seen, sampler)
            tally.add(measure(params, samples, counts, rank)[0])
            results = tuple(tally.results())
        e_loc_A, w_A = np.asarray(batch.e_loc_A), np.asarray(batch.w_A)
        error = widened(float(batch.estimate.error), e_loc_A, sampler.chain_length, w_A)
        return trajectory.measured(course, (float(np.real(batch.estimate.mean)), error), results), results

    def progress(course: Course, is_told: bool) -> Progress:
        time = float(course.time)
        if limits.stop is not None and float(course.bound) > limits.stop and is_told:
            return Progress(time, time, "time")
        # at the end there is still a line to be written
        return Progress(time if is_told or time < t_end else math.nextafter(t_end, 0.0), t_end, "time")

    def ended(course: Course) -> Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending]:
        results = trajectory.series(course, observables)

        def ending(lines: list[dict[str, Any]], reference: dict[str, Any] | None) -> Ending:
            found = concluded(lines, limits, t_end=t_end, is_real=is_real, e_infinity=e_infinity)
            line = found.line | {"observables": trajectory.newest(course, observables)}
            return found._replace(line=line, results=results)

        return ending

    def summary(line: dict[str, Any], reference: dict[str, Any] | None) -> dict[str, Any]:
        sizes: dict[str, Any] = {"n_sites": basis.hilbert.n_sites, "n_samples": sampler.n_samples}
        own = energy_summary(line, None, e_infinity=e_infinity, **sizes) | {"v_score": None}
        of_time = {name: line.get(name) for name in (*OF_SUMMARY, *also)}
        return own | of_time | {"t_end": t_end, "observables": line.get("observables", {})}

    def impossible(course: Course) -> str:
        if not 0 <= int(course.n_measured) <= len(course.times_G):
            return f"memory/course/n_measured is {int(course.n_measured)}, expected a number of times of output"
        return ""

    return Evolving(
        times,
        lambda: trajectory.fresh(len(times), n_values),
        measured,
        progress,
        ended,
        summary,
        impossible,
        trajectory.shown(quantities(observables), real=is_real),
        (measure,),
    )
