"""From a direction to a step: learning rate, the lowering after rejected steps, the bound on the norm."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

Schedule = Callable[[Array], Array]  # step -> value: any optax schedule


def value(schedule: Schedule, step: Array) -> Array:
    """A schedule at a step, in float64: optax computes in the precision of the count it is given."""
    return jnp.asarray(schedule(step.astype(jnp.float64)), jnp.float64)


def scaled(
    direction_P: Array, *, learning_rate: Schedule, step: Array, scale: Array, max_norm: float | None
) -> tuple[Array, dict[str, Array]]:
    """delta = -eta * scale * direction, shortened to at most ``max_norm``; info: update_norm and learning_rate."""
    eta = value(learning_rate, step) * scale
    length = eta * jnp.linalg.norm(direction_P).astype(jnp.float64)
    if max_norm is not None:
        shrink = max_norm / jnp.maximum(length, max_norm)
        eta, length = eta * shrink, length * shrink
    delta_P = -eta.astype(direction_P.real.dtype) * direction_P
    return delta_P, {"update_norm": length, "learning_rate": eta}


def promised(force_P: Array, delta_P: Array, wanted: bool) -> dict[str, Array]:
    """Where ``wanted``, info ``predicted_change``: Re F^dagger delta, half the change of energy to first order, which
    is the minimum of the model that a natural gradient follows (`update.trust_region`).
    """
    return {"predicted_change": jnp.real(jnp.vdot(force_P, delta_P)).astype(jnp.float64)} if wanted else {}
