"""Log-derivatives of the wave function over samples, O_p(s) = d log psi(s) / d theta_p, as rows of a matrix.

The rows of one sample depend on the kind of the ansatz: one real row (real, signed), two real rows Re O and Im O
(complex), one complex row (holomorphic). With residuals split in the same way all estimators have the same form:

    X = sqrt(w) (O - <O>),  eps = sqrt(w) (E_loc - E):   force F = X^dagger eps,   QGT S = X^dagger X,

which is F_p = Re sum w O_p^* (E_loc - E) = 1/2 dE/dtheta_p and S = Re <O^* O>_c for real parameters, and their complex
forms for holomorphic ones. Becca & Sorella 2017, "Quantum Monte Carlo approaches for correlated systems", ch. 6.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient import layered
from nqs_hpc.gradient.flat import Flat
from nqs_hpc.parallel.chunk import chunked, chunked_map
from nqs_hpc.types import Ansatz, Kind, Tree

# Samples differentiated at a time, unless the chunk is smaller: their activations fit into a core's cache.
SAMPLES = 64


def rows_per_sample(kind: Kind) -> int:
    """The number of rows of the Jacobian per sample."""
    return 2 if kind == "complex" else 1


def jacobian(
    ansatz: Ansatz,
    flat: Flat,
    params: Tree,
    s_BN: Array,
    chunk: int | None,
    *,
    block: tuple[Array, int] | None = None,
) -> Array:
    """(B * rows, P) uncentred, unweighted log-derivatives of this rank; the rows of a sample are adjacent.

    ``block``: only this many columns from the given one on, 0 beyond the last.
    """
    # Leaf by leaf, then joined: differentiation by the joined vector would add up padded vectors, one for each leaf.

    def row(gradient: Tree) -> Array:
        """jax's gradient by x + i y is d/dx - i d/dy; the flat vector holds x and y."""
        return flat.ravel(jax.tree.map(jnp.conj, gradient))

    def rows(s_N: Array) -> Array:
        def log_psi(params: Tree) -> Array:
            return ansatz.log_psi(params, s_N)

        if ansatz.kind == "holomorphic":
            return flat.ravel(jax.grad(log_psi, holomorphic=True)(params))[None]
        if ansatz.kind == "complex":
            _, pullback = jax.vjp(lambda params: _parts(log_psi(params)), params)
            return jax.vmap(lambda part: row(pullback(part)[0]))(jnp.eye(2, dtype=flat.dtype))
        return row(jax.grad(lambda params: jnp.real(log_psi(params)))(params))[None]

    def block_rows(s_N: Array) -> Array:
        assert block is not None
        start, width = block
        padded = jnp.pad(rows(s_N), ((0, 0), (0, width)))
        return jax.lax.dynamic_slice_in_dim(padded, start, width, axis=1)

    chunk = min(chunk or SAMPLES, SAMPLES)
    if block is not None:
        return chunked_map(block_rows, s_BN, chunk).reshape(-1, block[1])
    if (stages := ansatz.layered) is not None:
        numbers = range(len(stages.stages))

        def layered_rows(s_bN: Array) -> Array:
            return layered.jacobian_of(stages, layered.tape(stages, params, s_bN, None), numbers, None)

        return chunked(layered_rows, s_BN, chunk)
    return chunked_map(rows, s_BN, chunk).reshape(-1, flat.n_parameters)


def weigh(kind: Kind, w_B: Array) -> Array:
    """The weight of each row, which is that of its sample."""
    return jnp.repeat(w_B, rows_per_sample(kind))


def residuals(kind: Kind, e_loc_B: Array, w_B: Array, mean: Array) -> Array:
    """eps: the weighted, centred local energies, in rows like those of the Jacobian. ``mean``: for each sample, or one
    for all.
    """
    eps_B = jnp.sqrt(w_B) * (e_loc_B - mean)
    if kind == "holomorphic":
        return eps_B.astype(jnp.result_type(eps_B, jnp.complex64))
    if kind == "complex":
        return jax.vmap(_parts)(eps_B).ravel()
    return jnp.real(eps_B)


def centre(jac_rows: Array, w_rows: Array, mean_rows_P: Array) -> Array:
    """X = sqrt(w) (O - <O>), with the means per row of a sample, (n, P), or for each sample, (B, n, P): (rows, P)."""
    n = mean_rows_P.shape[-2]
    of_samples = jac_rows.reshape(-1, n, jac_rows.shape[1])
    shaped = of_samples - (mean_rows_P if mean_rows_P.ndim == 3 else mean_rows_P[None])
    return jnp.sqrt(w_rows).astype(jac_rows.real.dtype)[:, None] * shaped.reshape(jac_rows.shape)


def row_means(jac_rows: Array, w_rows: Array, n: int) -> Array:
    """(n, P) weighted sums of the rows of each kind over these samples; summed over ranks they are means."""
    # A matrix product, because XLA's sum over the leading axis of a large array is many times as slow.
    of_kind = jnp.arange(n)[:, None] == jnp.arange(len(w_rows))[None] % n
    return jnp.where(of_kind, w_rows[None], 0).astype(jac_rows.real.dtype) @ jac_rows


def _parts(z: Array) -> Array:
    return jnp.stack([jnp.real(z), jnp.imag(z)])
