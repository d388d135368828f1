"""Steps of one size against the sign of the force."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.force import force
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Ansatz, Batch, Tree, Update
from nqs_hpc.update.step_size import Schedule, scaled


def toy(ansatz: Ansatz, comm: Comm, *, learning_rate: Schedule, max_norm: float | None, chunk: int | None) -> Update:
    def step(params: Tree, state: tuple[()], batch: Batch, step: Array, scale: Array):
        real = flat(params, "real")
        sign_P = jnp.sign(comm.sum(force(ansatz, real, params, batch, chunk)))
        delta_P, info = scaled(sign_P, learning_rate=learning_rate, step=step, scale=scale, max_norm=max_norm)
        return real.unravel(delta_P), state, info

    return Update(lambda params: (), step)
