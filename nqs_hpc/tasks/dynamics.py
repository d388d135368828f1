"""Evolution in time by the time-dependent variational principle (t-VMC), real or imaginary.

A turn is one velocity (`tasks.velocity`), a stage of a step of the integrator. The state holds the slopes of the stages
so far, so that it can be stopped after each of them. A line of metrics.jsonl belongs to one time: what the state is
there, and how the step that led there went. Chains of one stage go on from those of the stage before; those of a step
that is rejected begin again where the step began.

Carleo et al., Sci. Rep. 2, 243 (2012); Carleo & Troyer, Science 355, 602 (2017), arXiv:1606.02318; Schmitt & Heyl,
Phys. Rev. Lett. 125, 100503 (2020), arXiv:1912.08828.
"""

from __future__ import annotations

import math
import time as clock
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.gradient.flat import flat
from nqs_hpc.integrators.control import judged, trial
from nqs_hpc.integrators.tableau import Integrator
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import Purpose, own_purpose, purpose_key
from nqs_hpc.system.basis import Basis
from nqs_hpc.tasks import trajectory
from nqs_hpc.tasks.chains import outside
from nqs_hpc.tasks.evolving import GROWING, evolving
from nqs_hpc.tasks.guard import possible
from nqs_hpc.tasks.lines import metrics
from nqs_hpc.tasks.measurement import check_hashes
from nqs_hpc.tasks.straying import Limits, said_of
from nqs_hpc.tasks.told import line_of, numbers_of
from nqs_hpc.tasks.trajectory import Course, has_collapsed
from nqs_hpc.tasks.trees import strong
from nqs_hpc.tasks.velocity import Examined, velocity
from nqs_hpc.types import (
    Ansatz,
    Batch,
    Ending,
    Observable,
    Operator,
    Progress,
    Projection,
    Record,
    Result,
    RunState,
    Sampler,
    Samples,
    Task,
    Tree,
)

CHAINS, BEGIN = "samples", "begin"  # chains as they are, and as they were at the beginning of the step under way
FIRST, WARM_UP, SAMPLE = (own_purpose(f"dynamics: {what}") for what in ("chains", "warm-up", "samples"))


class Memory(NamedTuple):
    """What lies between the turns of a step; the same on every rank. The parameters of the state are those of its
    beginning.
    """

    course: Course
    stage: Array  # int32, which comes next; 0: the parameters are new, and no line is written of them
    attempt: Array  # int32, at the step under way
    dt: Array  # length of a step, but for times of output
    tried: Array  # length of the step under way
    led: Array  # length of the step that led to the parameters; 0 at the beginning
    attempts: Array  # int32, that step took
    error: Array  # of that step, a distance in Hilbert space
    slopes_SP: Array
    n_velocities: Array  # int32, so far
    n_rejected: Array  # int32, steps so far
    n_at_floor: Array  # int32, steps taken though their error was above the tolerance
    is_stuck: Array  # bool: a step led nowhere, and no shorter one is allowed


class Arrival(NamedTuple):
    """What was found at new parameters."""

    examined: Examined
    results: tuple[Result, ...]  # at a time of output


def is_possible(batch: Batch, bounds: tuple[float, float]) -> bool:
    """Whether a state of the spectrum could have these energies (`tasks.guard`)."""
    mean, variance = complex(batch.estimate.mean), float(batch.estimate.variance)
    return math.isfinite(variance) and math.isfinite(mean.real) and bool(possible(mean, variance, bounds))


