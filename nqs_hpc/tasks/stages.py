"""The stages of a step of an explicit Runge-Kutta method, and whether it is taken: what a state keeps between them.

The slopes of the stages so far lie in the state, so that a run can be stopped after each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.gradient.flat import flat
from nqs_hpc.integrators.control import judged, trial
from nqs_hpc.integrators.tableau import Integrator
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.tasks.trajectory import Course, has_collapsed
from nqs_hpc.tasks.velocity import Velocity
from nqs_hpc.types import Ansatz, Batch, RunState, Tree

CHAINS, BEGIN = "samples", "begin"  # chains as they are, and as they were at the beginning of the step under way


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


class Stages(NamedTuple):
    """Functions of the state of a run, between two turns; what they decide is the same on all ranks."""

    begun: Callable[[RunState], RunState]  # with the length of the step under way, or after it
    params: Callable[[RunState], Tree]  # of the stage that comes next
    put: Callable[[Array, int, Array], tuple[Array, Array]]  # slopes, stage, its slope -> slopes, whether it is finite
    # after the last stage of a method that knows its error; whether a velocity at the new parameters is known
    weighed: Callable[[RunState, Tree, Batch, Array], tuple[RunState, bool]]
    led_nowhere: Callable[[RunState], RunState]  # after a velocity that cannot be
    jitted: tuple[Any, ...]


def fresh(course: Course, integrator: Integrator, params: Tree, ansatz: Ansatz) -> Memory:
    form = flat(params, ansatz.kind)
    return Memory(
        course=course,
        stage=jnp.int32(0),
        attempt=jnp.int32(0),
        dt=jnp.float64(integrator.steps.first),
        tried=jnp.float64(0),
        led=jnp.float64(0),
        attempts=jnp.int32(0),
        error=jnp.float64(0),
        slopes_SP=jnp.zeros((integrator.n_stages, form.n_parameters), form.dtype),
        n_velocities=jnp.int32(0),
        n_rejected=jnp.int32(0),
        n_at_floor=jnp.int32(0),
        is_stuck=jnp.bool_(False),
    )


def stages(ansatz: Ansatz, integrator: Integrator, functions: Velocity, comm: Comm, times: Sequence[float]) -> Stages:
    """``times``: of output, which steps land on."""
    n_stages, steps = integrator.n_stages, integrator.steps
    coefficients = np.array([[*row, *[0.0] * (n_stages - len(row))] for row in integrator.a])
    weights, error_weights = np.array(integrator.b), np.array(integrator.error or [0.0] * n_stages)

    @jax.jit
    def moved(params: Tree, slopes_SP: Array, factors_S: Array | NDArray[np.floating]) -> Tree:
        """Parameters moved by a combination of slopes."""
        form = flat(params, ansatz.kind)
        return form.unravel(form.ravel(params) + jnp.asarray(factors_S).astype(slopes_SP.real.dtype) @ slopes_SP)

    @jax.jit
    def put(slopes_SP: Array, stage: Array, slope_P: Array) -> tuple[Array, Array]:
        return slopes_SP.at[stage].set(slope_P), jnp.all(jnp.isfinite(slope_P))

    everywhere = jax.jit(comm.max)  # what ranks decide from equal numbers, they decide alike

    def begun(state: RunState) -> RunState:
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
        if not found.accepted and found.at_floor:
            return state._replace(memory=kept._replace(is_stuck=jnp.bool_(True), stage=jnp.int32(1))), False
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
        return state._replace(chains=state.chains | {CHAINS: state.chains[BEGIN]}, memory=kept)

    def params(state: RunState) -> Tree:
        kept: Memory = state.memory
        stage = int(kept.stage)
        return moved(state.params, kept.slopes_SP, float(kept.tried) * coefficients[stage]) if stage else state.params

    return Stages(begun, params, put, weighed, led_nowhere, (moved, put, everywhere))
