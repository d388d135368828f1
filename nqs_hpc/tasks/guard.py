"""The guard of an optimization: a step whose outcome cannot be right is not taken.

A step whose energies or update are not finite, or whose energies no state of the spectrum could have, is rejected: the
state goes back to the last parameters with possible energies, and the step size is halved; each step whose outcome
proves possible then lets it grow by 2^(1/8) until it is what the learning rate says.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.tasks import running_mean
from nqs_hpc.tasks.running_mean import Average
from nqs_hpc.tasks.trees import choose, finite
from nqs_hpc.types import Batch, Tree

LOWER = 0.5
RAISE = 2.0 ** (1 / 8)


class Good(NamedTuple):
    """The newest parameters whose energies were possible, with what belongs to them: where a rejected step returns."""

    params: Tree
    update: Tree
    average: Average | None


class Memory(NamedTuple):
    """What an optimization keeps beside its parameters and its chains."""

    update: Tree
    good: Good
    average: Average | None
    scale: Array  # factor on the step size, below 1 after rejected steps
    rejected: Array  # rejected steps since parameters that an update made last gave finite energies
    untried: Array  # bool: an update made the parameters and no energy of theirs is known yet
    lower: tuple[Tree, ...] = ()  # parameters of wave functions that stay as they are (`tasks.penalty`)


class Guarded(NamedTuple):
    """What came of a step."""

    params: Tree
    memory: Memory
    believable: Array  # whether the energies were possible: chains that walked without are of no use
    accepted: Array


def fresh(params: Tree, update: Tree, *, average: float | None, lower: tuple[Tree, ...] = ()) -> Memory:
    mean = None if average is None else running_mean.empty(params)
    return Memory(
        update=update,
        good=Good(params, update, mean),
        average=mean,
        scale=jnp.float64(1.0),
        rejected=jnp.int32(0),
        untried=jnp.bool_(False),
        lower=lower,
    )


def guarded(
    params: Tree,
    memory: Memory,
    batch: Batch,
    delta: Tree,
    next_update: Tree,
    *,
    bounds: tuple[float, float],
    average: float | None,
) -> Guarded:
    """Take the step ``delta`` or go back. ``bounds``: those of the spectrum; ``average``: decay of the running mean."""
    believable = jnp.isfinite(batch.estimate.variance) & jnp.all(jnp.isfinite(batch.e_loc_A))
    believable &= possible(batch.estimate.mean, batch.estimate.variance, bounds)
    accepted = believable & finite(delta) & finite(next_update)
    good = choose(believable, Good(params, memory.update, memory.average), memory.good)
    # Going back and stepping again proves nothing: only possible energies of what an update made do.
    proven = believable & memory.untried
    rejected = jnp.where(proven, 0, memory.rejected)
    moved = jax.tree.map(lambda p, d: p + d.astype(p.dtype), params, delta)
    params = choose(accepted, moved, good.params)
    mean = good.average
    if average is not None and mean is not None:
        mean = choose(accepted, running_mean.moved(mean, params, average), mean)
    scale = jnp.where(accepted, jnp.minimum(1.0, memory.scale * jnp.where(proven, RAISE, 1.0)), memory.scale * LOWER)
    kept = Memory(
        update=choose(accepted, next_update, good.update),
        good=good,
        average=mean,
        scale=scale,
        rejected=jnp.where(accepted, rejected, rejected + 1).astype(jnp.int32),
        untried=accepted,
        lower=memory.lower,
    )
    return Guarded(params, kept, believable, accepted)


def possible(mean: Any, variance: Any, bounds: tuple[float, float]) -> Any:
    """Whether samples of |psi|^2 could have this mean and variance of the energy; of numbers or of traced arrays.

    Of a spectrum between the bounds the mean lies between them, and the variance is at most a quarter of their distance
    squared (Popoviciu 1935). The estimates of a chain that is stuck where psi nearly vanishes are orders of magnitude
    larger. Noise is allowed for: half the distance beyond the bounds, and four times the largest variance.
    """
    low, high = bounds
    width = high - low
    if not 0 < width < math.inf:
        return True
    energy = jnp.real(mean)
    return (energy >= low - width / 2) & (energy <= high + width / 2) & (variance <= width**2)


def why_rejected(line: dict[str, Any], bounds: tuple[float, float]) -> str:
    """What is wrong with a rejected step. ``bounds``: those of the spectrum."""
    if not math.isfinite(line["energy_variance"]):
        return "the energy is not finite"
    if not possible(line["energy"], line["energy_variance"], bounds):
        return f"no state of the spectrum ({bounds[0]:.6g} to {bounds[1]:.6g}) has the energy sampled"
    return "the update is not finite"


def why_impossible(memory: Memory) -> str:
    """Why no run can have written this memory; empty if one can."""
    scale, rejected = float(memory.scale), int(memory.rejected)
    if not 0 < scale <= 1:
        return f"memory/scale is {scale:g}, expected a number above 0, at most 1"
    if rejected < 0:
        return f"memory/rejected is {rejected}, expected a number of steps"
    return ""
