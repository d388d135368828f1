"""Variational Monte Carlo: what one step computes, in three compiled parts that can be timed, and an evaluation of
frozen parameters from the same programs.

A step takes theta_t, samples |psi(theta_t)|^2, estimates the energy and moves to theta_(t+1), past the guard of
rejected steps (`tasks.guard`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.gradient.flat import flat
from nqs_hpc.operators.local_values import MEMORY
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import Purpose, own_purpose, purpose_key
from nqs_hpc.tasks import guard
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.tasks.final import Final, joined, kept
from nqs_hpc.tasks.line_search import line_search
from nqs_hpc.tasks.measurement import Shared
from nqs_hpc.tasks.penalty import Drawn, Lower, of_energy, penalised
from nqs_hpc.tasks.trees import choose, strong
from nqs_hpc.types import Ansatz, Batch, Operator, RunState, Sampler, Samples, Tree, Update

CHAINS = "samples"  # the name of the sampler's state among the chains of a run


class Vmc(NamedTuple):
    """Compiled functions; only ``update`` changes the state, so an unfinished step leaves it as it was."""

    init: Callable[[], RunState]  # random parameters, fresh chains
    warmed: Callable[[RunState], RunState]  # the same with its chains warmed up
    sample: Callable[[RunState], tuple[Tree, Any, dict[str, Array]]]  # chains moved on, samples, counts
    evaluate: Callable[[Tree, Any, dict[str, Array]], tuple[Batch, Shared]]  # params, samples, counts
    energies: Callable[[Tree, Samples, dict[str, Array]], tuple[Batch, Shared]]  # the same of H alone, of any samples
    update: Callable[[RunState, Tree, Batch], tuple[RunState, dict[str, Array]]]
    # params, samples a chain at least, whether to go on (asked before each part), chains whose sampler has learnt
    # something, what else sees the samples, the state (if there are other wave functions) -> their energy from
    # fresh chains, or None if it was told to stop
    final: Callable[..., Final | None]
    jitted: tuple[Any, ...]  # every function that is compiled in a run, for those who count compilations
    programs: Callable[..., list[Program]]  # fresh: bool -> the large ones with their arguments, largest first


class _Walk:
    """The compiled functions of the chains of one of the other wave functions, and the purposes of their numbers."""

    def __init__(self, j: int, sampler: Sampler) -> None:
        self.j, self.sampler = j, sampler
        self.draw, self.fresh = jax.jit(sampler.sample), jax.jit(sampler.init)

    def purpose(self, of: Purpose) -> int:
        return own_purpose(f"lower {self.j}: {of.name}")

    def inherited(self, fresh: Tree, learnt: Tree) -> Tree:
        return fresh if self.sampler.inherit is None else self.sampler.inherit(fresh, learnt)


def vmc(
    ansatz: Ansatz,
    operator: Operator,
    sampler: Sampler,
    update: Update,
    comm: Comm,
    *,
    seed: int,
    chunk: int | None,
    memory: int = MEMORY,
    average: float | None = None,
    broadcast: bool = False,
    lower: Sequence[Lower] = (),
    fractions: Sequence[float] = (),
) -> Vmc:
    """The parts of one step, and the final evaluation.

    ``final`` draws new chains and warms them up, with random numbers of their own, so that its samples are not
    those that trained; they and their energies come from the compiled programs of a step. ``average``: decay of the
    running mean of theta. ``broadcast``: every rank takes rank 0's step. ``lower``: wave functions
    that psi is kept away from (`tasks.penalty`). They have chains of their own: then what is sampled is
    `penalty.Drawn`, and the chains that moved on are a dict as in the state. ``fractions`` of a step that are tried
    (`tasks.line_search`), of H alone: not beside ``lower``.
    """
    assert not (fractions and lower)

    bounds = (operator.bounds[0], operator.bounds[1] + sum(one.penalty for one in lower))
    rank = np.int32(comm.rank)  # data of every program, a constant of none: all ranks compile the same ones

    def first_state(chains: dict[str, Tree]) -> RunState:
        key = jax.random.wrap_key_data(jnp.asarray(purpose_key(seed, Purpose.PARAMETERS)))
        params = ansatz.init(key)
        fixed = tuple(one.ansatz.init(key) for one in lower)  # until those of other runs take their place
        memory = guard.fresh(params, update.init(params), average=average, lower=fixed)
        return strong(RunState(jnp.int32(0), params, chains, memory))

    # One compiled program draws all samples: those of a step, of a warm-up and of the final evaluation.
    draw = jax.jit(sampler.sample)
    fresh_chains = jax.jit(sampler.init)
    walks = {f"lower_{j}": _Walk(j, one.sampler) for j, one in enumerate(lower)}
    options: dict[str, Any] = {"chain_length": sampler.chain_length, "chunk": chunk, "memory": memory}
    options |= {"weighted": sampler.weighted}
    assert sampler.groups is None or not (lower or fractions)
    evaluated = penalised(ansatz, operator, lower, comm, **options) if lower else None
    search = line_search(ansatz, operator, comm, fractions=fractions, chunk=chunk, memory=memory)
    energies_jit = jax.jit(evaluation(ansatz, operator, comm, groups=sampler.groups, **options))
    evaluate_jit = jax.jit(evaluated) if evaluated else energies_jit

    def evaluate(params: Tree, samples: Any, counts: dict[str, Array]) -> tuple[Batch, Shared]:
        return evaluate_jit(params, samples, counts, rank)

    def energies(params: Tree, samples: Samples, counts: dict[str, Array]) -> tuple[Batch, Shared]:
        return energies_jit(params, samples, counts, rank)

    def begun(purpose: Purpose) -> dict[str, Tree]:
        own = fresh_chains(purpose_key(seed, purpose), rank)
        return {CHAINS: own} | {
            name: walk.fresh(purpose_key(seed, walk.purpose(purpose)), rank) for name, walk in walks.items()
        }

    def warm_up(params: Tree, chains: Tree, purpose: Purpose) -> Tree:
        for call in range(sampler.warmup_calls):
            chains, _, _ = draw(purpose_key(seed, purpose, stage=call), params, chains)
        return chains

    def warm_lower(fixed: tuple[Tree, ...], chains: dict[str, Tree], purpose: Purpose) -> dict[str, Tree]:
        found = {}
        for (name, walk), params in zip(walks.items(), fixed, strict=True):
            found[name] = chains[name]
            for call in range(walk.sampler.warmup_calls):
                key = purpose_key(seed, walk.purpose(purpose), stage=call)
                found[name], _, _ = walk.draw(key, params, found[name])
        return found

    def draw_lower(
        fixed: tuple[Tree, ...], chains: dict[str, Tree], purpose: Purpose, step: int, stage: int
    ) -> tuple[dict[str, Tree], tuple[Samples, ...]]:
        moved, found = {}, []
        for (name, walk), params in zip(walks.items(), fixed, strict=True):
            key = purpose_key(seed, walk.purpose(purpose), step, stage)
            moved[name], samples, _ = walk.draw(key, params, chains[name])
            found.append(samples)
        return moved, tuple(found)

    def sample(state: RunState) -> tuple[Tree, Any, dict[str, Array]]:
        step, chains = int(state.step), state.chains
        own, samples, counts = draw(purpose_key(seed, Purpose.SAMPLE, step), state.params, chains[CHAINS])
        if not lower:
            return own, samples, counts
        fixed = state.memory.lower
        moved, beside = draw_lower(fixed, chains, Purpose.SAMPLE, step, 0)
        return {CHAINS: own} | moved, Drawn(samples, beside, fixed), counts

    def final(
        params: Tree,
        samples_a_chain: int,
        go_on: Callable[[], bool] = lambda: True,
        learnt: Tree | None = None,
        also: Callable[[Tree, Samples, dict[str, Array]], None] = lambda *call: None,
        state: RunState | None = None,
    ) -> Final | None:
        every = begun(Purpose.FINAL_CHAINS)
        chains, fixed = every[CHAINS], () if state is None else state.memory.lower
        if sampler.inherit is not None and learnt is not None:
            chains = sampler.inherit(chains, learnt)
        chains = warm_up(params, chains, Purpose.FINAL_WARMUP)
        if state is not None:
            every |= {name: walk.inherited(every[name], state.chains[name]) for name, walk in walks.items()}
        every |= warm_lower(fixed, every, Purpose.FINAL_WARMUP)
        n_calls = -(-samples_a_chain // sampler.chain_length) if sampler.chain_length else 1
        parts, overlaps = [], []
        for call in range(n_calls):
            if not go_on():
                return None
            chains, samples, counts = draw(purpose_key(seed, Purpose.FINAL_SAMPLE, stage=call), params, chains)
            also(params, samples, counts)
            if not lower:
                parts.append(kept(*evaluate(params, samples, counts)))
                continue
            moved, beside = draw_lower(fixed, every, Purpose.FINAL_SAMPLE, 0, call)
            every |= moved
            batch, shared = evaluate(params, Drawn(samples, beside, fixed), counts)
            parts.append(kept(of_energy(batch, shared, sampler.chain_length, sampler.weighted), shared))
            overlaps.append(jax.device_get(shared.overlaps))
        found = joined(parts, sampler)
        if not lower:
            return found
        return found._replace(overlaps=tuple(overlaps), overlaps_w_A=tuple(part.w_A for part in parts))

    def take(state: RunState, chains: Tree, batch: Batch) -> tuple[RunState, dict[str, Array]]:
        memory = state.memory
        delta, next_update, info = update.step(state.params, memory.update, batch, state.step, memory.scale)
        if fractions:
            delta, fraction = search(state.params, delta, batch)
            info = info | {name: info[name] * fraction for name in ("update_norm", "learning_rate")}
            info = info | {"step_fraction": fraction}
        own = chains[CHAINS] if lower else chains
        if sampler.adapt is not None:
            own, learnt = sampler.adapt(own, batch.e_loc_A, batch.counts)
            info = info | learnt
        if broadcast:
            form = flat(delta, "real")
            vector_P = form.ravel(delta)
            delta = form.unravel(comm.sum(jnp.where(batch.rank == 0, vector_P, jnp.zeros_like(vector_P))))

        found = guard.guarded(state.params, memory, batch, delta, next_update, bounds=bounds, average=average)
        # chains that walked under parameters without possible energies are of no use to those before
        kept = {CHAINS: choose(found.believable, own, state.chains[CHAINS])} | {name: chains[name] for name in walks}
        new_state = RunState(state.step + 1, found.params, kept, found.memory)
        return new_state, info | {"rejected": ~found.accepted, "scale": memory.scale}

    update_step, start = jax.jit(take), jax.jit(first_state)

    def programs(*, fresh: bool) -> list[Program]:
        key = jax.ShapeDtypeStruct((2,), np.uint32)
        chains = {CHAINS: jax.eval_shape(fresh_chains, key, rank)}
        chains |= {name: jax.eval_shape(walk.fresh, key, rank) for name, walk in walks.items()}
        state = jax.eval_shape(start, chains)
        moved, samples, counts = jax.eval_shape(draw, key, state.params, state.chains[CHAINS])
        fixed: tuple[Tree, ...] = state.memory.lower
        beside, others = [], []
        for (name, walk), params in zip(walks.items(), fixed, strict=True):
            _, found, _ = jax.eval_shape(walk.draw, key, params, chains[name])
            beside.append(Program(walk.draw, (key, params, chains[name])))
            others.append(found)
        drawn = Drawn(samples, tuple(others), fixed) if lower else samples
        evaluated = (state.params, drawn, counts, rank)
        batch, _ = jax.eval_shape(evaluate_jit, *evaluated)
        return [
            Program(update_step, (state, state.chains if lower else moved, batch)),
            Program(evaluate_jit, evaluated),
            Program(draw, (key, state.params, state.chains[CHAINS])),
            *beside,
        ] + [Program(start, (chains,))] * fresh

    return Vmc(
        init=lambda: start(begun(Purpose.CHAINS)),
        warmed=lambda state: state._replace(
            chains={CHAINS: warm_up(state.params, state.chains[CHAINS], Purpose.WARMUP)}
            | warm_lower(state.memory.lower, state.chains, Purpose.WARMUP)
        ),
        sample=sample,
        evaluate=evaluate,
        energies=energies,
        update=update_step,
        final=final,
        jitted=(start, fresh_chains, draw, evaluate_jit, update_step, *(walk.draw for walk in walks.values())),
        programs=programs,
    )
