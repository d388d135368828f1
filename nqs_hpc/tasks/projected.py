"""Projected evolution in time (p-tVMC), real or imaginary: each substep of a product expansion of the evolution
operator is applied to the state, and the parameters that come nearest to what it makes are searched.

A turn is one iteration of a search: the infidelity of psi with the target (`tasks.infidelity`), whether the step that
led to psi is taken (`tasks.damping`), and the next step. Samples are drawn in each, of psi and of the state that the
substep began with, so that no set of samples is searched to its own minimum. A search ends below an infidelity, after a
number of iterations, or where steps bring nothing any more. One more turn at the end of each step measures the energy
and the observables, and writes its line. H is counted from its mean at the beginning of the step, a phase.

What each substep loses is sqrt(1 - F), a distance in Hilbert space; their sum bounds the distance to what the product
expansion makes, to leading order in dt. With the sum D of a step, D^2 / ((sum_k |a_k| dt)^2 Var(H)) is what r^2 is in
t-VMC: the part of the motion that the network does not follow. The error of the expansion itself comes on top.

A. Sinibaldi, C. Giuliani, G. Carleo and F. Vicentini, Quantum 7, 1131 (2023), arXiv:2305.14294; L. Gravina, V. Savona
and F. Vicentini, 2024, arXiv:2410.10720.
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

from nqs_hpc.integrators.control import trial
from nqs_hpc.integrators.product import Product
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import Purpose, own_purpose, purpose_key
from nqs_hpc.system.basis import Basis
from nqs_hpc.tasks import damping, trajectory
from nqs_hpc.tasks.chains import outside, placed
from nqs_hpc.tasks.evolving import GROWING, evolving
from nqs_hpc.tasks.infidelity import Measured, Pairs, Substep, measured
from nqs_hpc.tasks.lines import metrics
from nqs_hpc.tasks.measurement import check_hashes
from nqs_hpc.tasks.search import search
from nqs_hpc.tasks.straying import Limits, said_of_projections
from nqs_hpc.tasks.substeps import ANOTHER, BEGIN, BESIDE, CHAINS, OVER, Goal, Memory, after_substep, decided, fresh
from nqs_hpc.tasks.told import line_of, numbers_of
from nqs_hpc.tasks.trajectory import Course
from nqs_hpc.tasks.trees import strong
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
    Task,
    Tree,
)

FIRST, FIRST_BESIDE, WARM_UP, WARM_UP_BESIDE, SAMPLE, SAMPLE_BESIDE = (
    own_purpose(f"projected: {what}")
    for what in ("chains", "chains beside", "warm-up", "warm-up beside", "samples", "samples beside")
)


class Arrival(NamedTuple):
    """What was found at new parameters."""

    batch: Batch
    counts: dict[str, Array]
    r2: float | None  # of the step that led there
    results: list[Result]  # at a time of output
    said: dict[str, str]  # of these, by a name for each kind


def projected(
    ansatz: Ansatz,
    operator: Operator,
    sampler: Sampler,
    projection: Projection,
    comm: Comm,
    *,
    expansion: Product,
    goal: Goal,
    least_shift: float,
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
    """From time 0 to ``t_end``, with ``observables`` at the multiples of ``spacing``. ``projection`` takes the shift in
    place of the number of a step; it is never below ``least_shift``. The others: as `tasks.dynamics`.
    """
    x = 1j if is_real else 1.0
    steps, n_substeps, length = expansion.steps, expansion.n_substeps, sampler.chain_length
    a_S, b_S = np.array(expansion.a), np.array(expansion.b or [0.0] * n_substeps, complex)
    length_S = float(np.sum(np.abs(a_S)))  # the way of a step through its substeps, in units of dt
    functions = search(
        ansatz, operator, sampler, projection, comm, split=expansion.b is not None, chunk=chunk, memory=memory
    )
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
        also=("infidelity_sum", "n_evaluations"),
    )
    times, least = common.times, max(least_shift, damping.LEAST)
    told: set[str] = set()  # of messages that a start says once
    spent = dict.fromkeys(("seconds", "sample_s", "local_energy_s", "solve_s"), 0.0)  # since the last line

    def first_state(chains: Tree, beside: Tree) -> RunState:
        params = start(ansatz.init(jax.random.wrap_key_data(jnp.asarray(purpose_key(seed, Purpose.PARAMETERS)))))
        params = kick(params)
        chains, beside = placed(chains, configuration), placed(beside, configuration)
        kept = fresh(common.fresh(params), params, n_substeps, max(least, damping.FIRST))
        own = {CHAINS: chains, BEGIN: chains, BESIDE: beside} | common.chains(chains)
        return strong(RunState(jnp.int32(0), params, own, kept))

    first_jit = jax.jit(first_state)

    def warmed(state: RunState) -> RunState:
        chains, beside = state.chains[CHAINS], state.chains[BESIDE]
        for call in range(sampler.warmup_calls):
            chains, _, _ = functions.draw(purpose_key(seed, WARM_UP, stage=call), state.params, chains)
            beside, _, _ = functions.draw(purpose_key(seed, WARM_UP_BESIDE, stage=call), state.params, beside)
        return state._replace(chains=dict.fromkeys(state.chains, chains) | {BESIDE: beside})

    def turn(state: RunState) -> tuple[RunState, Record | None]:
        begun = clock.monotonic()
        if int(state.memory.substep) > 0:
            state = searched(state)
            spent["seconds"] += clock.monotonic() - begun
            return state, None
        state, arrival = arrived(state)
        spent["seconds"] += clock.monotonic() - begun
        times_of_line = dict(spent)
        spent.update(dict.fromkeys(spent, 0.0))
        kept: Memory = state.memory
        return state, Record(
            lambda: line(kept, arrival, times_of_line), lambda line: messages(kept, arrival.said, line)
        )

    def searched(state: RunState) -> RunState:
        """After one iteration of the search of a substep."""
        kept: Memory = state.memory
        k, now, begun = int(kept.substep) - 1, float(kept.course.time), clock.monotonic()
        is_first = k == 0 and int(kept.iteration) == 0
        if is_first:
            kept = kept._replace(tried=jnp.float64(step_from(kept.course)[0]), turn=jnp.int32(0))
        dt, draw_from = float(kept.tried), (int(state.step), int(kept.turn))
        own, samples, counts = functions.draw(purpose_key(seed, SAMPLE, *draw_from), kept.theta, state.chains[CHAINS])
        key = purpose_key(seed, SAMPLE_BESIDE, *draw_from)
        beside, others, _ = jax.block_until_ready(functions.draw(key, kept.fixed, state.chains[BESIDE]))
        sampled, middle = clock.monotonic(), np.float64(now + dt / 2)
        known, known_beside = (functions.known(kept.theta, kept.fixed, some.s_BN, middle) for some in (samples, others))
        if is_first:
            kept = kept._replace(mean=functions.mean(known_beside, others))
        substep = Substep(np.complex128(x * a_S[k] * dt), np.complex128(x * b_S[k] * dt), kept.mean + 0j)
        batch, pairs, shared = jax.block_until_ready(
            functions.compare(kept.theta, known, known_beside, samples, others, counts, substep)
        )
        check_hashes(shared.hash_R, int(state.step))
        found = Measured(*(float(number) for number in functions.everywhere(np.array(measured(pairs, length)))))
        evaluated = clock.monotonic()
        kept = kept._replace(turn=kept.turn + 1, n_turns=kept.n_turns + 1, iteration=kept.iteration + 1)
        state = state._replace(chains=state.chains | {CHAINS: own, BESIDE: beside}, memory=kept)
        if bool(kept.is_trial) or math.isfinite(found.value):
            state, verdict = decided(state, found, goal, least)
            if verdict == OVER:
                state = after_substep(state, *step_from(kept.course))
            elif verdict == ANOTHER:
                state = stepped(state, batch, pairs)
        else:
            state = state._replace(memory=kept._replace(is_stuck=jnp.bool_(True)))
        spent["sample_s"] += sampled - begun
        spent["local_energy_s"] += evaluated - sampled
        spent["solve_s"] += clock.monotonic() - evaluated
        return state

    def stepped(state: RunState, batch: Batch, pairs: Pairs) -> RunState:
        """With the next step of the search, from the best parameters, which were evaluated last."""
        kept: Memory = state.memory
        # once fits of log R bring nothing more, the gradient itself, which is exact at the minimum
        theta, promised, rank = functions.step(kept.taken, batch, pairs, kept.shift, kept.idle == 0)
        kept = kept._replace(theta=theta, promised=promised, rank=rank, is_trial=jnp.bool_(True))
        return state._replace(memory=kept)

    def step_from(course: Course) -> tuple[float, float]:
        """The length of the step that begins here, and the time where it ends."""
        now, target = float(course.time), times[min(int(course.n_measured), len(times) - 1)]
        step = trial(steps, steps.first, now, target)
        return step.dt, target if step.lands else now + step.dt

    def arrived(state: RunState) -> tuple[RunState, Arrival]:
        """At new parameters: their energy, how far they can have strayed, and at a time of output what is measured
        there. Collective.
        """
        kept, begun = state.memory, clock.monotonic()
        key = purpose_key(seed, SAMPLE, int(state.step), int(kept.turn))
        own, samples, counts = jax.block_until_ready(functions.draw(key, state.params, state.chains[CHAINS]))
        sampled = clock.monotonic()
        now = float(kept.course.time)
        batch, shared = jax.block_until_ready(functions.energies(state.params, samples, counts, np.float64(now)))
        check_hashes(shared.hash_R, int(state.step))
        spent["sample_s"] += sampled - begun
        spent["local_energy_s"] += clock.monotonic() - sampled
        dt, variance = float(kept.led), float(batch.estimate.variance)
        distance = float(np.sum(np.sqrt(np.maximum(np.asarray(kept.values_S), 0.0)))) if dt else 0.0
        r2 = (distance / (dt * length_S)) ** 2 / variance if dt and variance > 0 else None
        energy = float(np.real(batch.estimate.mean))
        error = expansion.error(dt, variance)
        course = trajectory.drifted(
            kept.course, distance=distance, energy=energy, variance=variance, dt=dt, error=error
        )
        found = common.measured(course, state.chains, int(state.step), state.params, samples, counts, batch)
        beside = state.chains[BESIDE]
        if functions.adapt is not None:
            own, beside = functions.adapt(own, beside, batch.e_loc_A, batch.counts)
        one = jnp.int32(1)
        kept = kept._replace(
            course=found.course,
            substep=one,
            fixed=state.params,
            taken=state.params,
            theta=state.params,
            turn=kept.turn + 1,
        )
        chains = found.chains | {CHAINS: own, BEGIN: own, BESIDE: beside}
        arrival = Arrival(batch, shared.counts, r2, found.results, found.said)
        return RunState(state.step + 1, state.params, chains, kept), arrival

    def line(kept: Memory, arrival: Arrival, times_of_line: dict[str, float]) -> dict[str, Any]:
        course, is_step = kept.course, float(kept.led) > 0
        info = {"rejected": False, "shift": float(kept.shift)} | ({"rank": kept.rank} if is_step else {})
        whole = metrics(arrival.batch, arrival.counts, info, times_of_line, length)
        del whole["rejected"]
        values, errors = np.asarray(kept.values_S), np.asarray(kept.errors_S)
        of_time = {
            "time": float(course.time),
            "dt": float(kept.led),
            "attempts": int(kept.turn) - 1 if is_step else 0,
            "energy_drift": float(course.drift) if is_real and not is_driven else None,
            "r2": arrival.r2,
            "bound": float(course.bound),
            "steps_error": float(course.integration),
            "infidelity": float(np.sum(values)) if is_step else None,
            "infidelity_error": float(np.linalg.norm(errors)) if is_step else None,
            **{f"infidelity_{k + 1}": float(one) if is_step else None for k, one in enumerate(values)},
            "infidelity_sum": float(kept.total),
            "infidelity_sum_error": math.sqrt(float(kept.variance)),
            "n_evaluations": int(kept.n_turns),
            "n_undone": int(kept.n_undone),
        }
        return of_time | whole | line_of(numbers_of(arrival.results))

    def messages(kept: Memory, said: dict[str, str], line: dict[str, Any]) -> list[str]:
        found = said_of_projections(line, limits, *goal, n_cut=int(kept.n_cut))
        found |= {label: f"t={line['time']:.6g}: {text}" for label, text in said.items()}
        new = [text for name, text in found.items() if name not in told]
        told.update(found)
        return new

    def failed(state: RunState) -> str:
        if not bool(state.memory.is_stuck):
            return ""
        where = f"t={float(state.memory.course.time):g}: the infidelity of the state with its own step is not finite"
        return f"{where}; lower task.integrator.dt"

    def retried(state: RunState) -> RunState:
        return state._replace(memory=state.memory._replace(is_stuck=jnp.bool_(False)))

    def finish(
        state: RunState, go_on: Callable[[], bool], say: Callable[[str], None]
    ) -> Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending] | None:
        del go_on, say
        return common.ended(state.memory.course)

    def given(state: RunState, params: Tree, learnt: Tree | None = None) -> RunState:
        del learnt
        params = kick(params)
        course = common.begun(state.memory.course, params)
        kept = state.memory._replace(course=course, fixed=params, taken=params, theta=params)
        return state._replace(params=params, memory=kept)

    def init() -> RunState:
        chains, beside = (functions.fresh_chains(purpose_key(seed, what)) for what in (FIRST, FIRST_BESIDE))
        return first_jit(chains, beside)

    def programs(*, fresh: bool) -> list[Program]:
        chains = jax.eval_shape(sampler.init, jax.ShapeDtypeStruct((2,), np.uint32), np.int32(comm.rank))
        state = jax.eval_shape(first_jit, chains, chains)
        found = functions.programs(state.params, chains)
        return [*found, *[Program(first_jit, (chains, chains))] * fresh]

    def progress(state: RunState) -> Progress:
        return common.progress(state.memory.course, int(state.memory.substep) > 0)

    def impossible(state: RunState) -> str:
        if not 0 <= int(state.memory.substep) <= n_substeps:
            return f"memory/substep is {int(state.memory.substep)}, expected a number from 0 to {n_substeps}"
        return common.impossible(state.memory.course) or outside(state.chains, basis.hilbert)

    return Task(
        init=init,
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
        jitted=(first_jit, *common.jitted, *functions.jitted),
        results=lambda state: common.results(state.memory.course),
        functions=functions,
    )
