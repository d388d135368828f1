"""The force F_p = Re sum w O_p^* (E_loc - E) = 1/2 dE/dtheta_p without a Jacobian: one pullback over the samples."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.by_coupling import energies_B
from nqs_hpc.gradient.flat import Flat
from nqs_hpc.gradient.pullback import pullback
from nqs_hpc.types import Ansatz, Batch, Tree


def force(ansatz: Ansatz, flat: Flat, params: Tree, batch: Batch, chunk: int | None) -> Array:
    """(P,) real force of this rank's samples, to be summed over ranks. ``flat`` is the real form."""
    c_B = batch.samples.w_B * jnp.conj(batch.e_loc_B - energies_B(batch))
    return pullback(ansatz, flat, params, batch.samples.s_BN, c_B, chunk)
