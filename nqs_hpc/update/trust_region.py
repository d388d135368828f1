"""A diagonal shift, or a step, that follows how well its steps keep what they promise.

A step delta = -eta d of d = (S + lambda)^-1 F minimises the model

    m(delta) = 2 Re F^dagger delta + delta^dagger (S + lambda) delta / eta

of the energy, whose minimum is Re F^dagger delta = -eta F^dagger d: the change that it promises, half of that to first
order. With momentum delta does not minimise m; half of the first-order change is the promise there too. Levenberg and
Marquardt raise lambda after a step that made things worse, and lower it after one that kept its promise (Marquardt
1963, doi:10.1137/0111030; Nocedal and Wright 2006, "Numerical optimization", chapter 4).

Here the energy is an estimate E_k with a standard error s_k, and the change of one step is mostly below it. So changes
are compared with an anchor some steps back, whose energy is E_a and since which steps have promised the sum P:

    rose   E_k - E_a >  z s                                     the shift doubles
    fell   E_k - E_a < -z s  and  E_k - E_a <= 3/4 P < 0        the shift is halved

with s^2 = s_k^2 + s_a^2 and z = 3; the energy is the next anchor. After ``WINDOW`` steps without either the factor
returns half of its way (in its logarithm) to 1, and there is a new anchor. So where noise dominates the shift is what
its schedule says. A step that is adapted instead of the shift is halved where the shift would double; where that would
be halved it is doubled, as far as the length of its schedule. A fall short of the promise alone says nothing: F and d
are of the same samples, and with fewer samples than parameters P is too large. Exact sums have no errors, and each of
their changes counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax import Array

from nqs_hpc.types import Batch, Tree, Update
from nqs_hpc.update.step_size import Schedule

SIGNIFICANT = 3.0  # z
KEPT = 0.75  # share of the promise
FACTOR = 2.0
WINDOW = 32
ROUNDING = 1e-13  # of an energy: changes of exact sums below it are none
MOST = 64.0  # how far the factor goes from 1 on the side of caution
BOLDEST = {"shift": MOST, "step": 1.0}  # the same on the other side: steps longer than their schedule's ran off
UNKNOWN = 1e150  # instead of an error that is not known: no change is significant, and its square is finite

Adapted = Literal["shift", "step"]


class Trust(NamedTuple):
    """The state; numbers are the same on every rank. Before the first step there is no anchor."""

    update: Tree  # of the optimizer inside
    caution: Array  # factor on the shift, or divisor of the step
    energy: Array  # of the anchor
    error: Array
    promised: Array  # by the steps since
    steps: Array  # int32, since the anchor; -1: there is none


def judged(state: Trust, energy: Array, error: Array, *, boldest: float) -> Trust:
    """The state once the energy of the present parameters is known."""
    error = jnp.where(jnp.isfinite(error), error, UNKNOWN)
    known = state.steps >= 0
    change = energy - state.energy
    noise = SIGNIFICANT * jnp.sqrt(error**2 + state.error**2) + ROUNDING * jnp.abs(energy)
    rose = known & (change > noise)
    fell = known & (change < -noise) & (state.promised < 0) & (change <= KEPT * state.promised)
    over = state.steps >= WINDOW
    caution = jnp.where(over, jnp.sqrt(state.caution), state.caution)
    caution = jnp.where(fell, state.caution / FACTOR, jnp.where(rose, state.caution * FACTOR, caution))
    renewed = ~known | rose | fell | over
    return Trust(
        update=state.update,
        caution=jnp.clip(caution, 1.0 / boldest, MOST),
        energy=jnp.where(renewed, energy, state.energy),
        error=jnp.where(renewed, error, state.error),
        promised=jnp.where(renewed, 0.0, state.promised),
        steps=jnp.where(renewed, 0, state.steps),
    )


def trust_region(make: Callable[[Schedule], Update], *, diag_shift: Schedule, adapts: Adapted) -> Update:
    """``make(shift schedule)`` with the shift of ``diag_shift``, or its step, times what experience says.

    Its info has to have ``predicted_change``, Re F^dagger delta. More info: ``shift_factor`` or ``step_factor``. No
    collective: energies and directions are the same on every rank.
    """

    def init(params: Tree) -> Trust:
        zero = jnp.float64(0.0)
        return Trust(make(diag_shift).init(params), jnp.float64(1.0), zero, zero, zero, jnp.int32(-1))

    def step(params: Tree, state: Trust, batch: Batch, step: Array, scale: Array):
        energy = jnp.real(batch.estimate.mean).astype(jnp.float64)
        state = judged(
            state,
            energy,
            batch.estimate.error.astype(jnp.float64),
            boldest=BOLDEST[adapts],
        )
        if adapts == "shift":
            update = make(lambda step: diag_shift(step) * state.caution)
            factor = {"shift_factor": state.caution}
        else:
            update, scale = make(diag_shift), scale / state.caution
            factor = {"step_factor": 1.0 / state.caution}
        delta, inner, info = update.step(params, state.update, batch, step, scale)
        promised = state.promised + info["predicted_change"]
        return delta, state._replace(update=inner, promised=promised, steps=state.steps + 1), info | factor

    return Update(init, step)
