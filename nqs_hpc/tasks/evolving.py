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
from nqs_hpc.parallel.keys import own_purpose, purpose_key
from nqs_hpc.stats.chains import widened
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import places
from nqs_hpc.tasks import trajectory
from nqs_hpc.tasks.beginning import compared, comparing, unresolved
from nqs_hpc.tasks.lines import energy_summary
from nqs_hpc.tasks.observing import Tally, observing
from nqs_hpc.tasks.straying import Limits, concluded, from_exact
from nqs_hpc.tasks.told import quantities
from nqs_hpc.tasks.trajectory import Course, times_of_output
from nqs_hpc.types import Ansatz, Batch, Ending, Observable, Progress, Quantity, Result, Sampler, Samples, Tree

GROWING = tuple(f"memory/course/{name}" for name in trajectory.GROWING)
FIRST_STATE = "first"  # chains of the state at the beginning of the trajectory
SAMPLE_FIRST = own_purpose("dynamics: samples of the first state")
OF_SUMMARY = ("time", "dt", "energy_drift", "r2", "bound")


class Found(NamedTuple):
    """What was found at new parameters; nothing where they are not of a time of output."""

    course: Course
    chains: dict[str, Tree]
    results: list[Result]
    said: dict[str, str]  # of the results, by a name for each kind


class Evolving(NamedTuple):
    """Functions of a trajectory from time 0 to ``t_end``."""

    times: list[float]  # of output
    fresh: Callable[[Tree], Course]  # the parameters at the beginning
    begun: Callable[[Course, Tree], Course]  # the same with other ones
    chains: Callable[[Tree], dict[str, Tree]]  # fresh or warm chains of the first state -> those that are kept beside
    # course, all chains, step, params, samples, counts, batch -> what was found, where this is a time of output;
    # collective
    measured: Callable[..., Found]
    # course, whether a line tells of the parameters as they are
    progress: Callable[[Course, bool], Progress]
    # course -> what ends a run, as `types.Task.finish`
    ended: Callable[[Course], Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending]]
    summary: Callable[[dict[str, Any], dict[str, Any] | None], dict[str, Any]]
    results: Callable[[Course], tuple[Result, ...]]  # all that was measured so far
    impossible: Callable[[Course], str]
    shown: tuple[Quantity, ...]
    jitted: tuple[Any, ...]


def evolving(
    ansatz: Ansatz,
    sampler: Sampler,
    draw: Callable[..., tuple[Tree, Samples, dict[str, Any]]],
    comm: Comm,
    *,
    seed: int,
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
    """``draw``: the compiled ``sampler.sample``. ``also``: keys of a line that summary.json has beside those of every
    trajectory.
    """
    rank = np.int32(comm.rank)
    of_now = {label: one for label, one in observables.items() if one.between is None}
    seen = observing(ansatz, [], of_now, sampler, comm, basis=basis, chunk=chunk, memory=memory)
    measure = jax.jit(seen.measure)
    times = times_of_output(t_end, spacing)
    n_values = trajectory.columns(observables)[-1].at.stop
    compare = comparing(ansatz, observables, sampler, comm)

    def measured(
        course: Course,
        chains: dict[str, Tree],
        step: int,
        params: Tree,
        samples: Samples,
        counts: dict[str, Any],
        batch: Batch,
    ) -> Found:
        n = int(course.n_measured)
        results: list[Result] = []
        said: dict[str, str] = {}
        if n >= len(times) or float(course.time) != times[n]:
            return Found(course, chains, results, said)
        if of_now:
            tally = Tally(seen, sampler)
            tally.add(measure(params, samples, counts, rank)[0])
            results += tally.results()
        if compare is not None:
            key = purpose_key(seed, SAMPLE_FIRST, step)
            own, then, _ = draw(key, course.beginning, chains[FIRST_STATE])
            chains = chains | {FIRST_STATE: own}
            both = compared(compare, *jax.device_get(compare.measure(params, course.beginning, samples, then, rank)))
            said = unresolved(compare, both, sampler.n_samples)
            results += both
        e_loc_A, w_A = np.asarray(batch.e_loc_A), np.asarray(batch.w_A)
        error = widened(float(batch.estimate.error), e_loc_A, sampler.chain_length, w_A)
        energy = float(np.real(batch.estimate.mean)), error
        return Found(trajectory.measured(course, observables, energy, results), chains, results, said)

    def progress(course: Course, is_told: bool) -> Progress:
        time = float(course.time)
        if limits.stop is not None and float(course.bound) > limits.stop and is_told:
            return Progress(time, time, "time")
        # at the end there is still a line to be written
        return Progress(time if is_told or time < t_end else math.nextafter(t_end, 0.0), t_end, "time")

    def ended(course: Course) -> Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending]:
        results = trajectory.series(course, observables)

        def ending(lines: list[dict[str, Any]], reference: dict[str, Any] | None) -> Ending:
            against = {} if reference is None else from_exact(results, reference)
            found = concluded(lines, limits, against, t_end=t_end, is_real=is_real, e_infinity=e_infinity)
            line = found.line | {"observables": trajectory.newest(course, observables)}
            return found._replace(line=line, results=results)

        return ending

    def summary(line: dict[str, Any], reference: dict[str, Any] | None) -> dict[str, Any]:
        sizes: dict[str, Any] = {"n_sites": places(basis.hilbert), "n_samples": sampler.n_samples}
        own = energy_summary(line, None, e_infinity=e_infinity, **sizes) | {"v_score": None}
        of_time = {name: line.get(name) for name in (*OF_SUMMARY, *also)}
        return own | of_time | {"t_end": t_end, "observables": line.get("observables", {})}

    def impossible(course: Course) -> str:
        if not 0 <= int(course.n_measured) <= len(course.times_G):
            return f"memory/course/n_measured is {int(course.n_measured)}, expected a number of times of output"
        return ""

    return Evolving(
        times,
        lambda params: trajectory.fresh(len(times), n_values, None if compare is None else params),
        lambda course, params: course if compare is None else course._replace(beginning=params),
        lambda chains: {} if compare is None else {FIRST_STATE: chains},
        measured,
        progress,
        ended,
        summary,
        lambda course: trajectory.series(course, observables),
        impossible,
        trajectory.shown(quantities(observables), real=is_real),
        (measure,) if compare is None else (measure, compare.measure),
    )
