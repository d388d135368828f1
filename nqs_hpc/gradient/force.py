"""The force F_p = Re sum w O_p^* (E_loc - E) = 1/2 dE/dtheta_p without a Jacobian: one pullback over the samples."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.flat import Flat
from nqs_hpc.types import Ansatz, Batch, Tree


def force(ansatz: Ansatz, flat: Flat, params: Tree, batch: Batch, chunk: int | None) -> Array:
    """(P,) real force of this rank's samples, to be summed over ranks. ``flat`` is the real form.

    Samples come ``chunk`` at a time, so that no more than a chunk of activations is held; a last chunk is filled up
    with weight 0.
    """
    theta_P = flat.ravel(params)
    n = batch.e_loc_B.shape[0]
    size = n if chunk is None else min(chunk, n)
    n_chunks = -(-n // size)
    pads = n_chunks * size - n
    cotangent_B = batch.samples.w_B * jnp.conj(batch.e_loc_B - batch.estimate.mean)
    cotangent_B = jnp.pad(cotangent_B, (0, pads))
    s_BN = jnp.concatenate([batch.samples.s_BN, jnp.repeat(batch.samples.s_BN[:1], pads, axis=0)])

    def part(total_P: Array, inputs: tuple[Array, Array]) -> tuple[Array, None]:
        s_bN, cotangent_b = inputs

        def weighted(theta_P: Array) -> Array:
            log_psi_b = jax.vmap(lambda s_N: ansatz.log_psi(flat.unravel(theta_P), s_N))(s_bN)
            return jnp.sum(jnp.real(cotangent_b * log_psi_b)).astype(theta_P.dtype)

        return total_P + jax.grad(weighted)(theta_P), None

    chunks = (s_BN.reshape(n_chunks, size, -1), cotangent_B.reshape(n_chunks, size))
    return jax.lax.scan(part, jnp.zeros_like(theta_P), chunks)[0]
