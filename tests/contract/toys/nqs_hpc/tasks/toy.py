"""The greatest log |psi| that any sample has had, with parameters that stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.types import Ansatz, Ending, Progress, Quantity, Record, RunState, Sampler, Task


def toy(ansatz: Ansatz, sampler: Sampler, comm: Comm, *, n_steps: int, seed: int) -> Task:
    @jax.jit
    def start(rank: Array) -> RunState:
        params = ansatz.init(jax.random.wrap_key_data(jnp.asarray(purpose_key(seed, Purpose.PARAMETERS))))
        chains = sampler.init(jnp.asarray(purpose_key(seed, Purpose.CHAINS)), rank)
        return RunState(jnp.int32(0), params, {"samples": chains}, jnp.float64(-jnp.inf))

    @jax.jit
    def look(state: RunState, key: Array) -> RunState:
        chains, samples, _ = sampler.sample(key, state.params, state.chains["samples"])
        own = jnp.max(jax.vmap(lambda s_N: ansatz.log_psi(state.params, s_N).real)(samples.s_BN))
        greatest = jnp.maximum(state.memory, jnp.max(comm.gather(own)))
        return RunState(state.step + 1, state.params, {"samples": chains}, greatest)

    def turn(state: RunState) -> tuple[RunState, Record]:
        state = look(state, purpose_key(seed, Purpose.SAMPLE, int(state.step)))
        return state, Record(lambda: {"greatest": float(state.memory)}, lambda line: [])

    def finish(state: RunState, go_on: Callable[[], bool], say: Callable[[str], None]) -> Any:
        return lambda lines, reference: Ending({"greatest": float(state.memory)}, "done", "all samples are drawn")

    return Task(
        init=lambda: start(np.int32(comm.rank)),
        warmed=lambda state: state,
        given=lambda state, params, learnt=None: state._replace(params=params),
        turn=turn,
        progress=lambda state: Progress(int(state.step), n_steps),
        failed=lambda state: "",
        retried=lambda state: state,
        finish=finish,
        summary=lambda line, reference: {"greatest": line["greatest"]},
        impossible=lambda state: "",
        shown=(Quantity("greatest", "log |psi|"),),
        growing=(),
        programs=lambda *, fresh: [],
        jitted=(start, look),
    )