def dynamics(
    ansatz: Ansatz,
    operator: Operator,
    sampler: Sampler,
    projection: Projection,
    comm: Comm,
    *,
    integrator: Integrator,
    is_real: bool,
    t_end: float,
    spacing: float,
    limits: Limits,
    basis: Basis,
    seed: int,
    chunk: int | None,
    memory: int,
    observables: Mapping[str, Observable] = MappingProxyType({}),
    start: Callable[[Tree], Tree] = lambda params: params,
    is_driven: bool = False,
) -> Task:
    """From time 0 to ``t_end``, with ``observables`` at the multiples of ``spacing``. ``is_real``: real time; else
    imaginary. ``start``: random parameters -> those to begin with. ``is_driven``: whether H depends on time.
    """
    factor = 1j if is_real else 1.0
    functions = velocity(ansatz, operator, sampler, projection, comm, factor=factor, chunk=chunk, memory=memory)
    common = evolving(
        ansatz,
        sampler,
        comm,
        is_real=is_real,
        t_end=t_end,
        spacing=spacing,
        limits=limits,
        basis=basis,
        e_infinity=operator.e_infinity,
        chunk=chunk,
        memory=memory,
        observables=observables,
        also=("n_velocities",),
    )
    times = common.times
    n_stages, steps = integrator.n_stages, integrator.steps
    coefficients = np.array([[*row, *[0.0] * (n_stages - len(row))] for row in integrator.a])
    weights, error_weights = np.array(integrator.b), np.array(integrator.error or [0.0] * n_stages)
    learn = sampler.adapt
    adapt = None if learn is None else jax.jit(lambda chains, e_loc_A: learn(chains, e_loc_A)[0])
    told: set[str] = set()  # of messages that a start says once
    spent = dict.fromkeys(("seconds", "sample_s", "local_energy_s", "solve_s"), 0.0)  # since the last line

    def first_state(chains: Tree) -> RunState:
        params = start(ansatz.init(jax.random.wrap_key_data(jnp.asarray(purpose_key(seed, Purpose.PARAMETERS)))))
        form = flat(params, ansatz.kind)
        kept = Memory(
            course=common.fresh(),
            stage=jnp.int32(0),
            attempt=jnp.int32(0),
            dt=jnp.float64(steps.first),
            tried=jnp.float64(0),
            led=jnp.float64(0),
            attempts=jnp.int32(0),
            error=jnp.float64(0),
            slopes_SP=jnp.zeros((n_stages, form.n_parameters), form.dtype),
            n_velocities=jnp.int32(0),
            n_rejected=jnp.int32(0),
            n_at_floor=jnp.int32(0),
            is_stuck=jnp.bool_(False),
        )
        return strong(RunState(jnp.int32(0), params, {CHAINS: chains, BEGIN: chains}, kept))

    first_jit = jax.jit(first_state)

    @jax.jit
    def moved(params: Tree, slopes_SP: Array, factors_S: Array | NDArray[np.floating]) -> Tree:
        """Parameters moved by a combination of slopes."""
        form = flat(params, ansatz.kind)
        return form.unravel(form.ravel(params) + jnp.asarray(factors_S).astype(slopes_SP.real.dtype) @ slopes_SP)

    @jax.jit
    def put(slopes_SP: Array, stage: Array, slope_P: Array) -> tuple[Array, Array]:
        return slopes_SP.at[stage].set(slope_P), jnp.all(jnp.isfinite(slope_P))

    everywhere = jax.jit(comm.max)  # what ranks decide from equal numbers, they decide alike

    def warmed(state: RunState) -> RunState:
        chains = state.chains[CHAINS]
        for call in range(sampler.warmup_calls):
            chains, _, _ = functions.draw(purpose_key(seed, WARM_UP, stage=call), state.params, chains)
        return state._replace(chains={CHAINS: chains, BEGIN: chains})

    def turn(state: RunState) -> tuple[RunState, Record | None]:
        begun = clock.monotonic()
        state = stepped(state)
        kept: Memory = state.memory
        stage, tried, now = int(kept.stage), float(kept.tried), float(kept.course.time)
        params = moved(state.params, kept.slopes_SP, tried * coefficients[stage]) if stage else state.params
        key = purpose_key(seed, SAMPLE, int(state.step), int(kept.attempt) * n_stages + stage)
        chains, samples, counts = jax.block_until_ready(functions.draw(key, params, state.chains[CHAINS]))
        sampled = clock.monotonic()
        at = now + integrator.c[stage] * tried if stage else now
        batch, shared = jax.block_until_ready(functions.evaluate(params, samples, counts, at))
        check_hashes(shared.hash_R, int(state.step))
        evaluated = clock.monotonic()
        slope_P, info = functions.project(params, batch)
        slopes_SP, is_finite = put(kept.slopes_SP, stage, slope_P)
        good = bool(is_finite) and is_possible(batch, operator.bounds)
        state = state._replace(
            chains={CHAINS: chains, BEGIN: state.chains[BEGIN]},
            memory=kept._replace(slopes_SP=slopes_SP, n_velocities=kept.n_velocities + 1, stage=jnp.int32(stage + 1)),
        )
        spent["sample_s"] += sampled - begun
        spent["local_energy_s"] += evaluated - sampled
        spent["solve_s"] += clock.monotonic() - evaluated

        is_new = stage == 0
        if is_new and good and integrator.error is None and float(kept.led) > 0:
            apart_P = float(kept.led) * integrator.correction * (slope_P - kept.slopes_SP[-1])
            state = state._replace(memory=state.memory._replace(error=functions.length(params, batch, apart_P)))
        if not good:
            state, is_new = led_nowhere(state), False
        elif integrator.error is not None and stage == n_stages - 1:
            state, is_new = weighed(state, params, batch, slope_P)
        if not is_new:
            spent["seconds"] += clock.monotonic() - begun
            return state, None
        state, found = arrived(state, params, samples, counts, batch, slope_P)
        spent["seconds"] += clock.monotonic() - begun
        of_line = (state.memory, found, batch, shared.counts, info, dict(spent))
        spent.update(dict.fromkeys(spent, 0.0))
        return state, Record(lambda: line(*of_line), lambda line: messages(state.memory, line))

    def stepped(state: RunState) -> RunState:
        """With the length of the step under way; and where all its stages are known, and there is no error to weigh,
        with the parameters that it leads to.
        """
        kept: Memory = state.memory
        stage, course = int(kept.stage), kept.course
        if stage == 0:
            return state
        now, target = float(course.time), times[min(int(course.n_measured), len(times) - 1)]
        step = trial(steps, float(kept.dt), now, target)
        if stage == 1:
            kept = kept._replace(tried=jnp.float64(step.dt))
        if stage < n_stages:
            return state._replace(memory=kept)
        return taken(state._replace(memory=kept), moved(state.params, kept.slopes_SP, step.dt * weights))

    def taken(state: RunState, params: Tree, error: float = 0.0, dt: float | None = None) -> RunState:
        """After the step under way, which led to ``params``. ``dt``: length of the next one."""
        kept: Memory = state.memory
        now, target = float(kept.course.time), times[int(kept.course.n_measured)]
        step = trial(steps, float(kept.dt), now, target)
        kept = kept._replace(
            course=kept.course._replace(time=jnp.float64(target if step.lands else now + step.dt)),
            stage=jnp.int32(0),
            attempt=jnp.int32(0),
            dt=kept.dt if dt is None else jnp.float64(dt),
            led=kept.tried,
            attempts=kept.attempt + 1,
            error=jnp.float64(error),
        )
        return state._replace(params=params, memory=kept)

    def weighed(state: RunState, params: Tree, batch: Batch, slope_P: Array) -> tuple[RunState, bool]:
        """After the last stage of a step whose error is known, at ``params``: taken or rejected, and whether a velocity
        at the new parameters is known.
        """
        kept: Memory = state.memory
        tried = float(kept.tried)
        error_P = jnp.asarray(tried * error_weights).astype(kept.slopes_SP.real.dtype) @ kept.slopes_SP
        error = float(everywhere(functions.length(params, batch, error_P)))
        if has_collapsed(kept.course, float(batch.estimate.variance)):
            error = math.inf
        found = judged(integrator, float(kept.dt), tried, error)
        if not found.accepted:
            return rejected(state, found.dt), False
        if found.at_floor:
            state = state._replace(memory=kept._replace(n_at_floor=kept.n_at_floor + 1))
        to = params if integrator.is_fsal else moved(state.params, kept.slopes_SP, tried * weights)
        state = taken(state, to, error, found.dt)
        if not integrator.is_fsal:
            return state, False
        slopes_SP, _ = put(kept.slopes_SP, 0, slope_P)
        return state._replace(memory=state.memory._replace(slopes_SP=slopes_SP, stage=jnp.int32(1))), True

    def led_nowhere(state: RunState) -> RunState:
        """After a velocity that is not finite."""
        kept: Memory = state.memory
        tried = float(kept.tried)
        if int(kept.stage) > 1 and integrator.error is not None:
            found = judged(integrator, float(kept.dt), tried, math.inf)
            if tried > steps.least and found.dt < tried:
                return rejected(state, found.dt)
        stuck = kept._replace(is_stuck=jnp.bool_(True), stage=jnp.int32(min(int(kept.stage) - 1, 1)))
        return state._replace(memory=stuck)

    def rejected(state: RunState, dt: float) -> RunState:
        kept: Memory = state.memory
        kept = kept._replace(
            stage=jnp.int32(1), attempt=kept.attempt + 1, n_rejected=kept.n_rejected + 1, dt=jnp.float64(dt)
        )
        return state._replace(chains={CHAINS: state.chains[BEGIN], BEGIN: state.chains[BEGIN]}, memory=kept)

    def arrived(
        state: RunState, params: Tree, samples: Samples, counts: dict[str, Array], batch: Batch, slope_P: Array
    ) -> tuple[RunState, Arrival]:
        """At new parameters, whose velocity is known: how far they can have strayed, and at a time of output what is
        measured there. Collective.
        """
        kept: Memory = state.memory
        examined = jax.device_get(functions.examine(params, batch, slope_P))
        energy, variance = float(np.real(batch.estimate.mean)), float(batch.estimate.variance)
        course = trajectory.strayed(
            kept.course,
            r2=float(examined.r2),
            noise=float(examined.noise),
            variance=variance,
            energy=energy,
            dt=float(kept.led),
            error=float(kept.error),
            noise_of_error=noise_of_error(float(examined.noise), float(kept.led)),
        )
        course, results = common.measured(course, params, samples, counts, batch)
        own = state.chains[CHAINS] if adapt is None else adapt(state.chains[CHAINS], batch.e_loc_A)
        memory = kept._replace(course=course)
        return RunState(state.step + 1, state.params, {CHAINS: own, BEGIN: own}, memory), Arrival(examined, results)

    def noise_of_error(noise: float, dt: float) -> float:
        """What independent noise of all velocities adds to the estimated error of a step."""
        parts = integrator.error or (integrator.correction, integrator.correction)
        return noise * dt * math.sqrt(sum(part * part for part in parts))

    def line(
        kept: Memory,
        found: Arrival,
        batch: Batch,
        counts: dict[str, Any],
        info: dict[str, Any],
        times_of_line: dict[str, float],
    ) -> dict[str, Any]:
        examined, course = found.examined, kept.course
        whole = metrics(batch, counts, info | {"rejected": False}, times_of_line, sampler.chain_length)
        del whole["rejected"]
        drift = float(course.drift) if is_real and not is_driven else None
        noise = float(examined.noise) if sampler.chain_length else None
        of_time = {
            "time": float(course.time),
            "dt": float(kept.led),
            "attempts": int(kept.attempts),
            "step_error": float(kept.error),
            "steps_error": float(course.integration),
            "energy_drift": drift,
            "r2": float(examined.r2),
            "bound": float(course.bound),
            "scatter": math.sqrt(float(course.scatter)) if sampler.chain_length else None,
            "speed": float(examined.speed),
            "noise": noise,
            "signal_to_noise": float(examined.speed) / noise if noise else None,
            "n_velocities": int(kept.n_velocities),
        }
        return of_time | whole | line_of(numbers_of(found.results))

    def messages(kept: Memory, line: dict[str, Any]) -> list[str]:
        found = said_of(line, limits, integrator, at_floor=int(kept.n_at_floor) > 0)
        new = [text for name, text in found.items() if name not in told]
        told.update(found)
        return new

    def failed(state: RunState) -> str:
        if not bool(state.memory.is_stuck):
            return ""
        shorter = "task.integrator.dt" if steps.tolerance is None else "task.integrator.dt_least"
        what = "the velocity of the parameters is not finite, or no state of the spectrum has the energies sampled"
        where = f"t={float(state.memory.course.time):g}: {what}"
        return f"{where}; lower {shorter}, or raise task.cut"

    def retried(state: RunState) -> RunState:
        return state._replace(memory=state.memory._replace(is_stuck=jnp.bool_(False)))

    def progress(state: RunState) -> Progress:
        kept: Memory = state.memory
        return common.progress(kept.course, int(kept.stage) > 0)

    def finish(
        state: RunState, go_on: Callable[[], bool], say: Callable[[str], None]
    ) -> Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending] | None:
        del go_on, say
        return common.ended(state.memory.course)

    def given(state: RunState, params: Tree, learnt: Tree | None = None) -> RunState:
        del learnt
        return state._replace(params=params)

    def programs(*, fresh: bool) -> list[Program]:
        chains = jax.eval_shape(sampler.init, jax.ShapeDtypeStruct((2,), np.uint32), np.int32(comm.rank))
        state = jax.eval_shape(first_jit, chains)
        found = functions.programs(state.params, chains)
        return [*found, *[Program(first_jit, (chains,))] * fresh]

    def impossible(state: RunState) -> str:
        kept: Memory = state.memory
        if not 0 <= int(kept.stage) <= n_stages:
            return f"memory/stage is {int(kept.stage)}, expected a number from 0 to {n_stages}"
        return common.impossible(kept.course) or outside(state.chains, basis.hilbert)

    return Task(
        init=lambda: first_jit(functions.fresh_chains(purpose_key(seed, FIRST))),
        warmed=warmed,
        given=given,
        turn=turn,
        progress=progress,
        failed=failed,
        retried=retried,
        finish=finish,
        summary=common.summary,
        impossible=impossible,
        shown=common.shown,
        growing=GROWING,
        programs=programs,
        jitted=(first_jit, moved, put, everywhere, *common.jitted, *functions.jitted),
        functions=functions,
    )
