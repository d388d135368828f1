"""Sums of log-derivatives over samples without a Jacobian: sum_b c_b O_b by one backward pass."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.flat import Flat
from nqs_hpc.types import Ansatz, Tree


def pullback(ansatz: Ansatz, flat: Flat, params: Tree, s_BN: Array, c_B: Array, chunk: int | None) -> Array:
    """(P,) summed over this rank's samples: Re sum_b c_b O_b for real parameters, sum_b c_b O_b in the holomorphic
    form.

    Samples are taken ``chunk`` at a time, so only one chunk of activations is held; the last chunk is filled up with
    coefficients 0.
    """
    theta_P = flat.ravel(params)
    holomorphic = jnp.iscomplexobj(theta_P)
    n = len(s_BN)
    size = n if chunk is None else min(chunk, n)
    n_chunks = -(-n // size)
    pads = n_chunks * size - n
    c_B = jnp.pad(c_B, (0, pads))
    s_BN = jnp.concatenate([s_BN, jnp.repeat(s_BN[:1], pads, axis=0)])

    def part(total_P: Array, inputs: tuple[Array, Array]) -> tuple[Array, None]:
        s_bN, c_b = inputs

        def weighted(theta_P: Array) -> Array:
            log_psi_b = jax.vmap(lambda s_N: ansatz.log_psi(flat.unravel(theta_P), s_N))(s_bN)
            total = jnp.sum(c_b * log_psi_b)
            return total.astype(theta_P.dtype) if holomorphic else jnp.real(total).astype(theta_P.dtype)

        return total_P + jax.grad(weighted, holomorphic=holomorphic)(theta_P), None

    chunks = (s_BN.reshape(n_chunks, size, -1), c_B.reshape(n_chunks, size))
    return jax.lax.scan(part, jnp.zeros_like(theta_P), chunks)[0]


def pullback_rows(ansatz: Ansatz, flat: Flat, params: Tree, s_BN: Array, y_rows: Array, chunk: int | None) -> Array:
    """(P,): O^dagger y over this rank's samples, with the rows of `jacobian`."""
    if ansatz.kind == "complex":
        re_im = y_rows.reshape(-1, 2)
        return pullback(ansatz, flat, params, s_BN, jax.lax.complex(re_im[:, 0], -re_im[:, 1]), chunk)
    return pullback(ansatz, flat, params, s_BN, y_rows.conj(), chunk).conj()
