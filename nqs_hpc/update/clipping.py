"""Local energies far from the rest, drawn in before the gradient is made of them; the energy itself stays as it is.

With weights w of the samples, m = median Re E_loc + i median Im E_loc and the mean absolute deviation
D = sum w |E_loc - m|,

    E_loc -> m + (E_loc - m) min(1, c D / |E_loc - m|).

The deviation of a complex local energy keeps its phase, so that nothing depends on which axis of the plane it lies on.
Pfau, Spencer, Matthews and Foulkes 2020, Phys. Rev. Research 2, 033429 (arXiv:1909.02487), with c = 5. D is the mean
of the deviations, as there, and not their median: where most samples share one local energy, as of an ordered magnet,
the median deviation is 0 and nothing would be left of the gradient.

A gradient of clipped energies is biased, in the bulk by nothing where few samples are clipped, at nodes by what they
add there; its variance, which infinite tails make infinite, is finite.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nqs_hpc.types import Batch, Tree, Update


def clipped_batch(batch: Batch, deviations: float) -> tuple[Batch, Array]:
    """The batch with local energies at most ``deviations`` times D from m, and their mean in the estimate; and the
    weight of the samples that were further away, (), float64. From what all ranks share: no collective.
    """
    centre = weighted_median(jnp.real(batch.e_loc_A), batch.w_A)
    if jnp.iscomplexobj(batch.e_loc_A):
        centre = centre + 1j * weighted_median(jnp.imag(batch.e_loc_A), batch.w_A)
    apart_A = jnp.abs(batch.e_loc_A - centre)
    bound = deviations * jnp.sum(batch.w_A * apart_A)

    def clipped(values: Array) -> Array:
        apart = jnp.abs(values - centre)
        return jnp.where(apart > bound, centre + (values - centre) * (bound / jnp.where(apart > 0, apart, 1.0)), values)

    e_loc_A = clipped(batch.e_loc_A)
    mean = batch.estimate._replace(mean=jnp.sum(batch.w_A * e_loc_A))
    share = jnp.sum(jnp.where(apart_A > bound, batch.w_A, 0.0)).astype(jnp.float64)
    return batch._replace(e_loc_B=clipped(batch.e_loc_B), e_loc_A=e_loc_A, estimate=mean), share


def weighted_median(values_A: Array, w_A: Array) -> Array:
    """The least of real values at which half of the weight is reached; values without weight do not count."""
    order = jnp.argsort(values_A)
    reached = jnp.cumsum(w_A[order])
    return values_A[order][jnp.argmax(reached >= reached[-1] / 2)]


def clipping(update: Update, deviations: float) -> Update:
    """``update`` with a gradient of clipped local energies; info: ``clipped``, the weight of the samples clipped."""

    def step(params: Tree, state: Tree, batch: Batch, step: Array, scale: Array):
        batch, share = clipped_batch(batch, deviations)
        delta, state, info = update.step(params, state, batch, step, scale)
        return delta, state, info | {"clipped": share}

    return Update(update.init, step)
