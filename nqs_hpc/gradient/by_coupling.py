"""Centring for samples of several wave functions: by the means of each of them.

For L = (1/K) sum_k E_k the force and the quantum geometric tensor are means over the wave functions,

    F = (1/K) sum_k F_k,   S = (1/K) sum_k S_k,   F_k, S_k from O - <O>_k and E_loc - E_k,

so with weights that sum to 1/K in each they are X^dagger eps and X^dagger X of rows X = sqrt(w) (O - <O>_k(s)).
For a batch of one wave function there is only one mean.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.jacobian import row_means
from nqs_hpc.types import Batch


def energies_A(batch: Batch) -> Array:
    """The mean to subtract from each local energy of all ranks: (A,), or () for one wave function."""
    return batch.estimate.mean if batch.groups is None else batch.groups.each.mean[batch.groups.of_A]


def energies_B(batch: Batch) -> Array:
    """The same for this rank's samples: (B,) or ()."""
    return batch.estimate.mean if batch.groups is None else batch.groups.each.mean[batch.groups.of_B]


def means(batch: Batch, jac_rows: Array, w_rows: Array, n: int) -> Array:
    """The means of rows over all samples, for `jacobian.centre`: (n, P), or (A, n, P)."""
    if batch.groups is None:
        return row_means(jac_rows, w_rows, n)
    kinds, of_rows = len(batch.groups.each.mean), jnp.repeat(batch.groups.of_A, n)
    # the mean of each kind of row for each wave function, in one product
    label = of_rows * n + jnp.arange(len(w_rows)) % n
    here = label[None] == jnp.arange(kinds * n)[:, None]
    mean = jnp.where(here, kinds * w_rows[None], 0).astype(jac_rows.real.dtype) @ jac_rows
    return mean.reshape(kinds, n, -1)[batch.groups.of_A]


def centred_coefficients(batch: Batch, y_kA: Array, w_rows: Array, n: int) -> Array:
    """c with O^dagger c = X^dagger y: sqrt(w) y with its sum over samples removed, for each kind of row."""
    scaled = (jnp.sqrt(w_rows)[None] * y_kA).reshape(len(y_kA), -1, n)
    if batch.groups is None:
        return (scaled - w_rows.reshape(1, -1, n) * jnp.sum(scaled, axis=1, keepdims=True)).reshape(y_kA.shape)
    kinds, of_A = len(batch.groups.each.mean), batch.groups.of_A
    here = (of_A[None] == jnp.arange(kinds)[:, None]).astype(scaled.real.dtype)
    sums = jnp.einsum("gA,kAn->kgn", here, scaled)
    return (scaled - kinds * w_rows.reshape(1, -1, n) * sums[:, of_A]).reshape(y_kA.shape)
