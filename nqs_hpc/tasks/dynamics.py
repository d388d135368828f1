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

from nqs_hpc.integrators.tableau import Integrator
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import Purpose, own_purpose, purpose_key
from nqs_hpc.system.basis import Basis
from nqs_hpc.tasks import trajectory
from nqs_hpc.tasks.chains import outside, placed
from nqs_hpc.tasks.evolving import GROWING, evolving
from nqs_hpc.tasks.guard import possible
from nqs_hpc.tasks.lines import metrics
from nqs_hpc.tasks.measurement import check_hashes
from nqs_hpc.tasks.stages import BEGIN, CHAINS, Memory, fresh, stages
from nqs_hpc.tasks.straying import Limits, said_of
from nqs_hpc.tasks.told import line_of, numbers_of
from nqs_hpc.tasks.trajectory import has_collapsed
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

ROUNDING = 1e-10  # of a velocity
FIRST, WARM_UP, SAMPLE = (own_purpose(f"dynamics: {what}") for what in ("chains", "warm-up", "samples"))


class Arrival(NamedTuple):
    """What was found at new parameters."""

    examined: Examined
    results: list[Result]  # at a time of output
    said: dict[str, str]  # of these, by a name for each kind


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
    kick: Callable[[Tree], Tree] = lambda params: params,
    configuration: NDArray[np.int8] | None = None,
    is_driven: bool = False,
) -> Task:
    """From time 0 to ``t_end``, with ``observables`` at the multiples of ``spacing``. ``is_real``: real time; else
    imaginary. ``start``: random parameters -> those to begin with. ``is_driven``: whether H depends on time.
    ``kick``: parameters -> those of the state that it makes of the first one, whichever that is. ``configuration``:
    where all chains begin; None: anywhere.
    """
    factor = 1j if is_real else 1.0
    functions = velocity(ansatz, operator, sampler, projection, comm, factor=factor, chunk=chunk, memory=memory)
    common = evolving(
        ansatz,
        sampler,
        functions.draw,
        comm,
        seed=seed,
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
    step = stages(ansatz, integrator, functions, comm, times)
    learn = sampler.adapt
    adapt = None if learn is None else jax.jit(lambda *given: learn(*given)[0])
    told: set[str] = set()  # of messages that a start says once
    spent = dict.fromkeys(("seconds", "sample_s", "local_energy_s", "solve_s"), 0.0)  # since the last line

    def first_state(chains: Tree) -> RunState:
        params = start(ansatz.init(jax.random.wrap_key_data(jnp.asarray(purpose_key(seed, Purpose.PARAMETERS)))))
        params, chains = kick(params), placed(chains, configuration)
        kept = fresh(common.fresh(params), integrator, params, ansatz)
        return strong(RunState(jnp.int32(0), params, {CHAINS: chains, BEGIN: chains} | common.chains(chains), kept))

    first_jit = jax.jit(first_state)

    def warmed(state: RunState) -> RunState:
        chains = state.chains[CHAINS]
        for call in range(sampler.warmup_calls):
            chains, _, _ = functions.draw(purpose_key(seed, WARM_UP, stage=call), state.params, chains)
        return state._replace(chains=dict.fromkeys(state.chains, chains))

    def turn(state: RunState) -> tuple[RunState, Record | None]:
        begun = clock.monotonic()
        state = step.begun(state)
        kept: Memory = state.memory
        stage, tried, now = int(kept.stage), float(kept.tried), float(kept.course.time)
        params = step.params(state)
        key = purpose_key(seed, SAMPLE, int(state.step), int(kept.attempt) * n_stages + stage)
        chains, samples, counts = jax.block_until_ready(functions.draw(key, params, state.chains[CHAINS]))
        sampled = clock.monotonic()
        at = now + integrator.c[stage] * tried if stage else now
        batch, shared = jax.block_until_ready(functions.evaluate(params, samples, counts, at))
        check_hashes(shared.hash_R, int(state.step))
        evaluated = clock.monotonic()
        slope_P, info = functions.project(params, batch)
        slopes_SP, is_finite = step.put(kept.slopes_SP, stage, slope_P)
        good = bool(is_finite) and is_possible(batch, operator.bounds)
        state = state._replace(
            chains=state.chains | {CHAINS: chains},
            memory=kept._replace(slopes_SP=slopes_SP, n_velocities=kept.n_velocities + 1, stage=jnp.int32(stage + 1)),
        )
        spent["sample_s"] += sampled - begun
        spent["local_energy_s"] += evaluated - sampled
        spent["solve_s"] += clock.monotonic() - evaluated

        is_new = stage == 0
        good = good and not (is_new and has_collapsed(kept.course, float(batch.estimate.variance)))
        if is_new and good and integrator.error is None and float(kept.led) > 0:
            apart_P = float(kept.led) * integrator.correction * (slope_P - kept.slopes_SP[-1])
            state = state._replace(memory=state.memory._replace(error=functions.length(params, batch, apart_P)))
        if not good:
            state, is_new = step.led_nowhere(state), False
        elif integrator.error is not None and stage == n_stages - 1:
            state, is_new = step.weighed(state, params, batch, slope_P)
        if not is_new:
            spent["seconds"] += clock.monotonic() - begun
            return state, None
        state, found = arrived(state, params, samples, counts, batch, slope_P)
        spent["seconds"] += clock.monotonic() - begun
        of_line = (state.memory, found, batch, shared.counts, info, dict(spent))
        spent.update(dict.fromkeys(spent, 0.0))
        return state, Record(lambda: line(*of_line), lambda line: messages(state.memory, found.said, line))

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
        found = common.measured(course, state.chains, int(state.step), params, samples, counts, batch)
        own = state.chains[CHAINS] if adapt is None else adapt(state.chains[CHAINS], batch.e_loc_A, batch.counts)
        chains, memory = found.chains | {CHAINS: own, BEGIN: own}, kept._replace(course=found.course)
        arrival = Arrival(examined, found.results, found.said)
        return RunState(state.step + 1, state.params, chains, memory), arrival

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
        noise, speed = float(examined.noise) if sampler.chain_length else None, float(examined.speed)
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
            "speed": speed,
            "noise": noise,
            "signal_to_noise": speed / noise if noise and noise > ROUNDING * speed else None,
            "n_velocities": int(kept.n_velocities),
        }
        return of_time | whole | line_of(numbers_of(found.results))

    def messages(kept: Memory, said: dict[str, str], line: dict[str, Any]) -> list[str]:
        found = said_of(line, limits, integrator, at_floor=int(kept.n_at_floor) > 0)
        found |= {label: f"t={line['time']:.6g}: {text}" for label, text in said.items()}
        new = [text for name, text in found.items() if name not in told]
        told.update(found)
        return new

    def failed(state: RunState) -> str:
        if not bool(state.memory.is_stuck):
            return ""
        shorter = "task.integrator.dt" if steps.tolerance is None else "task.integrator.dt_least"
        what = (
            "the velocity of the parameters is not finite, no state of the spectrum has the energies found, or their "
            "variance has vanished in a step"
        )
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
        params = kick(params)
        memory = state.memory._replace(course=common.begun(state.memory.course, params))
        return state._replace(params=params, memory=memory)

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
        jitted=(first_jit, *step.jitted, *common.jitted, *functions.jitted),
        results=lambda state: common.results(state.memory.course),
        functions=functions,
    )
