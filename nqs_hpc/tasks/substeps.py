"""What projected evolution keeps between its turns, and how the search of a substep goes on."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from nqs_hpc.tasks.damping import Judged, judged
from nqs_hpc.tasks.infidelity import Measured
from nqs_hpc.tasks.trajectory import Course
from nqs_hpc.types import RunState, Tree

# chains of psi as they are, and where the last step that was taken left them; those of the state the substep began with
CHAINS, BEGIN, BESIDE = "samples", "begin", "beside"
PATIENCE = 2  # steps in a row that bring nothing: of a fit, and of the gradient


class Goal(NamedTuple):
    """Where the search of a substep ends."""

    infidelity: float
    iterations: int


class Memory(NamedTuple):
    """What lies between the turns of a step; the same on every rank. The parameters of the state are those of its
    beginning.
    """

    course: Course
    substep: Array  # int32, from 1 on; 0: the parameters are new, and no line is written of them
    iteration: Array  # int32, evaluations in this substep so far
    turn: Array  # int32, evaluations in this step so far
    tried: Array  # length of the step under way
    led: Array  # length of the step that led to the parameters; 0 at the beginning
    mean: Array  # from which H is counted in this step
    fixed: Tree  # parameters at the beginning of the substep
    taken: Tree  # the best ones so far
    theta: Tree  # those to be evaluated
    is_trial: Array  # bool: they are a step away from the best ones, not the best ones themselves
    value: Array  # infidelity of the best ones
    error: Array
    promised: Array  # the part of it that the linear model leaves after the step
    shift: Array  # of the next step
    rank: Array  # of the last solve; NaN where the solver knows none
    idle: Array  # int32, steps in a row that brought nothing
    gained: Array  # bool: a step of this substep brought something
    values_S: Array  # infidelity of each substep of the step
    errors_S: Array
    total: Array  # of all substeps so far
    variance: Array  # of the total
    n_turns: Array  # int32, evaluations so far
    n_undone: Array  # int32, steps of searches so far that were undone
    n_cut: Array  # int32, searches that ended by the number of iterations while they still gained
    is_stuck: Array  # bool: the infidelity of the state itself is not finite


# what comes after an evaluation: a step from what was evaluated, an evaluation of the best parameters again, or the end
ANOTHER, AGAIN, OVER = "another", "again", "over"


def fresh(course: Course, params: Tree, n_substeps: int, shift: float) -> Memory:
    """At the beginning of a trajectory."""
    nothing, number, no = jnp.float64(0), jnp.int32(0), jnp.bool_(False)
    return Memory(
        course=course,
        substep=number,
        iteration=number,
        turn=number,
        tried=nothing,
        led=nothing,
        mean=nothing,
        fixed=params,
        taken=params,
        theta=params,
        is_trial=no,
        value=nothing,
        error=nothing,
        promised=nothing,
        shift=jnp.float64(shift),
        rank=jnp.float64(math.nan),
        idle=number,
        gained=no,
        values_S=jnp.zeros(n_substeps),
        errors_S=jnp.zeros(n_substeps),
        total=nothing,
        variance=nothing,
        n_turns=number,
        n_undone=number,
        n_cut=number,
        is_stuck=no,
    )


def decided(state: RunState, found: Measured, goal: Goal, least: float) -> tuple[RunState, str]:
    """After ``found``, the infidelity of what was evaluated, is known: with the step that led there taken or undone,
    and what comes next. ``least``: bound of the shift.
    """
    kept: Memory = state.memory
    is_trial, shift = bool(kept.is_trial), float(kept.shift)
    what = Judged(True, shift, False)
    if is_trial:
        before = (float(kept.value), float(kept.error))
        what = judged(before, found, float(kept.promised), shift, least=least)
        idle = int(kept.idle) + 1 if what.is_idle else 0
        gained = bool(kept.gained) or not what.is_idle
        kept = kept._replace(idle=jnp.int32(idle), gained=jnp.bool_(gained), shift=jnp.float64(what.shift))
    chains = state.chains
    if what.accepted:
        chains = chains | {BEGIN: chains[CHAINS]}
        kept = kept._replace(taken=kept.theta, value=jnp.float64(found.value), error=jnp.float64(found.error))
    else:
        chains = chains | {CHAINS: chains[BEGIN]}
        kept = kept._replace(theta=kept.taken, is_trial=jnp.bool_(False), n_undone=kept.n_undone + 1)
    is_idle = bool(kept.gained) and int(kept.idle) >= PATIENCE
    is_there = is_trial and what.accepted and found.value <= goal.infidelity
    if is_there or is_idle or int(kept.iteration) >= goal.iterations:
        kept = kept._replace(n_cut=kept.n_cut + jnp.int32(not is_there and not is_idle))
        return RunState(state.step, state.params, chains, kept), OVER
    return RunState(state.step, state.params, chains, kept), ANOTHER if what.accepted else AGAIN


def after_substep(state: RunState, dt: float, to: float) -> RunState:
    """After the search of a substep: at the next one, or at the end of the step, which is ``dt`` long and leads to the
    time ``to``.
    """
    kept: Memory = state.memory
    k, n_substeps = int(kept.substep) - 1, len(kept.values_S)
    kept = kept._replace(
        values_S=kept.values_S.at[k].set(kept.value),
        errors_S=kept.errors_S.at[k].set(kept.error),
        total=kept.total + kept.value,
        variance=kept.variance + kept.error**2,
        fixed=kept.taken,
        theta=kept.taken,
        is_trial=jnp.bool_(False),
        iteration=jnp.int32(0),
        idle=jnp.int32(0),
        gained=jnp.bool_(False),
        substep=jnp.int32((k + 2) % (n_substeps + 1)),
    )
    if k + 1 < n_substeps:
        return state._replace(memory=kept)
    kept = kept._replace(course=kept.course._replace(time=jnp.float64(to)), led=jnp.float64(dt))
    return state._replace(params=kept.taken, memory=kept)
